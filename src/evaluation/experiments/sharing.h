// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run sharing`: what requests with a common prompt, samples and forks cost, and how many tokens a second
/// whole loads have, on a real model and the real clock. Needs ExperimentOptions::model.
[[nodiscard]] Experiment sharing_experiment();

}  // namespace plait::evaluation
