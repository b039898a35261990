// SPDX-License-Identifier: Apache-2.0
#include "models/bpe.h"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "base/random.h"
#include "text/utf8.h"

namespace plait::models {
namespace {

/// Byte-level vocabularies write each byte as a visible character: those that print stand for themselves, the 68 others
/// are U+0100, U+0101 … in order.
struct ByteAlphabet {
  char32_t character[256] = {};
  std::int16_t byte[0x144];

  ByteAlphabet() {
    std::ranges::fill(byte, std::int16_t{-1});
    char32_t next = 0x100;
    for (char32_t b = 0; b < 256; ++b) {
      const bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
      character[b] = prints ? b : next++;
      byte[character[b]] = static_cast<std::int16_t>(b);
    }
  }
};

const ByteAlphabet& alphabet() {
  static const ByteAlphabet table;
  return table;
}

std::size_t slot_hash(std::uint32_t left, std::uint32_t right) {
  return base::mix64((static_cast<std::uint64_t>(left) << 32) | right);
}

}  // namespace

bool bytes_of_byte_level(std::string_view token_text, std::string& out) {
  out.clear();
  while (!token_text.empty()) {
    const text::Decoded one = text::decode(token_text);
    if (!one.valid || one.code_point >= std::size(alphabet().byte) || alphabet().byte[one.code_point] < 0) return false;
    out.push_back(static_cast<char>(alphabet().byte[one.code_point]));
    token_text.remove_prefix(one.length);
  }
  return true;
}

Bpe::Bpe(const TextList& tokens, const std::vector<std::string_view>& merges, Rules rules)
    : rules_(rules), stable_(tokens.size()) {
  std::vector<bool> known(tokens.size());
  std::string bytes;
  std::ranges::fill(raw_byte_token_, TextIndex::kNone);
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    known[id] = !tokens[id].empty() && bytes_of_byte_level(tokens[id], bytes);
    words_.add(known[id] ? bytes : std::string_view());
    if (tokens[id].size() == 1) {
      raw_byte_token_[static_cast<unsigned char>(tokens[id][0])] = static_cast<std::uint32_t>(id);
    }
  }
  index_.build(words_, [&](std::size_t id) { return known[id]; });
  add_merges(merges);
}

void Bpe::add_merges(const std::vector<std::string_view>& merges) {
  std::vector<std::string> fresh;
  std::map<std::string, std::uint32_t, std::less<>> fresh_index;
  const auto symbol_of = [&](std::string_view bytes) {
    if (const std::uint32_t id = index_.find(words_, bytes); id != TextIndex::kNone) return id;
    const auto [place, is_new] =
        fresh_index.try_emplace(std::string(bytes), kUnnamed + static_cast<std::uint32_t>(fresh_index.size()));
    if (is_new) fresh.emplace_back(bytes);
    return place->second;
  };
  for (std::size_t b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(static_cast<unsigned char>(b));
    byte_symbol_[b] = symbol_of({&byte, 1});
  }
  merges_.assign(std::bit_ceil(merges.size() * 3 / 2 + 2), Entry{});
  const std::size_t mask = merges_.size() - 1;
  std::string left;
  std::string right;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::size_t gap = merges[rank].find(' ', 1);
    if (gap == std::string_view::npos || gap + 1 == merges[rank].size()) continue;
    if (!bytes_of_byte_level(merges[rank].substr(0, gap), left)) continue;
    if (!bytes_of_byte_level(merges[rank].substr(gap + 1), right)) continue;
    const std::uint32_t a = symbol_of(left);
    const std::uint32_t b = symbol_of(right);
    std::size_t at = slot_hash(a, b) & mask;
    while (merges_[at].left != 0xFFFFFFFF && (merges_[at].left != a || merges_[at].right != b)) at = (at + 1) & mask;
    if (merges_[at].left != 0xFFFFFFFF) continue;  // the first of two equal merges counts
    merges_[at] = {a, b, static_cast<std::uint32_t>(rank), symbol_of(left + right)};
  }
  for (const std::string& bytes : fresh) {
    std::string text;
    for (const char byte : bytes) text::append(text, alphabet().character[static_cast<unsigned char>(byte)]);
    unnamed_.add(text);
  }
}

Merge<std::uint32_t> Bpe::find(std::uint32_t left, std::uint32_t right) const {
  const std::size_t mask = merges_.size() - 1;
  std::size_t at = slot_hash(left, right) & mask;
  while (merges_[at].left != 0xFFFFFFFF) {
    if (merges_[at].left == left && merges_[at].right == right) return {merges_[at].rank, merges_[at].result};
    at = (at + 1) & mask;
  }
  return {};
}

void Bpe::merge_word(std::string_view word, Scratch& scratch, std::vector<base::TokenId>& out) const {
  auto& symbols = scratch.symbols;
  symbols.clear();
  for (const char byte : word) symbols.push_back(byte_symbol_[static_cast<unsigned char>(byte)]);
  merge_symbols(symbols, [this](std::uint32_t left, std::uint32_t right) { return find(left, right); }, scratch.merge);
  for (const std::uint32_t symbol : symbols) {
    if (symbol < kUnnamed) {
      out.emplace_back(static_cast<std::int32_t>(symbol));
      continue;
    }
    // As in llama.cpp: the bytes of the symbol's byte-level text, where a token is written as that byte.
    for (const char byte : unnamed_[symbol - kUnnamed]) {
      const std::uint32_t id = raw_byte_token_[static_cast<unsigned char>(byte)];
      if (id != TextIndex::kNone) out.emplace_back(static_cast<std::int32_t>(id));
    }
  }
}

void Bpe::encode_word(std::string_view word, Scratch& scratch, std::vector<base::TokenId>& out) const {
  const std::uint64_t hash = hash_bytes(word);
  const std::uint32_t whole = index_.find(words_, word, hash);
  const std::size_t begin = out.size();
  if (whole != TextIndex::kNone) {
    std::uint8_t known = rules_.whole_words ? 1 : stable_[whole].load(std::memory_order_relaxed);
    if (known == 0) {
      merge_word(word, scratch, out);
      const bool same = out.size() == begin + 1 && out[begin].value() == static_cast<std::int32_t>(whole);
      // Relaxed: the byte is the whole message, and every thread would write the same.
      stable_[whole].store(same ? 1 : 2, std::memory_order_relaxed);
      return;
    }
    if (known == 1) {
      out.emplace_back(static_cast<std::int32_t>(whole));
      return;
    }
  }
  if (scratch.repeats.append(word, hash, out)) return;
  merge_word(word, scratch, out);
  scratch.repeats.remember(word, hash, begin, out.size() - begin);
}

void Bpe::encode(std::string_view text, Scratch& scratch, std::vector<base::TokenId>& out) const {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = next_word_end(rules_.rule, text, at);
    encode_word(text.substr(at, end - at), scratch, out);
    at = end;
  }
}

}  // namespace plait::models
