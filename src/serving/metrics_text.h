// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "serving/metrics.h"

namespace plait::serving {

/// `kept` and what the sources say, and of both what vLLM's dashboards look for under its names, in Prometheus's text
/// format 0.0.4.
[[nodiscard]] std::string metrics_text(std::vector<prometheus::MetricFamily> kept, const MetricsSources& sources);

}  // namespace plait::serving
