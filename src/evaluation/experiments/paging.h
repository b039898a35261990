// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run paging`: faults of the eviction policies beside the optimum, by the share of wrong bits, on made-up
/// traces of conversations, of Zipf's law and of a loop. Source of the bounds: Antoniadis et al., Paging with Succinct
/// Predictions, ICML 2023.
[[nodiscard]] Experiment paging_experiment();

}  // namespace plait::evaluation
