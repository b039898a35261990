// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run pdr`: rounds of drafts with a bounded workspace between them, beside one answer improved again and
/// again, at equal budgets. A scripted model of planted quality writes the drafts; on a real one only the wall clock is
/// measured. Source of the claims: "Rethinking Thinking Tokens" (arXiv 2510.01123).
[[nodiscard]] Experiment pdr_experiment();

}  // namespace plait::evaluation
