// SPDX-License-Identifier: Apache-2.0
#include "reasoning/detail/guides.h"

#include "base/check.h"

namespace plait::reasoning {
namespace {

void set_bit(std::vector<std::uint64_t>& bits, base::TokenId token) {
  const auto index = static_cast<std::size_t>(token.value());
  bits[index / 64] |= std::uint64_t{1} << (index % 64);
}

}  // namespace

models::GrammarState HealingGuide::behind(base::TokenId token) const {
  models::GrammarState state = masks_->start();
  for (const char byte : words_.tokenizer.piece(token).substr(boundary_.bytes.size())) {
    state = masks_->states().advance(state, static_cast<std::uint8_t>(byte));
    if (state == models::kOffGrammar) break;
  }
  return state;
}

base::Result<std::span<const std::uint64_t>> HealingGuide::mask() {
  bits_.assign((words_.tokenizer.size() + 63) / 64, 0);
  for (const base::TokenId token : words_.trie.tokens_from(boundary_.node)) {
    if (!masks_ || behind(token) != models::kOffGrammar) set_bit(bits_, token);
  }
  if (masks_) PLAIT_TRY_VOID(masks_->check());
  return bits_;
}

base::Result<std::span<const std::uint64_t>> ForcingGuide::mask() {
  PLAIT_CHECK(next_ < tokens_.size());
  bits_.assign(bits_.size(), 0);
  set_bit(bits_, tokens_[next_]);
  return bits_;
}

std::span<const base::TokenId> ForcingGuide::accept(base::TokenId /*token*/) {
  ++next_;
  return {};
}

}  // namespace plait::reasoning
