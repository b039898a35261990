// SPDX-License-Identifier: Apache-2.0
//
// Within one call, a word that came before has its ids already in the output.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/id.h"

namespace plait::models {

/// Remembers where words and their ids are. Direct-mapped: a new word replaces an old one, so memory is bounded.
class WordRepeats {
 public:
  /// Room for a text of `bytes`: at most 2^15 words, 1.3 MB, to stay within a second-level cache. Not tuned.
  void start(std::size_t bytes) {
    entries_.assign(std::bit_ceil(std::min<std::size_t>(bytes / 64 + 1, 1u << 15)), Entry{});
  }

  /// Appends the ids of an equal word that is remembered. Requires: start() was called.
  [[nodiscard]] bool append(std::string_view word, std::uint64_t hash, std::vector<base::TokenId>& out) const {
    const Entry& entry = entries_[hash & (entries_.size() - 1)];
    if (entry.hash != hash || entry.word != word) return false;
    const std::size_t begin = out.size();
    out.resize(begin + entry.count);
    std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(entry.begin), entry.count,
                out.begin() + static_cast<std::ptrdiff_t>(begin));
    return true;
  }

  /// Remembers `word`, whose ids are out[begin, begin + count).
  void remember(std::string_view word, std::uint64_t hash, std::size_t begin, std::size_t count) {
    entries_[hash & (entries_.size() - 1)] = {hash, word, begin, count};
  }

 private:
  struct Entry {
    std::uint64_t hash = 0;
    std::string_view word = {};
    std::size_t begin = 0, count = 0;
  };
  std::vector<Entry> entries_;
};

}  // namespace plait::models
