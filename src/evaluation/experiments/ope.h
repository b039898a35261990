// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run ope`: answers that each follow a way of their own, beside as many independent ones, on a player of
/// CountDown that repeats itself the more the colder it is. On a real model only the wall clock is measured. Source of
/// the claims: "OPE: Overcoming Information Saturation in Parallel Thinking" (arXiv 2602.08344).
[[nodiscard]] Experiment ope_experiment();

}  // namespace plait::evaluation
