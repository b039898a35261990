// SPDX-License-Identifier: Apache-2.0
//
// Several answers to one question, of which one is chosen: by a vote over what they come to, by a verifier, by their
// likelihood, or by a judge, which is the model itself. The prompt is computed once.
//
// Source: the parallel arm of "To Backtrack or Not to Backtrack" (arXiv 2504.07052). There a sample counts if any is
// right, which only a verifier can tell: a majority is what a user without one gets.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "reasoning/program.h"
#include "reasoning/selection.h"
#include "reasoning/strategy.h"
#include "reasoning/thinking.h"

namespace plait::reasoning {

struct BestOfOptions {
  std::size_t n = 8;  ///< 1 to 256.
  SelectOptions select = {};
};

/// "best-of".
[[nodiscard]] StrategyEntry best_of_strategy();
[[nodiscard]] std::unique_ptr<Strategy> make_best_of(BestOfOptions options);

}  // namespace plait::reasoning
