// SPDX-License-Identifier: Apache-2.0
//
// Sequences of one run behind one computed prompt, for strategies whose rows read each other's tokens as they come.
// They are the engine's own sequences (engine/engine.h, watch()), as strands see only what is finished.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/text_answer.h"
#include "reasoning/program.h"
#include "reasoning/thinking.h"

namespace plait::reasoning {

/// Closes its sequences when it goes.
class SharedPrompt {
 public:
  explicit SharedPrompt(Thinking& thinking) : thinking_(thinking) {}
  ~SharedPrompt();
  SharedPrompt(const SharedPrompt&) = delete;
  SharedPrompt& operator=(const SharedPrompt&) = delete;

  /// Computes the prompt; first of all. Errors: those of the engine; interrupted (the run is over).
  [[nodiscard]] Program<engine::SequenceId> compute(std::vector<base::TokenId> prompt);
  /// A computed text of its own, behind the prompt and other such texts: what several rows see.
  [[nodiscard]] Program<engine::SequenceId> compute_span(std::string text, std::vector<engine::SequenceId> behind);
  /// A sequence that sees the prompt and has `tokens` to begin with.
  [[nodiscard]] base::Result<engine::SequenceId> row(std::span<const base::TokenId> tokens);
  [[nodiscard]] std::size_t prompt_tokens() const { return prompt_tokens_; }
  /// Ends whatever any of them generates. It may be gone afterwards.
  void cancel_all();

 private:
  Program<engine::SequenceId> compute_row(engine::SequenceId sequence, std::string label);
  /// Keeps what it has computed, whoever needs memory. Right behind the computing.
  [[nodiscard]] base::Result<void> hold(engine::SequenceId sequence);

  Thinking& thinking_;
  engine::SequenceId holder_ = {};  ///< Sees the prompt and watches the texts; rows are forks of it.
  std::vector<engine::SequenceId> held_;
  std::size_t prompt_tokens_ = 0;
  std::vector<engine::SequenceId> sequences_;
};

/// What rows of this run generate with: the request's sampler with this seed, at most so many tokens, the deadline.
[[nodiscard]] engine::GenerateOptions row_options(const Thinking& thinking, std::uint64_t seed, std::size_t tokens);

/// Lets a row go on by itself, told as the call `label`. Errors: as Thinking::call().
[[nodiscard]] Program<Said> say(Thinking& thinking, engine::SequenceId row, std::string label, std::uint64_t seed,
                                std::size_t tokens, models::StopOptions stop = {},
                                std::optional<double> temperature = {});

/// Adds what a later generation of the same row has used.
void add_usage(engine::Usage& sum, const engine::Usage& part);

}  // namespace plait::reasoning
