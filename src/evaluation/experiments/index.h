// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab bench index`: plait's ordered map beside others on the loads of YCSB, at 1 M keys times
/// ExperimentOptions::scale; index_bench runs the same code with finer knobs. Maps whose headers were not installed
/// when this was built are left out, and so are their gates. Source of the claims: "Bridging Cache-Friendliness and
/// Concurrency: A Locality-Optimized In-Memory B-Skiplist" (arXiv 2507.21492).
[[nodiscard]] Experiment index_experiment();

}  // namespace plait::evaluation
