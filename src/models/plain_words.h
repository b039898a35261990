// SPDX-License-Identifier: Apache-2.0
//
// The words of a vocabulary as they look from inside a string of JSON: some plain characters, which say nothing about
// where the string ends, and what stands behind them.
//
//   `some "x": `   is 5 plain characters and then `"x": `
//
// A grammar that takes any plain character for any other has one state behind each count of them. So what a word means
// to it depends on the count and on the rest alone, and there are few different rests: a mask looks at those instead of
// at all words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "models/token_trie.h"

namespace plait::models {

class PlainWords {  // immutable; any thread
 public:
  /// Characters of a word beyond these belong to what stands behind.
  static constexpr std::size_t kCountMax = 32;

  /// `words`: those of a trie. `vocabulary`: bits of a mask. O(bytes of the words, sorted).
  PlainWords(std::span<const TokenTrie::Word> words, std::size_t vocabulary);

  /// Stands for itself in a string of JSON: neither `"` nor `\` nor a control character.
  [[nodiscard]] static constexpr bool is_plain(std::uint8_t ascii) {
    return ascii >= 0x20 && ascii < 0x80 && ascii != '"' && ascii != '\\';
  }

  /// Most plain characters that any word begins with, at most kCountMax.
  [[nodiscard]] std::size_t longest() const { return behind_.size() - 1; }
  /// Words of plain characters alone, at most `count` of them.
  [[nodiscard]] std::span<const base::TokenId> up_to(std::size_t count) const {
    return std::span(plain_).first(count < ends_.size() ? ends_[count] : plain_.size());
  }
  /// All of these as a mask.
  [[nodiscard]] std::span<const std::uint64_t> mask() const { return mask_; }
  /// What stands behind `count` plain characters. Requires: count <= longest().
  [[nodiscard]] const TokenTrie& behind(std::size_t count) const { return behind_[count]; }

 private:
  std::vector<base::TokenId> plain_;  // by count
  std::vector<std::size_t> ends_;     // [count]: into plain_
  std::vector<std::uint64_t> mask_;
  std::vector<TokenTrie> behind_;  // [count]
};

}  // namespace plait::models
