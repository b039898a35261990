// SPDX-License-Identifier: Apache-2.0
//
// Independent paths of the player of evaluation/countdown_policy.h, and paths that each begin with another move: what
// comes of them over many problems. No engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "evaluation/countdown.h"
#include "evaluation/proportion.h"

namespace plait::evaluation {

enum class PathArm {
  independent,
  outlines,     ///< The i-th path begins with the i-th move, the policy's likeliest first; beyond them as it likes.
  one_outline,  ///< All begin with the likeliest: the control.
};

/// One arm over all problems.
struct ArmFigures {
  std::vector<std::vector<bool>> solved = {};  ///< [problem][path]
  Proportion pass = {};                        ///< Any path is right, which only a verifier can tell.
  Proportion majority = {};                    ///< The answer of most is.
  Mean first_moves = {};                       ///< Different ones,
  Mean values = {};                            ///< different values at the end,
  Mean overlap = {};                           ///< and the part of intermediate numbers that two paths share.
  Mean tokens = {};                            ///< Of a path in the language of searches.
  std::size_t filled_up = 0;                   ///< Paths for which there was no move of their own.
};
[[nodiscard]] ArmFigures run_arm(std::span<const CountdownProblem> problems, double temperature, std::size_t paths,
                                 PathArm arm, std::uint64_t seed);

/// Problems that only one of two arms solves with any path.
[[nodiscard]] Discordant compare(const ArmFigures& first, const ArmFigures& second);

/// The part of all problems that the i-th path is the first to solve, [path]; over `orders` random orders of the paths,
/// or in their own (0).
[[nodiscard]] std::vector<double> marginal_solves(const ArmFigures& arm, std::size_t orders, std::uint64_t seed);

/// Moves that problems begin with, on average.
[[nodiscard]] double mean_first_moves(std::span<const CountdownProblem> problems);

}  // namespace plait::evaluation
