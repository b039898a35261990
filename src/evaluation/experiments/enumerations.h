// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run coverage`: how much of a list thinkers who see each other have named after so many tokens of each,
/// beside one text and beside samples that know nothing of each other, on a model. Reported as it comes: whether it
/// pays depends on the model. Source: "Group Think" (arXiv 2505.11107); lists and counting are our own.
[[nodiscard]] Experiment coverage_experiment();

}  // namespace plait::evaluation
