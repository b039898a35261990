// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar_guide.h"

namespace plait::engine {

GrammarGuide::GrammarGuide(models::MaskCache& masks, std::size_t tokens_max, std::optional<models::GrammarState> at)
    : masks_(masks), state_(at.value_or(masks.start())), limited_(tokens_max > 0), left_(tokens_max) {}

base::Result<std::span<const std::uint64_t>> GrammarGuide::mask() {
  PLAIT_TRY_VOID(masks_.check());
  if (state_ == models::kOffGrammar) {
    return base::fail(base::ErrorCode::internal, "grammar: a token was chosen that does not fit");
  }
  PLAIT_TRY(const auto mask, limited_ ? masks_.mask_within(state_, left_) : masks_.mask(state_));
  mask_.assign(mask.begin(), mask.end());
  return mask_;
}

std::span<const base::TokenId> GrammarGuide::accept(base::TokenId token) {
  if (state_ != models::kOffGrammar) state_ = masks_.advance(state_, token);
  if (left_ > 0) --left_;
  if (state_ == models::kOffGrammar) return {};
  const std::span<const base::TokenId> forced = masks_.forced(state_);
  if (forced.empty()) return {};
  models::GrammarState behind = state_;
  for (const base::TokenId next : forced) behind = masks_.advance(behind, next);
  if (behind == models::kOffGrammar) return {};
  if (limited_) {
    // As the tokenizer writes it, it may take more tokens than there are for the shortest end: then the masks choose.
    if (left_ < forced.size() + masks_.tokens_to_end(behind) + 1) return {};
    left_ -= forced.size();
  }
  state_ = behind;
  return forced;
}

bool GrammarGuide::complete() const { return state_ != models::kOffGrammar && masks_.accepts(state_); }

}  // namespace plait::engine
