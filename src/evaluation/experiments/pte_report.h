// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"
#include "evaluation/experiments/pte_figures.h"

namespace plait::evaluation {

/// Tables, lines not to be crossed, JSON and the figure of `plait-lab run pte`.
[[nodiscard]] ExperimentReport pte_report(const Figures& figures);

}  // namespace plait::evaluation
