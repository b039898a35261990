// SPDX-License-Identifier: Apache-2.0
//
// What a strand says, and how it is changed at its end.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "reasoning/detail/strand.h"
#include "text/utf8.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::TokenId;

/// Texts are tokenised together up to here: it takes some milliseconds, which others wait for.
constexpr std::size_t kRejoinedBytes = std::size_t{16} << 10U;

std::size_t common_beginning(std::span<const TokenId> a, std::span<const TokenId> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

std::vector<TokenId> Strand::tokens() const {
  return sequence ? owner.engine.tokens(*sequence) : std::vector<TokenId>();
}

Result<void> Strand::check_room(std::size_t kept, std::size_t more) const {
  if (kept + more <= owner.model.context) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("the strand would have {} tokens: the context holds {}", kept + more, owner.model.context));
}

Result<void> Strand::replace_end(std::size_t kept, std::span<const TokenId> more) {
  if (more.empty()) {  // needs no room: the last token that was generated may stand beyond the context
    if (kept < length) PLAIT_TRY_VOID(owner.engine.trim(*sequence, kept));
    length = kept;
    run_.reset();
    return {};
  }
  PLAIT_TRY_VOID(check_room(kept, more.size()));
  std::vector<TokenId> old;
  if (kept < length) {
    const std::vector<TokenId> all = tokens();
    old.assign(all.begin() + static_cast<std::ptrdiff_t>(kept), all.end());
    PLAIT_TRY_VOID(owner.engine.trim(*sequence, kept));
  }
  if (auto appended = owner.engine.append(*sequence, more); !appended) {
    PLAIT_TRY_VOID(owner.engine.append(*sequence, old));
    return appended;
  }
  length = kept + more.size();
  run_.reset();
  return {};
}

Result<void> Strand::append_tokens(std::span<const TokenId> more) { return replace_end(length, more); }

Result<void> Strand::append_text(std::string_view text, bool parse_special, const std::vector<TokenId>* alone) {
  if (text.empty() && length > 0) return {};
  const auto& tokenizer = *owner.model.tokenizer;
  if (length == 0) {
    const std::vector<TokenId> encoded =
        alone != nullptr ? *alone : tokenizer.encode(text, {.parse_special = parse_special});
    PLAIT_TRY_VOID(replace_end(0, encoded));
    if (!text.empty()) run_ = TextRun{std::string(text), 0, parse_special};
    return {};
  }
  const bool goes_on =
      run_ && run_->parse_special == parse_special && run_->text.size() + text.size() <= kRejoinedBytes;
  TextRun run = goes_on ? *run_ : TextRun{{}, length, parse_special};
  run.text += text;
  const std::vector<TokenId> encoded = run.start == 0 ? tokenizer.encode(run.text, {.parse_special = parse_special})
                                                      : encode_behind(tokenizer, run.text, parse_special);
  const std::vector<TokenId> all = tokens();
  const std::size_t same = run.start + common_beginning(std::span(all).subspan(run.start), encoded);
  PLAIT_TRY_VOID(replace_end(same, std::span(encoded).subspan(same - run.start)));
  run_ = std::move(run);
  return {};
}

// Behind an earlier conversation: the template renders all of it, with what was written since as the assistant's turn.
Result<void> Strand::append_messages(const Piece& piece) {
  if (length == 0 || !chat_) {
    const std::size_t before = length;
    std::vector<TokenId> added = piece.tokens;
    const TokenId begin = owner.model.tokenizer->bos();
    if (before > 0 && !added.empty() && added.front() == begin) added.erase(added.begin());
    PLAIT_TRY_VOID(append_tokens(added));
    // Behind a text the conversation cannot be rendered anew, since the template knows nothing of the text.
    if (before == 0) chat_ = Chat{piece.messages, piece.options, length};
    return {};
  }
  const std::vector<TokenId> all = tokens();
  Chat chat = *chat_;
  const std::string answer = owner.model.tokenizer->decode(std::span(all).subspan(chat.end));
  if (!answer.empty()) chat.messages.push_back({{"role", "assistant"}, {"content", answer}});
  for (const text::Json& message : piece.messages) chat.messages.push_back(message);
  chat.options = piece.options;
  PLAIT_TRY(const Piece whole, chat_piece(owner.model, chat.messages, chat.options));
  const std::size_t same = common_beginning(all, whole.tokens);
  if (same < joined_end) {
    return fail(ErrorCode::invalid_argument, "messages cannot follow a join by spans: the template writes it anew");
  }
  PLAIT_TRY_VOID(replace_end(same, std::span(whole.tokens).subspan(same)));
  chat.end = length;
  chat_ = std::move(chat);
  return {};
}

Result<void> Strand::append_piece(const Piece& piece) {
  switch (piece.kind) {
    case Piece::Kind::text:
      return append_text(piece.text, piece.parse_special, &piece.tokens);
    case Piece::Kind::messages:
      return append_messages(piece);
    case Piece::Kind::tokens:
      return append_tokens(piece.tokens);
  }
  return {};
}

std::optional<Boundary> Strand::boundary() {
  if (!tree->options.heal || !run_ || length < joined_end + 2 || run_->start >= length) return std::nullopt;
  const models::TokenMaskTable* words = owner.words();
  if (words == nullptr) return std::nullopt;
  Boundary boundary{.token = tokens().back()};
  boundary.bytes = owner.model.tokenizer->piece(boundary.token);
  const models::TokenKind kind = owner.model.tokenizer->kind(boundary.token);
  const bool is_text = kind == models::TokenKind::normal || kind == models::TokenKind::byte;
  if (!is_text || boundary.bytes.empty() || !text::is_valid(boundary.bytes)) return std::nullopt;
  for (const char byte : boundary.bytes) {
    boundary.node = words->trie.child(boundary.node, static_cast<std::uint8_t>(byte));
    if (boundary.node == models::TokenTrie::kNone) return std::nullopt;
  }
  if (words->trie.tokens_from(boundary.node).size() < 2) return std::nullopt;
  return boundary;
}

void Strand::settle(bool changed) {
  const std::size_t before = std::exchange(length, tokens().size());
  if (changed || length != before) run_.reset();
}

void Strand::end_generation() {
  if (closed) return owner.engine.close(*sequence);
  owner.engine.cancel(*sequence);
}

std::optional<std::vector<TokenId>> Strand::tokens_since_fork() const {
  PLAIT_CHECK(at_fork_ != nullptr);
  std::vector<TokenId> all = tokens();
  if (common_beginning(all, *at_fork_) < at_fork_->size()) return std::nullopt;
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(at_fork_->size()));
  return all;
}

Result<std::string> Strand::text_since_fork() const {
  const std::vector<TokenId> all = tokens();
  const std::size_t same = common_beginning(all, *at_fork_);
  const std::string before = owner.model.tokenizer->decode(std::span(*at_fork_).subspan(same), true);
  std::string now = owner.model.tokenizer->decode(std::span(all).subspan(same), true);
  if (!now.starts_with(before)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("strand {} is not what it was at the fork: what follows cannot be joined", id.value()));
  }
  return now.substr(before.size());
}

}  // namespace plait::reasoning
