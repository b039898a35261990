// SPDX-License-Identifier: Apache-2.0
//
// Byte-level BPE: a word is its bytes, and pairs of symbols merge in the order of a list. Words come from the
// pre-tokenizer.
//
// Cost: prose is mostly words that are one token; each is one look-up. Other words merge once a call and are then
// copied.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "models/bpe_merge.h"
#include "models/pretokenizer.h"
#include "models/tokenizer_repeats.h"
#include "models/tokenizer_words.h"

namespace plait::models {

/// The bytes that a byte-level token's text stands for ("Ġthe" → " the"). False if the text has a character that stands
/// for no byte; `out` is then unspecified.
[[nodiscard]] bool bytes_of_byte_level(std::string_view token_text, std::string& out);

class Bpe {  // immutable apart from a cache; any thread
 public:
  struct Rules {
    PreTokenizerRule rule = PreTokenizerRule::standard;
    bool whole_words = false;  ///< A word that is a token is that token, whatever the merges say.
  };
  struct Scratch {
    WordRepeats repeats;
    std::vector<std::uint32_t> symbols;
    MergeScratch<std::uint32_t> merge;
  };

  /// `tokens`: texts as in the model file. Merges that can never apply are dropped.
  Bpe(const TextList& tokens, const std::vector<std::string_view>& merges, Rules rules);
  Bpe(const Bpe&) = delete;
  Bpe& operator=(const Bpe&) = delete;

  /// Appends the ids of a piece of text. Requires: valid UTF-8, in memory until the last call with this `scratch`.
  void encode(std::string_view text, Scratch& scratch, std::vector<base::TokenId>& out) const;

 private:
  static constexpr std::uint32_t kUnnamed = 0x80000000;  // symbols that are no token: kUnnamed + place in unnamed_
  struct Entry {
    std::uint32_t left = 0xFFFFFFFF, right = 0, rank = 0, result = 0;
  };

  void add_merges(const std::vector<std::string_view>& merges);
  [[nodiscard]] Merge<std::uint32_t> find(std::uint32_t left, std::uint32_t right) const;
  void encode_word(std::string_view word, Scratch& scratch, std::vector<base::TokenId>& out) const;
  void merge_word(std::string_view word, Scratch& scratch, std::vector<base::TokenId>& out) const;

  Rules rules_;
  TextList words_;  // [token]: the bytes it stands for; those that stand for none are not in the index
  TextIndex index_;
  TextList unnamed_;  // byte-level texts of symbols without a token
  std::uint32_t byte_symbol_[256] = {};
  std::uint32_t raw_byte_token_[256] = {};  // the token whose text in the file is this one byte
  std::vector<Entry> merges_;               // open addressing by (left, right)
  // Whether merging a token's bytes gives that token: 0 not known yet, 1 yes, 2 no. Each thread finds the same answer.
  mutable std::vector<std::atomic<std::uint8_t>> stable_;
};

}  // namespace plait::models
