// SPDX-License-Identifier: Apache-2.0
#include "models/plain_words.h"

#include <algorithm>

#include "text/utf8.h"

namespace plait::models {

using base::TokenId;

namespace {

struct Start {
  std::size_t count = 0;  // plain characters
  std::size_t bytes = 0;  // of them
};

Start plain_start(std::string_view word) {
  Start start;
  while (start.bytes < word.size() && start.count < PlainWords::kCountMax) {
    const auto byte = static_cast<std::uint8_t>(word[start.bytes]);
    std::size_t length = PlainWords::is_plain(byte) ? 1 : 0;
    if (byte >= 0x80) {
      const text::Decoded character = text::decode(word.substr(start.bytes));
      if (character.valid) length = character.length;
    }
    if (length == 0) break;
    start.bytes += length;
    ++start.count;
  }
  return start;
}

}  // namespace

PlainWords::PlainWords(std::span<const TokenTrie::Word> words, std::size_t vocabulary) : mask_((vocabulary + 63) / 64) {
  std::vector<std::vector<TokenId>> plain(kCountMax + 1);
  std::vector<std::vector<TokenTrie::Word>> behind(kCountMax + 1);
  std::size_t longest = 0;
  for (const auto& [word, token] : words) {
    const Start start = plain_start(word);
    longest = std::max(longest, start.count);
    if (start.bytes < word.size()) {
      behind[start.count].emplace_back(word.substr(start.bytes), token);
      continue;
    }
    plain[start.count].push_back(token);
    const auto id = static_cast<std::size_t>(token.value());
    mask_[id / 64] |= std::uint64_t{1} << (id % 64);
  }
  for (std::size_t count = 0; count <= longest; ++count) {
    std::ranges::sort(plain[count]);
    plain_.insert(plain_.end(), plain[count].begin(), plain[count].end());
    ends_.push_back(plain_.size());
    behind_.emplace_back(std::move(behind[count]));
  }
}

}  // namespace plait::models
