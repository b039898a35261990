// SPDX-License-Identifier: Apache-2.0
#include "models/token_mask.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "text/utf8.h"

namespace plait::models {

using base::TokenId;
using text::kRefused;
using text::StateId;

namespace {

// Longer stretches are fed in pieces.
constexpr std::size_t kForcedBytesMax = 4096;

/// Whether every byte that a shortest rest may need is a word: then that takes at most as many words as bytes.
bool bytes_are_words(const text::Grammar& grammar, const TokenTrie& trie) {
  std::array<bool, 256> is_word = {};
  for (std::uint32_t at = 1; at < trie.node(0).end; at = trie.node(at).end) {
    is_word[trie.node(at).byte] = !trie.tokens(at).empty();
  }
  for (text::Grammar::NodeId id = 0; id < grammar.nodes(); ++id) {
    const text::Grammar::Node& node = grammar.node(id);
    if (node.edges > 0 && !is_word[node.byte]) return false;
  }
  return true;
}

}  // namespace

TokenMaskTable::TokenMaskTable(const Tokenizer& tokenizer_in, std::vector<TokenId> text_marks)
    : tokenizer(tokenizer_in),
      marks(std::move(text_marks)),
      trie(TokenTrie::words_of(tokenizer, marks)),
      plain(TokenTrie::words_of(tokenizer, marks), tokenizer.size()) {}

bool TokenMaskTable::is_text(TokenId token) const {
  const TokenKind kind = tokenizer.kind(token);
  const bool text = kind == TokenKind::normal || kind == TokenKind::user_defined || kind == TokenKind::byte;
  return (text && !tokenizer.is_end_of_generation(token)) || std::ranges::find(marks, token) != marks.end();
}

MaskCache::MaskCache(std::shared_ptr<const text::Grammar> grammar, std::shared_ptr<const TokenMaskTable> table,
                     const MaskCacheOptions& options)
    : table_(std::move(table)),
      bytes_suffice_(bytes_are_words(*grammar, table_->trie)),
      use_plain_words_(options.plain_words),
      states_(std::move(grammar), options.states),
      words_((table_->tokenizer.size() + 63) / 64),
      slots_max_(std::max<std::size_t>(2, options.bytes_max / (words_ * 8 + sizeof(Slot)))),
      rows_(table_->trie.longest() + 1),
      reached_(table_->trie.longest() + 1) {}

template <class Visit>
void MaskCache::walk(const TokenTrie& trie, StateId state, std::uint32_t root, Visit visit) {
  const std::uint32_t end = trie.node(root).end;
  rows_[trie.node(root).depth] = &states_.row(state);
  reached_[trie.node(root).depth] = state;
  StateId looked_at = kRefused;  // within a string most bytes lead back to one state: what is below need not be walked
  std::uint32_t loops = 0;
  for (std::uint32_t id = root + 1; id < end;) {
    const TokenTrie::Node& node = trie.node(id);
    const std::size_t above = node.depth - std::size_t{1};
    std::uint32_t next = (*rows_[above])[node.byte];
    if (next == text::GrammarStates::kUnknown) next = states_.step(reached_[above], node.byte).value();
    if (next == kRefused.value()) {
      id = node.end;
      continue;
    }
    if (looked_at.value() != next && reached_[above].value() == next) {
      looked_at = StateId(next);
      loops = loops_of(looked_at);
    }
    const bool all = looked_at.value() == next && (node.classes & ~loops) == 0;
    const auto tokens = all ? trie.tokens_from(id) : trie.tokens(id);
    if (!tokens.empty() && !visit(tokens, StateId(next))) return;
    if (all) {
      id = node.end;
      continue;
    }
    if (node.end > ++id) {
      rows_[node.depth] = &states_.row(StateId(next));
      reached_[node.depth] = StateId(next);
    }
  }
}

std::uint32_t MaskCache::loops_of(StateId state) {
  std::uint32_t leaves = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto one = static_cast<std::uint8_t>(byte);
    if (states_.advance(state, one) != state) leaves |= std::uint32_t{1} << TokenTrie::class_of(one);
  }
  return ~leaves;
}

void MaskCache::allow(std::span<const TokenId> tokens, std::vector<std::uint64_t>& bits) const {
  for (const TokenId token : tokens) {
    const auto id = static_cast<std::size_t>(token.value());
    bits[id / 64] |= std::uint64_t{1} << (id % 64);
  }
}

void MaskCache::allow_end(StateId state, std::vector<std::uint64_t>& bits) const {
  if (states_.accepts(state)) allow(table_->tokenizer.end_of_generation(), bits);
}

void MaskCache::unlink(std::uint32_t number) {
  Slot& slot = slots_[number];
  (slot.newer == kNone ? newest_ : slots_[slot.newer].older) = slot.older;
  (slot.older == kNone ? oldest_ : slots_[slot.older].newer) = slot.newer;
}

void MaskCache::make_newest(std::uint32_t number) {
  Slot& slot = slots_[number];
  slot.newer = kNone;
  slot.older = std::exchange(newest_, number);
  (slot.older == kNone ? oldest_ : slots_[slot.older].newer) = number;
}

MaskCache::Slot& MaskCache::slot_of(StateId state) {
  if (state.value() < slot_of_state_.size() && slot_of_state_[state.value()] != kNone) {
    const std::uint32_t number = slot_of_state_[state.value()];
    if (number != newest_) {
      unlink(number);
      make_newest(number);
    }
    return slots_[number];
  }
  auto number = static_cast<std::uint32_t>(slots_.size());
  if (slots_.size() < slots_max_) {
    slots_.push_back({.bits = std::vector<std::uint64_t>(words_)});
  } else {
    number = oldest_;
    unlink(number);
    slot_of_state_[slots_[number].state.value()] = kNone;
  }
  slots_[number].state = state;
  make_newest(number);
  fill(slots_[number]);
  slot_of_state_.resize(std::max(slot_of_state_.size(), states_.size()), kNone);
  slot_of_state_[state.value()] = number;
  return slots_[number];
}

void MaskCache::fill(Slot& slot) {
  ++made_;
  slot.bytes_after = 0;
  slot.tokens_after = kNone;
  if (use_plain_words_ && find_plain_path(slot.state)) {
    fill_along_plain_path(slot);
  } else {
    std::ranges::fill(slot.bits, 0);
    fill_from(table_->trie, slot.state, slot);
  }
  allow_end(slot.state, slot.bits);
}

void MaskCache::fill_from(const TokenTrie& trie, StateId state, Slot& slot) {
  walk(trie, state, 0, [&](std::span<const TokenId> tokens, StateId next) {
    allow(tokens, slot.bits);
    slot.bytes_after = std::max(slot.bytes_after, states_.cost(next));
    return true;
  });
}

bool MaskCache::all_lead_to(StateId state, const text::Utf8Range& range, std::uint32_t at, StateId end) {
  StateId before = state;  // of the bytes so far: neighbours mostly lead to the same state
  for (unsigned byte = range.first[at]; byte <= range.last[at]; ++byte) {
    const StateId next = states_.advance(state, static_cast<std::uint8_t>(byte));
    if (byte > range.first[at] && next == before) continue;
    before = next;
    const bool ends = next == kRefused || at + 1 == range.length;
    if (ends ? next != end : !all_lead_to(next, range, at + 1, end)) return false;
  }
  return true;
}

std::optional<StateId> MaskCache::find_behind_plain(StateId state) {
  static const std::vector<text::Utf8Range> kLonger = text::utf8_ranges(text::CodePoints({{0x80, 0x10FFFF}}));
  const StateId end = states_.advance(state, ' ');
  for (unsigned byte = 0x20; byte < 0x80; ++byte) {
    const auto ascii = static_cast<std::uint8_t>(byte);
    if (PlainWords::is_plain(ascii) && states_.advance(state, ascii) != end) return std::nullopt;
  }
  const bool all = std::ranges::all_of(kLonger, [&](const auto& range) { return all_lead_to(state, range, 0, end); });
  return all ? std::optional(end) : std::nullopt;
}

std::optional<StateId> MaskCache::behind_plain(StateId state) {
  behind_plain_.resize(std::max(behind_plain_.size(), states_.size()), kNone);
  if (behind_plain_[state.value()] == kNone) {
    const auto found = find_behind_plain(state);
    behind_plain_[state.value()] = found ? found->value() : kDiffers;
  }
  const std::uint32_t known = behind_plain_[state.value()];
  return known == kDiffers ? std::nullopt : std::optional(StateId(known));
}

bool MaskCache::find_plain_path(StateId state) {
  plain_path_ = {state};
  while (plain_path_.size() <= table_->plain.longest()) {
    const auto next = behind_plain(plain_path_.back());
    if (!next) return false;
    if (*next == kRefused) break;
    plain_path_.push_back(*next);
  }
  return plain_path_.size() > 1;
}

void MaskCache::fill_along_plain_path(Slot& slot) {
  const PlainWords& words = table_->plain;
  if (plain_path_.size() > words.longest()) {
    std::ranges::copy(words.mask(), slot.bits.begin());
  } else {
    std::ranges::fill(slot.bits, 0);
    allow(words.up_to(plain_path_.size() - 1), slot.bits);
  }
  for (std::size_t count = 0; count < plain_path_.size(); ++count) {
    if (count > 0) slot.bytes_after = std::max(slot.bytes_after, states_.cost(plain_path_[count]));
    fill_from(words.behind(count), plain_path_[count], slot);
  }
}

base::Result<MaskCache::Mask> MaskCache::mask(StateId state) {
  const Slot& slot = slot_of(state);
  PLAIT_TRY_VOID(check());
  return Mask(slot.bits);
}

base::Result<MaskCache::Mask> MaskCache::mask_within(StateId state, std::size_t left) {
  Slot& slot = slot_of(state);
  PLAIT_TRY_VOID(check());
  const bool plenty = bytes_suffice_ && left >= std::size_t{slot.bytes_after} + 2;
  const bool enough = slot.tokens_after != kNone && left >= std::size_t{slot.tokens_after} + 2;
  if (plenty || enough) return Mask(slot.bits);
  const std::uint32_t needed = tokens_to_end(state);
  if (needed == kNever) {
    return base::fail(base::ErrorCode::unsupported, "grammar: the vocabulary has no words for its shortest text");
  }
  within_.assign(words_, 0);
  std::uint32_t most = 0;
  // At most so many may be needed behind the token; needed - 1 are always possible.
  const std::size_t allowed = std::max<std::size_t>(left < 2 ? 0 : left - 1, needed);
  walk(table_->trie, state, 0, [&](std::span<const TokenId> tokens, StateId next) {
    const std::uint32_t after = tokens_to_end(next);
    most = std::max(most, after);
    if (after < allowed) allow(tokens, within_);
    return true;
  });
  PLAIT_TRY_VOID(check());
  slot.tokens_after = most;
  allow_end(state, within_);
  return Mask(within_);
}

StateId MaskCache::advance(StateId state, TokenId token) {
  const std::string_view piece = table_->tokenizer.piece(token);
  if (!table_->is_text(token) || piece.empty() || piece.size() > TokenTrie::kLongest) return kRefused;
  for (const char byte : piece) {
    state = states_.advance(state, static_cast<std::uint8_t>(byte));
    if (state == kRefused) return state;
  }
  return state;
}

/// The shortest rest in bytes and the states on it, up to what is known already and a token's length beyond: no token
/// that begins before reaches further.
void MaskCache::follow_shortest(StateId state) {
  path_ = {state};
  path_bytes_.clear();
  std::size_t known = 0;
  while (states_.cost(state) > 0 && known <= table_->trie.longest()) {
    const std::uint8_t byte = states_.shortest_byte(state);
    state = states_.advance(state, byte);
    if (state == kRefused) return path_.clear();  // deeper than allowed, or a limit
    path_bytes_ += static_cast<char>(byte);
    path_.push_back(state);
    const bool is_known = state.value() < tokens_to_end_.size() && tokens_to_end_[state.value()] != kNone;
    known = is_known ? known + 1 : 0;
  }
}

std::uint32_t MaskCache::tokens_to_end(StateId state) {
  if (state.value() < tokens_to_end_.size() && tokens_to_end_[state.value()] != kNone) {
    return tokens_to_end_[state.value()];
  }
  follow_shortest(state);
  if (path_.empty()) return kNever;
  tokens_to_end_.resize(std::max(tokens_to_end_.size(), states_.size()), kNone);
  for (std::size_t i = path_.size(); i-- > 0;) {
    std::uint32_t& fewest = tokens_to_end_[path_[i].value()];
    if (states_.cost(path_[i]) == 0) fewest = 0;
    if (fewest != kNone) continue;
    fewest = kNever;
    std::uint32_t node = 0;
    for (std::size_t k = i; k < path_bytes_.size(); ++k) {
      node = table_->trie.child(node, static_cast<std::uint8_t>(path_bytes_[k]));
      if (node == TokenTrie::kNone) break;
      const std::uint32_t rest = tokens_to_end_[path_[k + 1].value()];
      if (!table_->trie.tokens(node).empty() && rest < kNever) fewest = std::min(fewest, rest + 1);
    }
  }
  return tokens_to_end_[state.value()];
}

std::span<const TokenId> MaskCache::forced(StateId state) {
  forced_.clear();
  std::string bytes;
  while (bytes.size() < kForcedBytesMax) {
    const auto byte = states_.only_byte(state);
    if (!byte) break;
    const StateId next = states_.advance(state, *byte);
    if (next == kRefused) break;
    bytes += static_cast<char>(*byte);
    state = next;
  }
  if (bytes.empty()) return {};
  write_forced(bytes);
  cut_open_end(bytes, state);
  return forced_;
}

/// As the tokenizer writes it, if that is the same text: it may put a space before it, or not know a character.
void MaskCache::write_forced(std::string_view bytes) {
  if (!text::is_valid(bytes)) return write_fewest(bytes);
  forced_ = table_->tokenizer.encode(bytes, {.add_special = false, .parse_special = !table_->marks.empty()});
  std::string_view rest = bytes;
  for (const TokenId token : forced_) {
    const std::string_view piece = table_->tokenizer.piece(token);
    const bool plain = !piece.empty() && table_->is_text(token);
    if (!plain || !rest.starts_with(piece)) return write_fewest(bytes);
    rest.remove_prefix(piece.size());
  }
  if (!rest.empty()) write_fewest(bytes);
}

void MaskCache::write_fewest(std::string_view bytes) {
  std::vector<std::pair<std::uint32_t, TokenId>> best(bytes.size() + 1, {kNever, base::kNoToken});
  best.back().first = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    std::uint32_t node = 0;
    for (std::size_t k = i; k < bytes.size(); ++k) {
      node = table_->trie.child(node, static_cast<std::uint8_t>(bytes[k]));
      if (node == TokenTrie::kNone) break;
      if (table_->trie.tokens(node).empty() || best[k + 1].first + 1 >= best[i].first) continue;
      best[i] = {best[k + 1].first + 1, table_->trie.tokens(node).front()};
    }
  }
  forced_.clear();
  for (std::size_t i = 0; i < bytes.size() && best[i].second != base::kNoToken;) {
    forced_.push_back(best[i].second);
    i += table_->tokenizer.piece(best[i].second).size();
  }
}

/// Drops tokens from the first on in whose place a longer one could stand that goes on beyond the stretch: that is for
/// the model to choose.
void MaskCache::cut_open_end(std::string_view bytes, StateId end) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < forced_.size(); ++i) {
    std::uint32_t node = 0;
    for (std::size_t k = at; k < bytes.size() && node != TokenTrie::kNone; ++k) {
      node = table_->trie.child(node, static_cast<std::uint8_t>(bytes[k]));
    }
    bool open = false;
    if (node != TokenTrie::kNone) {
      walk(table_->trie, end, node, [&](std::span<const TokenId>, StateId) {
        open = true;
        return false;
      });
    }
    if (open) return forced_.resize(i);
    at += table_->tokenizer.piece(forced_[i]).size();
  }
}

}  // namespace plait::models
