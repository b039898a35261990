// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "engine/engine.h"

namespace plait::evaluation {

/// Allows one token at each choice, that of a script: unlike tokens that a guide adds by accept(), each is a decode
/// step of its own.
class ForcedGuide final : public engine::Guide {
 public:
  /// Requires: tokens of the vocabulary; no more are asked for than there are.
  ForcedGuide(std::vector<base::TokenId> script, std::size_t vocabulary)
      : script_(std::move(script)), mask_((vocabulary + 63) / 64) {}

  [[nodiscard]] base::Result<std::span<const std::uint64_t>> mask() override {
    PLAIT_CHECK(next_ < script_.size(), next_, script_.size());
    word(script_[next_]) |= bit(script_[next_]);
    return mask_;
  }
  [[nodiscard]] std::span<const base::TokenId> accept(base::TokenId token) override {
    PLAIT_CHECK(token == script_[next_]);
    word(token) &= ~bit(token);
    ++next_;
    return {};
  }

 private:
  std::uint64_t& word(base::TokenId token) { return mask_[static_cast<std::size_t>(token.value()) / 64]; }
  static std::uint64_t bit(base::TokenId token) { return std::uint64_t{1} << (token.value() % 64); }

  std::vector<base::TokenId> script_;
  std::size_t next_ = 0;
  std::vector<std::uint64_t> mask_;
};

}  // namespace plait::evaluation
