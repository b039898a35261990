// SPDX-License-Identifier: Apache-2.0
//
// Two small tables of the tokenizers: texts by number, and numbers by text.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace plait::models {

/// A well-mixed hash of bytes.
[[nodiscard]] inline std::uint64_t hash_bytes(std::string_view bytes) {
  std::uint64_t hash = 0x9e3779b97f4a7c15ULL ^ bytes.size();
  const auto fold = [&hash](std::uint64_t word) {
    const auto product = static_cast<unsigned __int128>(hash ^ word) * 0xd1342543de82ef95ULL;
    hash = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  const char* data = bytes.data();
  std::size_t left = bytes.size();
  for (; left > 8; left -= 8, data += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, 8);
    fold(word);
  }
  std::uint64_t word = 0;
  if (left > 0) std::memcpy(&word, data, left);
  fold(word);
  return hash ^ (hash >> 29);
}

/// Texts 0, 1, 2 … in one piece of memory.
class TextList {
 public:
  void add(std::string_view text) {
    bytes_.append(text);
    ends_.push_back(bytes_.size());
  }
  void reserve(std::size_t texts, std::size_t bytes) {
    ends_.reserve(texts);
    bytes_.reserve(bytes);
  }
  [[nodiscard]] std::size_t size() const { return ends_.size(); }
  /// Requires: i < size(). Valid until the next add().
  [[nodiscard]] std::string_view operator[](std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;
};

/// From the texts of a TextList to their numbers. Holds no text itself: every call takes the list it was built from.
class TextIndex {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  /// Indexes those texts for which `wanted(i)` holds; of equal texts the last.
  template <class Wanted>
  void build(const TextList& texts, const Wanted& wanted) {
    slots_.assign(std::bit_ceil(texts.size() * 3 / 2 + 2), Slot{});
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (!wanted(i)) continue;
      const std::uint64_t hash = hash_bytes(texts[i]);
      slots_[place(texts, texts[i], hash)] = {tag(hash), static_cast<std::uint32_t>(i)};
    }
  }

  /// The number of `text`, or kNone. Requires: build(texts, …) was called.
  [[nodiscard]] std::uint32_t find(const TextList& texts, std::string_view text) const {
    return find(texts, text, hash_bytes(text));
  }
  /// The same with hash_bytes(text) at hand.
  [[nodiscard]] std::uint32_t find(const TextList& texts, std::string_view text, std::uint64_t hash) const {
    return slots_[place(texts, text, hash)].number;
  }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t number = kNone;
  };
  static std::uint32_t tag(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

  [[nodiscard]] std::size_t place(const TextList& texts, std::string_view text, std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].number != kNone && (slots_[at].tag != tag(hash) || texts[slots_[at].number] != text)) {
      at = (at + 1) & mask;
    }
    return at;
  }

  std::vector<Slot> slots_;  // open addressing, at most two thirds full
};

}  // namespace plait::models
