// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "load/generator.h"
#include "text/json.h"

namespace plait::load {

/// Everything that was asked for and measured. Times in seconds.
[[nodiscard]] text::Json report_json(const LoadReport& report, const LoadOptions& options, const LoadTarget& target);
/// The same as a table for people, with a line break at its end.
[[nodiscard]] std::string report_text(const LoadReport& report, const LoadOptions& options, const LoadTarget& target);

}  // namespace plait::load
