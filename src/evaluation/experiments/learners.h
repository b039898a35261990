// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evaluation/experiment.h"

namespace plait::evaluation {

/// `plait-lab run learners`: the claims on trained models of the papers on ways to think, by small ones that were
/// trained for it (bench/learners/train.py) and run by plait's own engine: one long search beside many short answers
/// at equal compute ("To Backtrack or Not to Backtrack", arXiv 2504.07052), answers that each begin with another move
/// (OPE, arXiv 2602.08344), searches that call children (APR, arXiv 2504.15466), and sums of products in threads
/// (ThreadWeaver, arXiv 2512.07843). Parts whose learner is not in the folder are left out.
[[nodiscard]] Experiment learners_experiment();

}  // namespace plait::evaluation
