// SPDX-License-Identifier: Apache-2.0
//
// A value that one thread writes while others may read it. Reads that overlap a write give a mixture of old and new
// words; whoever reads asks the node's version afterwards and throws the mixture away.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace plait::index::detail {

/// What fits a node: copied as bytes, at most two machine words.
template <class T>
concept Cellular = std::is_trivially_copyable_v<T> && sizeof(T) <= 16;

/// Loads acquire and stores release. Together they stand for the two fences of a sequence lock (Boehm, MSPC 2012),
/// which thread checkers do not understand: who has loaded a word of a write sees that the version was odd before it,
/// and no load moves behind the second look at the version. Costs nothing on x86.
template <Cellular T>
class Cell {
 public:
  Cell() = default;
  explicit Cell(const T& value) { store(value); }

  [[nodiscard]] T load() const {
    Words words;
    for (std::size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_acquire);
    return std::bit_cast<T>(words);
  }
  void store(const T& value) {
    const Words words = std::bit_cast<Words>(value);
    for (std::size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
  }

 private:
  template <std::size_t kSize>
  static constexpr auto word_of() {
    if constexpr (kSize % 8 == 0) {
      return std::uint64_t{};
    } else if constexpr (kSize % 4 == 0) {
      return std::uint32_t{};
    } else if constexpr (kSize % 2 == 0) {
      return std::uint16_t{};
    } else {
      return std::uint8_t{};
    }
  }
  using Word = decltype(word_of<sizeof(T)>());
  static constexpr std::size_t kWords = sizeof(T) / sizeof(Word);
  using Words = std::array<Word, kWords>;

  std::array<std::atomic<Word>, kWords> words_{};
};

}  // namespace plait::index::detail
