// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run pte`: whether prefill token equivalents follow wall-clock time better than tokens do, over scripted
/// agents that run beside each other on a real model, half of them losing their cache at every pause; how stable the
/// ranking is over machines; and what two clients get when the scheduler counts tokens or equivalents. Needs
/// ExperimentOptions::model. Source of the claims: "Beyond Accuracy: Unveiling Inefficiency Patterns in Tool-Integrated
/// Reasoning" (arXiv 2604.05404), its figures as quoted by others.
[[nodiscard]] Experiment pte_experiment();

}  // namespace plait::evaluation
