// SPDX-License-Identifier: Apache-2.0
#include "models/sentencepiece.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "text/utf8.h"

namespace plait::models {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581
constexpr char32_t kSpaceMarkPoint = 0x2581;

/// Ranks in the order of falling scores; equal scores have equal ranks. A score that is no number comes last.
std::uint32_t rank_of(float score) {
  if (std::isnan(score)) return kNoRank - 1;
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // -0 becomes +0
  const std::uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return std::min(~ascending, kNoRank - 1);
}

}  // namespace

SentencePiece::SentencePiece(const TextList& tokens, const TextIndex& index, const std::vector<float>& scores,
                             base::TokenId unknown)
    : tokens_(tokens), index_(index) {
  ranks_.reserve(tokens.size());
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    ranks_.push_back(rank_of(scores[id]));
    longest_token_ = std::max(longest_token_, tokens[id].size());
    char32_t last = 0;
    for (std::string_view rest = tokens[id]; !rest.empty();) {
      const text::Decoded one = text::decode(rest);
      if (!one.valid) break;  // no text that is encoded has this token's bytes
      const char32_t code = one.code_point == kSpaceMarkPoint ? U' ' : one.code_point;
      if (rest.size() != tokens[id].size()) pairs_.add(last, code);
      last = code;
      rest.remove_prefix(one.length);
    }
  }
  for (std::uint32_t b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(static_cast<unsigned char>(b));
    byte_token_[b] = index_.find(tokens_, fmt::format("<0x{:02X}>", b));
    if (byte_token_[b] == TextIndex::kNone) byte_token_[b] = index_.find(tokens_, {&byte, 1});
    if (byte_token_[b] == TextIndex::kNone && unknown != base::kNoToken) {
      byte_token_[b] = static_cast<std::uint32_t>(unknown.value());
    }
  }
}

void SentencePiece::emit(std::string_view escaped, const Symbol& symbol, std::vector<base::TokenId>& out) const {
  if (symbol.token != TextIndex::kNone) {
    out.emplace_back(static_cast<std::int32_t>(symbol.token));
    return;
  }
  for (const char byte : escaped.substr(symbol.begin, symbol.end - symbol.begin)) {
    const std::uint32_t id = byte_token_[static_cast<unsigned char>(byte)];
    if (id != TextIndex::kNone) out.emplace_back(static_cast<std::int32_t>(id));
  }
}

void SentencePiece::merge_word(std::string_view word, Scratch& scratch, std::vector<base::TokenId>& out) const {
  auto& [unused, escaped, symbols, merge] = scratch;
  escaped.clear();
  for (const char c : word) {
    if (c == ' ') {
      escaped += kSpaceMark;
    } else {
      escaped += c;
    }
  }
  const std::string_view text = escaped;
  symbols.clear();
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = static_cast<std::uint32_t>(at);
    static_cast<void>(text::next_valid(text, at));
    symbols.push_back({begin, static_cast<std::uint32_t>(at), index_.find(tokens_, text.substr(begin, at - begin))});
  }
  const auto lookup = [&](const Symbol& left, const Symbol& right) -> Merge<Symbol> {
    const std::size_t length = right.end - left.begin;
    if (length > longest_token_) return {};
    const std::uint32_t token = index_.find(tokens_, text.substr(left.begin, length));
    if (token == TextIndex::kNone) return {};
    return {ranks_[token], {left.begin, right.end, token}};
  };
  merge_symbols(symbols, lookup, merge);
  for (const Symbol& symbol : symbols) emit(text, symbol, out);
}

void SentencePiece::encode_word(std::string_view word, Scratch& scratch, std::vector<base::TokenId>& out) const {
  const std::size_t begin = out.size();
  const std::uint64_t hash = hash_bytes(word);
  if (scratch.repeats.append(word, hash, out)) return;
  merge_word(word, scratch, out);
  scratch.repeats.remember(word, hash, begin, out.size() - begin);
}

void SentencePiece::encode(std::string_view text, Scratch& scratch, std::vector<base::TokenId>& out) const {
  const auto code_of = [&](std::size_t& at) {
    const char32_t code = text::next_valid(text, at);
    return code == kSpaceMarkPoint ? U' ' : code;
  };
  std::size_t begin = 0;
  std::size_t at = 0;
  char32_t last = 0;
  while (at < text.size()) {
    const std::size_t here = at;
    const char32_t code = code_of(at);
    if (here > begin && !pairs_.may_contain(last, code)) {
      encode_word(text.substr(begin, here - begin), scratch, out);
      begin = here;
    }
    last = code;
  }
  if (begin < text.size()) encode_word(text.substr(begin), scratch, out);
}

}  // namespace plait::models
