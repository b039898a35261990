// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run fastswitch`: chats whose priorities change, in a memory of a third of what they hold, with six ways
/// to set sequences aside (FastSwitch, arXiv 2411.18424): latencies measured on the real engine, a real model and a
/// real file, beside the paper's claims and recomputation. The chats are synthetic.
[[nodiscard]] Experiment fastswitch_experiment();

}  // namespace plait::evaluation
