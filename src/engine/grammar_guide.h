// SPDX-License-Identifier: Apache-2.0
//
// Keeps one generation within a grammar: masks, forced tokens, and an end before its tokens run out.
//
//   GrammarGuide guide(masks, 100);
//   engine.submit({.prompt = prompt, .generate = {.tokens_max = 100, .stop = ends, .guide = &guide}});
//
// Tokens that must follow are fed without sampling, as long as no longer token could stand in the place of one of them.
// Once the tokens that are left just suffice for an end, only tokens on a way to one are allowed; if they never did
// suffice, the text is cut at tokens_max. The ends of generation must be stop tokens of the generation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "engine/engine.h"
#include "models/token_mask.h"

namespace plait::engine {

class GrammarGuide final : public Guide {  // for one generation; the engine's thread
 public:
  /// `tokens_max` is that of GenerateOptions; 0: no limit but the context. The cache must outlive it, may serve other
  /// generations of the same thread, and keeps what was found out.
  explicit GrammarGuide(models::MaskCache& masks, std::size_t tokens_max = 0)
      : GrammarGuide(masks, tokens_max, masks.start()) {}
  /// In the middle of a text, with `tokens_max` tokens left.
  GrammarGuide(models::MaskCache& masks, std::size_t tokens_max, models::GrammarState state);

  /// A copy: others may be asked for theirs before it is used. Errors: those of MaskCache::mask_within(); internal
  /// (a token was chosen that the mask forbids).
  [[nodiscard]] base::Result<std::span<const std::uint64_t>> mask() override;
  [[nodiscard]] std::span<const base::TokenId> accept(base::TokenId token) override;
  /// Goes on with what must follow, as accept() does behind its token.
  [[nodiscard]] std::span<const base::TokenId> force();

  /// The text so far is complete.
  [[nodiscard]] bool complete() const;
  [[nodiscard]] models::GrammarState state() const { return state_; }

 private:
  models::MaskCache& masks_;
  models::GrammarState state_;
  bool limited_;
  std::size_t left_;  // the end of generation counted
  std::vector<std::uint64_t> mask_ = {};
};

}  // namespace plait::engine
