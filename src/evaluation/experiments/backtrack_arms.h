// SPDX-License-Identifier: Apache-2.0
//
// CountDown by one long answer, a depth-first search, and by many short ones of a player that guesses: both through the
// engine and the strategy `best-of`, on scripted models.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "base/result.h"
#include "evaluation/countdown.h"
#include "evaluation/proportion.h"

namespace plait::evaluation {

inline constexpr std::array<std::size_t, 5> kTraceBudgets{256, 512, 1024, 2048, 4096};
inline constexpr std::array<std::size_t, 5> kSampleCounts{1, 2, 4, 8, 16};

/// One answer, in the vocabulary of the task. A problem counts if the lines that are whole within the budget hold a
/// path that is right.
struct LongFigures {
  std::map<std::size_t, Proportion> solved = {};     ///< By budget, of the texts that the engine gave.
  std::map<std::size_t, Proportion> predicted = {};  ///< By budget, of the searches' lengths alone.
  Proportion agreed = {};                            ///< Problems where both are the same at all budgets.
  Proportion kept_to_budget = {};  ///< Runs with a budget that give it to the token, and the same text up to there.
  Mean tokens = {};                ///< Of whole searches.
};
[[nodiscard]] base::Result<LongFigures> run_long(std::span<const CountdownProblem> problems);

/// Samples of one prompt.
struct ShortFigures {
  std::map<std::size_t, Proportion> pass = {};      ///< Any of the first n is right: an oracle's choice.
  std::map<std::size_t, Proportion> majority = {};  ///< The answer of most of the first n is.
  Proportion predicted = {};     ///< Samples that are right where the player's path for the number they drew is.
  Proportion any_order = {};     ///< Problems with the same samples where three run at a time.
  Proportion different = {};     ///< Problems whose samples have all drawn different numbers.
  Proportion selectors = {};     ///< Problems where the strategy's own choices are these.
  Proportion all_equal = {};     ///< Control, samples without chance: any of 16 is right if the first is.
  Proportion of_others = {};     ///< Control: answers to another problem that are right.
  double prefill_excess = -1e9;  ///< Tokens computed of prompts beyond one prompt and one a sample: the most.
  Mean tokens = {};              ///< Of an answer as a path in the language of searches.
  Proportion random_any = {};    ///< Baseline: 16 paths of random moves, any right.
};
[[nodiscard]] base::Result<ShortFigures> run_short(std::span<const CountdownProblem> problems, double temperature,
                                                   std::uint64_t seed);

}  // namespace plait::evaluation
