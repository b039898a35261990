// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run fairness`: who waits for whom on a real model and the real clock. First tokens of a light client
/// beside a heavy one, and gaps between tokens of running streams while prompts arrive. The same rules are tested in
/// exact figures, on a virtual clock, in engine/engine_pace_test.cc. Needs ExperimentOptions::model.
[[nodiscard]] Experiment fairness_experiment();

}  // namespace plait::evaluation
