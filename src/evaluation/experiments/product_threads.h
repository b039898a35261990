// SPDX-License-Identifier: Apache-2.0
//
// Answers in threads whose gain is known beforehand: sums of independent products of two-digit numbers, a line for each
// product and a thread for each line. In the language of reasoning/outline_grammar.h; learners and scripted models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "models/tokenizer.h"
#include "reasoning/outline_grammar.h"

namespace plait::evaluation {

struct ThreadTask {
  std::string question = {};
  std::vector<std::string> outlines = {};  ///< Without numbers.
  std::vector<std::string> threads = {};   ///< What follows `1:` up to the end of the thread.
  std::string conclusion = {};             ///< Behind the block: the sum, and a line with the answer.
  std::int64_t answer = 0;

  /// Up to the end of the outlines, where the model stops.
  [[nodiscard]] std::string opening() const;
  /// What the runtime writes before the model goes on with thread `i`, from 0 on. `first`: in its strand alone, where
  /// nothing stands between it and the outlines.
  [[nodiscard]] std::string header(std::size_t i, bool first) const;
  /// Threads as they stand in the text, up to where the model goes on.
  [[nodiscard]] std::string joined() const;
  [[nodiscard]] std::string closing() const;
  [[nodiscard]] std::string whole() const { return opening() + joined() + closing(); }
  /// The same work without threads: the baseline.
  [[nodiscard]] std::string sequential() const;
};

struct ThreadTaskOptions {
  std::size_t products = 4;     ///< 1 to 9.
  bool one_thread = false;      ///< All lines in a single thread: the control.
  std::size_t checks_most = 0;  ///< A line is checked again so often, drawn: threads of very different lengths.
  bool in_steps = false;        ///< For learners: values are added one by one, and no line begins with a space.
  std::uint64_t seed = 0;
};
[[nodiscard]] ThreadTask sum_of_products(const ThreadTaskOptions& options);

/// Tags as units of make_unit_tokenizer(): each is one token.
[[nodiscard]] std::vector<std::string> thread_tags();

/// The tokens of a text, by what had to wait for what.
[[nodiscard]] reasoning::TrajectoryCount count_trajectory(const models::Tokenizer& tokenizer, const std::string& text);
[[nodiscard]] std::size_t count_tokens(const models::Tokenizer& tokenizer, const std::string& text);

}  // namespace plait::evaluation
