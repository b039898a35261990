// SPDX-License-Identifier: Apache-2.0
//
// A model for tests of the engine that computes nothing and forgets nothing. It writes each token into the page that is
// given for it, and its logits and hidden states are a hash of all tokens that a row sees, read back from the pages: a
// lost, swapped or overwritten page changes what is generated. Layers with a window see only that.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "engine/runner.h"
#include "models/config.h"

namespace plait::testing {

/// Time that moves only when told.
class VirtualClock final : public base::Clock {
 public:
  [[nodiscard]] double now() const override { return now_; }
  void advance(double seconds) { now_ += seconds; }

 private:
  double now_ = 0;
};

struct ScriptOptions {
  std::size_t vocabulary = 50;
  std::size_t context = 4096;
  std::size_t window = 0;       ///< Of every second layer; 0: no such layers.
  double step_seconds = 0.010;  ///< What a step takes by the virtual clock,
  double row_seconds = 0.0001;  ///< and each of its rows.
};

class ScriptedRunner final : public engine::Runner {
 public:
  ScriptedRunner(const ScriptOptions& options, VirtualClock& clock);

  [[nodiscard]] const models::KvLayout& layout() const override { return layout_; }
  [[nodiscard]] std::size_t vocabulary() const override { return options_.vocabulary; }
  [[nodiscard]] std::size_t context() const override { return options_.context; }
  [[nodiscard]] std::size_t width() const override { return kWidth; }
  [[nodiscard]] double logits_work() const override { return 0.5; }
  [[nodiscard]] base::Result<void> forward(std::span<const models::Rows> batch, std::span<float> logits) override;
  void for_each(std::size_t count, const std::function<void(std::size_t)>& f) override {
    for (std::size_t i = count; i > 0; --i) f(i - 1);
  }

  /// Logits of the last of these tokens, seen from the first one on.
  [[nodiscard]] std::vector<float> logits(std::span<const base::TokenId> tokens) const;
  /// The same for tokens at these positions; the last one's is where the view is seen from.
  [[nodiscard]] std::vector<float> logits(std::span<const base::TokenId> tokens,
                                          std::span<const std::ptrdiff_t> positions) const;

  /// The hidden state of the last of these tokens, seen from the first one on.
  [[nodiscard]] std::vector<float> hidden(std::span<const base::TokenId> tokens) const;

  static constexpr std::size_t kWidth = 6;
  std::size_t rows = 0;                        ///< Computed so far.
  std::vector<std::size_t> rows_of_step = {};  ///< [step]
  std::size_t logits_most = 0;                 ///< Rows of logits of a step, the most so far.
  std::int32_t fails_on = -1;                  ///< A row that sees this token has logits that are no numbers.
  /// The next step fails with this, after it has written the keys and values of its rows.
  std::optional<base::Error> next_error = {};

 private:
  /// A hash for each layer group of what a row has seen, and whether it fails.
  struct Seen {
    std::array<std::uint64_t, models::kLayerGroups> hashes = {};
    bool fails = false;
  };
  /// Of the row of token `index` of an entry.
  [[nodiscard]] Seen seen_by(const models::Rows& entry, std::size_t index) const;
  [[nodiscard]] Seen seen_by(std::span<const base::TokenId> tokens, std::span<const std::ptrdiff_t> positions) const;
  /// Adds a token at a position to what a row has seen in a layer group.
  static std::uint64_t add(std::uint64_t hash, std::ptrdiff_t position, std::int32_t token);
  static void write_logits(const Seen& seen, std::span<float> logits);
  static void write_hidden(const Seen& seen, std::span<float> hidden);

  ScriptOptions options_;
  VirtualClock& clock_;
  models::Config config_;
  models::KvLayout layout_;
};

}  // namespace plait::testing
