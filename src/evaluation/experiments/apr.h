// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run apr`: searches over CountDown that hand parts of themselves to children, beside the same searches in
/// one text, in windows of some tokens. The searches are programs; on a real model only the wall clock is measured.
/// Source of the claims: "Learning Adaptive Parallel Reasoning with Language Models" (arXiv 2504.15466).
[[nodiscard]] Experiment apr_experiment();

}  // namespace plait::evaluation
