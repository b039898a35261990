// SPDX-License-Identifier: Apache-2.0
//
// A player of CountDown that guesses: the scripted policy by which "Outline-Guided Path Exploration" (arXiv 2602.08344)
// is measured without a model. It takes a move with a probability that falls with the move's score, until one number is
// left. The colder it is, the more its paths repeat each other. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "evaluation/countdown.h"
#include "reasoning/arithmetic.h"

namespace plait::evaluation {

/// Of each move: e^(-score / temperature) over the sum of all. Requires: temperature > 0.
[[nodiscard]] std::vector<double> move_probabilities(std::span<const CountdownMove> moves, double temperature);

/// A path to its end.
struct SampledPath {
  std::vector<reasoning::Step> steps = {};
  std::int64_t value = 0;  ///< Where it ends.
  bool solved = false;     ///< That is the target.
};

/// A path; the same seed gives the same one. `first` is the first move, an index of countdown_moves() of the root;
/// without it that is drawn too. Requires: temperature > 0; there is such a move.
[[nodiscard]] SampledPath sample_path(const CountdownProblem& problem, double temperature, std::uint64_t seed,
                                      std::optional<std::size_t> first = {});

}  // namespace plait::evaluation
