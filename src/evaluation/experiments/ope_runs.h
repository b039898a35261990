// SPDX-License-Identifier: Apache-2.0
//
// The strategy `outlines` end to end on the player of evaluation/countdown_policy.h: an outline is a first move, and a
// path plays on from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "evaluation/countdown.h"
#include "evaluation/proportion.h"

namespace plait::evaluation {

struct OpeRunFigures {
  Proportion distinct;           ///< Runs whose paths begin with as many different moves as there are paths.
  Proportion one_plan;           ///< Runs with a single call of the planner.
  Proportion any_order;          ///< Runs that are the same with two calls at a time.
  Proportion accounted;          ///< Malformed plans: outlines that differ, and counted plain paths for the rest.
  Proportion illegal_failed;     ///< Runs that count every outline that is no move as a failed path.
  Proportion pass_outlines;      ///< Any path right, by the verifier,
  Proportion pass_best_of;       ///< and of as many independent samples.
  Discordant discordant;         ///< Outlines first.
  double prefill_excess = -1e9;  ///< Tokens computed for paths beyond one prefix, their own ends and a page each.
  double found_computed = 0;     ///< Part of the paths' prompts.
  Mean tokens_outlines;          ///< Generated, plan included,
  Mean tokens_best_of;           ///< and by samples.
};
/// `plans`: malformed texts that the planner says. Errors: those of the runs.
[[nodiscard]] base::Result<OpeRunFigures> run_ope(std::span<const CountdownProblem> problems, double temperature,
                                                  std::size_t paths, std::size_t plans, std::uint64_t seed);

}  // namespace plait::evaluation
