// SPDX-License-Identifier: Apache-2.0
//
// A model that computes nothing: what follows is a function of the tokens that a row sees. It writes each token into
// the page that is given for it and reads them back through the row's view, so the engine's spans, views, cache and
// preemption are all at work. For experiments whose policies are programs, and for tests.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/runner.h"
#include "models/config.h"

namespace plait::engine {

struct StoryOptions {
  std::size_t vocabulary = 64;
  std::size_t context = 4096;
};

class StoryRunner final : public Runner {
 public:
  /// What follows these tokens, in the order of the view; nothing: `otherwise`. Called once for each row of logits.
  using Story = std::function<std::optional<base::TokenId>(std::span<const base::TokenId> seen)>;
  /// The same with a choice: sets the logits [vocabulary] of what may follow, which come as -100.
  using Policy = std::function<void(std::span<const base::TokenId> seen, std::span<float> logits)>;

  /// `otherwise`: what follows where the story says nothing, as the end of a text. Logits are 0 for the token that
  /// follows: it is certain at any usual temperature.
  StoryRunner(const StoryOptions& options, Story story, base::TokenId otherwise);
  StoryRunner(const StoryOptions& options, Policy policy);

  [[nodiscard]] const models::KvLayout& layout() const override { return layout_; }
  [[nodiscard]] std::size_t vocabulary() const override { return options_.vocabulary; }
  [[nodiscard]] std::size_t context() const override { return options_.context; }
  [[nodiscard]] base::Result<void> forward(std::span<const models::Rows> batch, std::span<float> logits) override;
  void for_each(std::size_t count, const std::function<void(std::size_t)>& f) override {
    for (std::size_t i = 0; i < count; ++i) f(i);
  }

  /// Of all forward passes: rows, and steps.
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t steps() const { return steps_; }
  /// Bytes of keys and values of one page.
  [[nodiscard]] base::Bytes page_bytes() const { return layout_.page_bytes(0) + layout_.page_bytes(1); }

 private:
  StoryOptions options_;
  Policy policy_;
  models::Config config_;
  models::KvLayout layout_;
  std::size_t rows_ = 0;
  std::size_t steps_ = 0;
  std::vector<base::TokenId> seen_;
};

}  // namespace plait::engine
