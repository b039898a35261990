// SPDX-License-Identifier: Apache-2.0
#include "engine/answer_guide.h"

#include <algorithm>

#include "base/check.h"
#include "text/utf8.h"

namespace plait::engine {

using base::TokenId;
using models::GrammarState;
using models::kOffGrammar;

namespace {

// Tokens that a character may need beyond the one at which a thought should end.
constexpr std::size_t kCharacterTokens = 4;

bool is_space(char byte) { return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r'; }
bool is_mark(char byte) { return byte == '{' || byte == '[' || byte == ':' || byte == ','; }

}  // namespace

bool TextWatch::push(char byte) {
  if (!alive_) return false;
  if (at_start_ && byte != text_[at_]) {
    const bool between = at_ == 0 || is_mark(text_[at_ - 1]) || is_mark(text_[at_]) || text_[at_ - 1] == ' ';
    if (is_space(byte) && between) return false;
    if (text_[at_] == ' ') ++at_;
  }
  if (byte == text_[at_]) {
    if (++at_ < text_.size()) return false;
    at_ = 0;
    alive_ = !at_start_;
    return true;
  }
  alive_ = !at_start_;
  at_ = byte == text_.front() ? 1 : 0;
  return false;
}

AnswerGuide::AnswerGuide(const models::TokenMaskTable& table, models::MaskCache* masks,
                         const AnswerGuideOptions& options, std::size_t tokens_max)
    : table_(table), masks_(masks), options_(options), limited_(tokens_max > 0), left_(tokens_max) {
  PLAIT_CHECK(masks != nullptr || options.grammar_at == GrammarAt::never);
  if (masks != nullptr) least_ = masks->tokens_to_end(masks->start()) + std::size_t{1};
  if (options.thinks || options.may_think) {
    closing_ = table.tokenizer.encode("\n</think>\n\n", {.add_special = false});
  }
  if (options.may_think && !options.thinks) thought_opening_ = TextWatch(models::kThoughtOpening, true);
  if (options.thinks) {
    begin_thought();
  } else {
    end_thought();
  }
}

std::size_t AnswerGuide::tokens_min() const {
  if (options_.grammar_at != GrammarAt::start) return 0;
  return least_ - 1 + (options_.thinks ? closing_.size() : 0);
}

void AnswerGuide::begin_thought() {
  phase_ = Phase::thought;
  grammar_.reset();
  thought_tokens_ = 0;
  thought_opening_ = {};
  thought_closing_ = TextWatch(models::kThoughtClosing, false);
}

void AnswerGuide::end_thought() {
  phase_ = options_.grammar_at == GrammarAt::start ? Phase::grammar : Phase::free;
  if (phase_ == Phase::grammar) grammar_.emplace(*masks_, limited_ ? std::max<std::size_t>(left_, 1) : 0);
  if (options_.grammar_at == GrammarAt::opening) {
    call_opening_ = TextWatch(options_.opening.text, options_.opening.at_start);
  }
}

bool AnswerGuide::thought_is_over() const {
  if (!text::is_valid(character_)) return false;
  const bool spent = options_.thought_tokens_max && thought_tokens_ >= *options_.thought_tokens_max;
  const bool needed = options_.grammar_at == GrammarAt::start && !has_left(closing_.size() + least_ + kCharacterTokens);
  return spent || needed;
}

/// The thought's end as tokens that must follow, and what the grammar adds to them.
std::span<const TokenId> AnswerGuide::close_thought() {
  left_ -= std::min(left_, closing_.size());
  forced_ = closing_;
  end_thought();
  if (phase_ != Phase::grammar) return forced_;
  const auto more = grammar_->force();
  forced_.insert(forced_.end(), more.begin(), more.end());
  return forced_;
}

GrammarState AnswerGuide::state_behind(std::string_view bytes, GrammarState state) {
  for (const char byte : bytes) {
    if (state == kOffGrammar) break;
    state = masks_->states().advance(state, static_cast<std::uint8_t>(byte));
  }
  return state;
}

void AnswerGuide::allow_all() { mask_.assign((table_.tokenizer.size() + 63) / 64, ~std::uint64_t{0}); }

void AnswerGuide::forbid(TokenId token) {
  const auto id = static_cast<std::size_t>(token.value());
  mask_[id / 64] &= ~(std::uint64_t{1} << (id % 64));
}

template <class Fits>
std::vector<TokenId> AnswerGuide::unfit(std::string_view rest, Fits fits) const {
  std::vector<TokenId> tokens;
  std::uint32_t node = 0;
  for (const char byte : rest) {
    node = table_.trie.child(node, static_cast<std::uint8_t>(byte));
    if (node == models::TokenTrie::kNone) return tokens;
  }
  for (const TokenId token : table_.trie.tokens_from(node)) {
    if (!fits(table_.tokenizer.piece(token).substr(rest.size()))) tokens.push_back(token);
  }
  return tokens;
}

std::span<const std::uint64_t> AnswerGuide::only(TokenId token) {
  mask_.assign((table_.tokenizer.size() + 63) / 64, 0);
  const auto id = static_cast<std::size_t>(token.value());
  mask_[id / 64] = std::uint64_t{1} << (id % 64);
  return mask_;
}

base::Result<std::span<const std::uint64_t>> AnswerGuide::grammar_mask() {
  PLAIT_TRY(const auto mask, grammar_->mask());
  const TokenId thought = first_ && options_.may_think && has_left(closing_.size() + least_ + kCharacterTokens)
                              ? table_.tokenizer.find(models::kThoughtOpening)
                              : base::kNoToken;
  if (thought == base::kNoToken || !table_.is_text(thought)) return mask;
  mask_.assign(mask.begin(), mask.end());
  const auto id = static_cast<std::size_t>(thought.value());
  mask_[id / 64] |= std::uint64_t{1} << (id % 64);
  return std::span<const std::uint64_t>(mask_);
}

// Where something must come behind it, a thought cannot be the end.
std::span<const std::uint64_t> AnswerGuide::thought_mask() {
  if (thought_is_over()) return only(closing_.front());
  if (options_.grammar_at != GrammarAt::start) return {};
  allow_all();
  for (const TokenId end : table_.tokenizer.end_of_generation()) forbid(end);
  if (!thought_closing_.begun()) return mask_;
  const auto fits = [](std::string_view behind) { return std::ranges::all_of(behind, is_space); };
  for (const TokenId token : unfit(thought_closing_.rest(), fits)) forbid(token);
  return mask_;
}

std::span<const std::uint64_t> AnswerGuide::free_mask() {
  const bool enough = has_left(least_);
  if (!call_opening_.alive() || (!call_opening_.begun() && enough)) return {};
  const GrammarState opened = state_behind(options_.opening.text, masks_->start());
  const auto fits = [&](std::string_view behind) { return enough && state_behind(behind, opened) != kOffGrammar; };
  const std::vector<TokenId> tokens = unfit(call_opening_.rest(), fits);
  if (tokens.empty()) return {};
  allow_all();
  for (const TokenId token : tokens) forbid(token);
  return mask_;
}

base::Result<std::span<const std::uint64_t>> AnswerGuide::mask() {
  if (phase_ == Phase::grammar) return grammar_mask();
  return phase_ == Phase::thought ? thought_mask() : free_mask();
}

std::span<const TokenId> AnswerGuide::accept(TokenId token) {
  const bool first = std::exchange(first_, false);
  const std::string_view piece = table_.is_text(token) ? table_.tokenizer.piece(token) : std::string_view();
  const bool opens = first && options_.may_think && piece == models::kThoughtOpening;
  if (phase_ == Phase::grammar && !opens) return grammar_->accept(token);
  if (left_ > 0) --left_;
  if (phase_ == Phase::grammar) {
    begin_thought();
    return thought_bytes({});
  }
  if (phase_ == Phase::free) return free_bytes(piece);
  if (thought_is_over() && token == closing_.front()) {
    ++left_;
    return close_thought().subspan(1);
  }
  ++thought_tokens_;
  return thought_bytes(piece);
}

std::span<const TokenId> AnswerGuide::thought_bytes(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (!thought_closing_.push(bytes[i])) continue;
    character_.clear();
    end_thought();
    return phase_ == Phase::grammar ? grammar_->force() : free_bytes(bytes.substr(i + 1));
  }
  character_ += bytes;
  static_cast<void>(text::take_complete(character_));
  return thought_is_over() ? close_thought() : std::span<const TokenId>();
}

std::span<const TokenId> AnswerGuide::free_bytes(std::string_view bytes) {
  if (bytes == "<|python_tag|>" && !call_opening_.begun()) return {};  // may stand before a call of the format llama
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (thought_opening_.push(bytes[i])) {
      begin_thought();
      return thought_bytes(bytes.substr(i + 1));
    }
    if (!call_opening_.push(bytes[i])) continue;
    const GrammarState state = state_behind(bytes.substr(i + 1), state_behind(options_.opening.text, masks_->start()));
    if (state == kOffGrammar) continue;
    phase_ = Phase::grammar;
    grammar_.emplace(*masks_, limited_ ? std::max<std::size_t>(left_, 1) : 0, state);
    return grammar_->force();
  }
  return {};
}

}  // namespace plait::engine
