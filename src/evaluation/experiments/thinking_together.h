// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run hogwild`: what workers cost that read each other's unfinished text, and whether they do read it. On a
/// real model and the real clock; needs ExperimentOptions::model. Source of the claims: "Hogwild! Inference" (arXiv
/// 2504.06261).
[[nodiscard]] Experiment hogwild_experiment();

/// `plait-lab run group-think`: the same for thinkers at positions of their own, and how much sooner scripted thinkers
/// who avoid what others have said cover a list than independent ones. Source of the claims: "Group Think" (arXiv
/// 2505.11107).
[[nodiscard]] Experiment group_think_experiment();

}  // namespace plait::evaluation
