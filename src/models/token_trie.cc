// SPDX-License-Identifier: Apache-2.0
#include "models/token_trie.h"

#include <algorithm>
#include <utility>

namespace plait::models {

using base::TokenId;

std::vector<TokenTrie::Word> TokenTrie::words_of(const Tokenizer& tokenizer, std::span<const TokenId> marks) {
  std::vector<Word> words;
  for (std::size_t i = 0; i < tokenizer.size(); ++i) {
    const TokenId id(static_cast<std::int32_t>(i));
    const TokenKind kind = tokenizer.kind(id);
    const bool text = kind == TokenKind::normal || kind == TokenKind::user_defined || kind == TokenKind::byte ||
                      std::ranges::find(marks, id) != marks.end();
    const std::string_view piece = tokenizer.piece(id);
    if (!text || piece.empty() || piece.size() > kLongest || tokenizer.is_end_of_generation(id)) continue;
    words.emplace_back(piece, id);
  }
  return words;
}

TokenTrie::TokenTrie(std::vector<Word> words) {
  std::ranges::sort(words);  // compares bytes as unsigned: char_traits does
  nodes_.push_back({});
  std::vector<std::uint32_t> path{0};  // the nodes of the word before
  std::string_view before;
  for (const auto& [word, id] : words) {
    const auto differs = std::ranges::mismatch(word, before);
    const auto shared = static_cast<std::size_t>(differs.in1 - word.begin());
    for (; path.size() > shared + 1; path.pop_back())
      nodes_[path.back()].end = static_cast<std::uint32_t>(nodes_.size());
    for (std::size_t i = shared; i < word.size(); ++i) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back({.first_token = static_cast<std::uint32_t>(tokens_.size()),
                        .depth = static_cast<std::uint16_t>(i + 1),
                        .byte = static_cast<std::uint8_t>(word[i])});
    }
    tokens_.push_back(id);
    longest_ = std::max(longest_, word.size());
    before = word;
  }
  for (const std::uint32_t id : path) nodes_[id].end = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back({.first_token = static_cast<std::uint32_t>(tokens_.size())});
  for (std::uint32_t id = size(); id-- > 0;) {  // children come before their parent
    for (std::uint32_t at = id + 1; at < nodes_[id].end; at = nodes_[at].end) {
      nodes_[id].classes |= nodes_[at].classes | std::uint32_t{1} << class_of(nodes_[at].byte);
    }
  }
}

std::uint32_t TokenTrie::class_of(std::uint8_t byte) {
  if (byte >= 0x80) return byte < 0xC0 ? 0 : 1;
  if (byte < 0x20) return 2;
  if (byte >= 'a' && byte <= 'z') return 3;
  if (byte >= 'A' && byte <= 'Z') return 4;
  if (byte >= '0' && byte <= '9') return 5;
  // Marks: those that grammars tell apart have a class of their own.
  static constexpr std::string_view kOwn = " \"\\,:{}[]().-_+/*=<>;'";
  const std::size_t own = kOwn.find(static_cast<char>(byte));
  return own == std::string_view::npos ? 6 : static_cast<std::uint32_t>(7 + own);
}

std::uint32_t TokenTrie::child(std::uint32_t id, std::uint8_t byte) const {
  for (std::uint32_t at = id + 1; at < nodes_[id].end; at = nodes_[at].end) {
    if (nodes_[at].byte == byte) return at;
  }
  return kNone;
}

}  // namespace plait::models
