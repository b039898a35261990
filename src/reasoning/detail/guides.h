// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "models/token_mask.h"
#include "reasoning/detail/strand.h"

namespace plait::reasoning {

/// Chooses the last token of a text again: out of those that begin with its bytes, and whose other bytes the grammar
/// may begin with. For one token. The engine's thread.
class HealingGuide final : public engine::Guide {
 public:
  /// `masks`: null without a grammar. The table and what `boundary` points to must outlive it.
  HealingGuide(const models::TokenMaskTable& words, const Boundary& boundary, std::shared_ptr<models::MaskCache> masks)
      : words_(words), boundary_(boundary), masks_(std::move(masks)) {}

  [[nodiscard]] base::Result<std::span<const std::uint64_t>> mask() override;
  [[nodiscard]] std::span<const base::TokenId> accept(base::TokenId /*token*/) override { return {}; }
  /// Where the grammar stands behind `token`; kOffGrammar if it does not fit. Requires: a grammar.
  [[nodiscard]] models::GrammarState behind(base::TokenId token) const;

 private:
  const models::TokenMaskTable& words_;
  Boundary boundary_;
  std::shared_ptr<models::MaskCache> masks_;
  std::vector<std::uint64_t> bits_;
};

/// Forces given tokens one by one, so that each has a log-probability. The engine's thread.
class ForcingGuide final : public engine::Guide {
 public:
  ForcingGuide(std::vector<base::TokenId> tokens, std::size_t vocabulary)
      : tokens_(std::move(tokens)), bits_((vocabulary + 63) / 64) {}

  [[nodiscard]] base::Result<std::span<const std::uint64_t>> mask() override;
  [[nodiscard]] std::span<const base::TokenId> accept(base::TokenId /*token*/) override;

 private:
  std::vector<base::TokenId> tokens_;
  std::size_t next_ = 0;
  std::vector<std::uint64_t> bits_;
};

}  // namespace plait::reasoning
