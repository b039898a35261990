// SPDX-License-Identifier: Apache-2.0
//
// SentencePiece with scores: a text is its characters, spaces written as U+2581, and of all neighbours whose joint text
// is a token, the pair with the highest score merges first. What stays without a token is written as byte tokens.
//
// There is no pre-tokenizer, but a text falls apart all the same: where two characters meet that stand side by side in
// no token, nothing can ever merge across. Cutting there changes no id and leaves words short, so that they can be
// looked up.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/random.h"
#include "models/bpe_merge.h"
#include "models/tokenizer_repeats.h"
#include "models/tokenizer_words.h"

namespace plait::models {

class SentencePiece {  // immutable; any thread
 public:
  /// A stretch of the escaped word and its token, if it has one.
  struct Symbol {
    std::uint32_t begin = 0, end = 0;
    std::uint32_t token = TextIndex::kNone;
  };
  struct Scratch {
    WordRepeats repeats;
    std::string escaped;
    std::vector<Symbol> symbols;
    MergeScratch<Symbol> merge;
  };

  /// `tokens`: texts as in the model file, and their index; both must outlive the object. `scores`: one per token.
  /// `unknown`: for bytes that have no token, or kNoToken to drop them.
  SentencePiece(const TextList& tokens, const TextIndex& index, const std::vector<float>& scores,
                base::TokenId unknown);
  SentencePiece(const SentencePiece&) = delete;
  SentencePiece& operator=(const SentencePiece&) = delete;

  /// Appends the ids of a piece of text. Requires: valid UTF-8 of less than 4 GiB, in memory until the last call with
  /// this `scratch`.
  void encode(std::string_view text, Scratch& scratch, std::vector<base::TokenId>& out) const;

 private:
  /// Pairs of characters that stand side by side in some token; may contain others too.
  class Pairs {
   public:
    void add(char32_t left, char32_t right) {
      const std::size_t at = place(left, right);
      bits_[at >> 6] |= std::uint64_t{1} << (at & 63);
    }
    [[nodiscard]] bool may_contain(char32_t left, char32_t right) const {
      const std::size_t at = place(left, right);
      return (bits_[at >> 6] >> (at & 63) & 1) != 0;
    }

   private:
    /// Pairs below 128 have a corner of their own, so that those of most texts never collide.
    [[nodiscard]] static std::size_t place(char32_t left, char32_t right) {
      if (left < 128 && right < 128) return (left << 7) | right;
      return base::mix64((static_cast<std::uint64_t>(left) << 21) | right) & ((1u << 20) - 1);
    }
    std::vector<std::uint64_t> bits_ = std::vector<std::uint64_t>(std::size_t{1} << 14);  // 2^20 bits, 128 KiB
  };

  void encode_word(std::string_view word, Scratch& scratch, std::vector<base::TokenId>& out) const;
  void merge_word(std::string_view word, Scratch& scratch, std::vector<base::TokenId>& out) const;
  void emit(std::string_view escaped, const Symbol& symbol, std::vector<base::TokenId>& out) const;

  const TextList& tokens_;
  const TextIndex& index_;
  std::vector<std::uint32_t> ranks_;  // [token]: the higher the score, the lower
  std::size_t longest_token_ = 0;
  std::array<std::uint32_t, 256> byte_token_ = {};
  Pairs pairs_;
};

}  // namespace plait::models
