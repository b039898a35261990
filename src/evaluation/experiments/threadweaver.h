// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run threadweaver`: whether a text that is worked out in threads is what it should be, in whatever order
/// they end, and what of it had to wait for what. A scripted model writes the threads; on a real one only the wall
/// clock is measured. Source of the claims: "ThreadWeaver" (arXiv 2512.07843).
[[nodiscard]] Experiment threadweaver_experiment();

}  // namespace plait::evaluation
