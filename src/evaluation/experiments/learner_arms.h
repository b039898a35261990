// SPDX-License-Identifier: Apache-2.0
//
// CountDown by trained models, through the engine and the strategies that users have: one long search, samples of
// short answers, answers that each begin with another move, and searches that call children.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluation/countdown.h"
#include "evaluation/experiments/model_thinking.h"
#include "evaluation/proportion.h"
#include "reasoning/thinking.h"

namespace plait::evaluation {

inline constexpr std::array<std::size_t, 5> kLearnerSamples{1, 2, 4, 8, 16};
inline constexpr std::array<std::size_t, 4> kLearnerChildren{0, 2, 5, 10};

/// The prompt as it is, temperature 0, as long as the context.
[[nodiscard]] reasoning::ThinkOptions ask_greedily(std::string prompt, const ModelThinking& learner);

/// One greedy answer to each problem, by a learner of depth-first searches.
struct LearnerTraces {
  /// [problem]: tokens from the prompt on until a right path was complete; nothing: it never was.
  std::vector<std::optional<std::size_t>> solved_at = {};
  Mean tokens = {};            ///< Of a whole text, prompt included.
  std::size_t unfinished = 0;  ///< Texts that the context cut.
  [[nodiscard]] bool solved(std::size_t problem, std::size_t budget) const {
    return solved_at[problem] && *solved_at[problem] <= budget;
  }
  [[nodiscard]] Proportion solved_within(std::size_t budget) const;
};
[[nodiscard]] base::Result<LearnerTraces> run_traces(ModelThinking& learner,
                                                     std::span<const CountdownProblem> problems);

/// Answers to each problem, by a learner of solutions.
struct LearnerPaths {
  std::vector<std::vector<bool>> right = {};        ///< [problem][sample]
  std::map<std::size_t, Proportion> majority = {};  ///< The answer of most of the first n is right, by n.
  Mean tokens = {};                                 ///< Of an answer, prompt included,
  Mean generated = {};                              ///< and what was generated of it, or given of a path's first move.
  Mean first_moves = {};                            ///< Different ones of all samples of a problem.
  Mean values = {};                                 ///< Different values at their ends.
  Proportion legal = {};                            ///< Samples whose every step is allowed.
  Proportion of_others = {};                        ///< Control: samples that solve the next problem.
  /// Any of the first n is right.
  [[nodiscard]] bool any(std::size_t problem, std::size_t n) const;
  [[nodiscard]] Proportion pass(std::size_t n) const;
};
struct PathOptions {
  std::size_t n = 16;
  double temperature = 0.7;
  std::uint64_t seed = 0;
};
/// [problem][answer]: answers to each problem, from its root's line on; `before` stands before that, [problem], or
/// nothing anywhere. The first answers are the same however many are asked for.
[[nodiscard]] base::Result<std::vector<std::vector<std::string>>> sample_answers(
    ModelThinking& learner, std::span<const CountdownProblem> problems, std::span<const std::string> before,
    const PathOptions& options);
[[nodiscard]] base::Result<LearnerPaths> run_paths(ModelThinking& learner, std::span<const CountdownProblem> problems,
                                                   const PathOptions& options);

enum class FirstMoves {
  own,      ///< The i-th answer begins with the i-th move, in the order of their scores; beyond them as it likes.
  one,      ///< All begin with the first: the control.
  illegal,  ///< All begin with a step that is wrong: the other control.
};
/// The same where each answer's first move is given.
[[nodiscard]] base::Result<LearnerPaths> run_outlines(ModelThinking& learner,
                                                      std::span<const CountdownProblem> problems, FirstMoves moves,
                                                      const PathOptions& options);

/// Searches of a learner that calls children, with one budget of them.
struct LearnerSearches {
  std::vector<bool> right = {};  ///< [problem]
  Mean children = {};
  Mean total = {};       ///< Tokens of all calls,
  Mean sequential = {};  ///< and of the longest chain.
  [[nodiscard]] Proportion solved() const;
};
/// A learner that is told it may call `children` of them. Control: it is told so, but none is run (`allowed`).
[[nodiscard]] base::Result<LearnerSearches> run_searches(ModelThinking& learner,
                                                         std::span<const CountdownProblem> problems,
                                                         std::size_t children, bool allowed = true);

}  // namespace plait::evaluation
