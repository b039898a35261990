// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run backtrack`: one long answer that searches beside many short ones, at equal compute, by searches that
/// are programs: whether budgets, samples, selectors and counts are what they should be. On a real model only the wall
/// clock is measured. Source of the claims: "To Backtrack or Not to Backtrack" (arXiv 2504.07052).
[[nodiscard]] Experiment backtrack_experiment();

}  // namespace plait::evaluation
