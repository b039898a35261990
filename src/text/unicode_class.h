// SPDX-License-Identifier: Apache-2.0
//
// The character classes that regular expressions of tokenizers use, fixed at Unicode 15.1 so that token ids do not
// depend on the version of a library. Table: unicode_ranges.inc, written by tools/pretokenizer_unicode.py.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace plait::text {

enum class CharClass : std::uint8_t {
  other = 0,        ///< Marks, symbols, controls, unassigned.
  letter = 1,       ///< \p{L}
  number = 2,       ///< \p{N}
  space = 3,        ///< \s: the property White_Space.
  punctuation = 4,  ///< \p{P}
};

/// The classes of all code points in two stages; 42 KiB.
class UnicodeClasses {
 public:
  /// The one table; made on first use, then constant. Any thread.
  [[nodiscard]] static const UnicodeClasses& get();

  /// `other` above U+10FFFF.
  [[nodiscard]] CharClass operator()(char32_t code_point) const {
    if (code_point > 0x10FFFF) return CharClass::other;
    return blocks_[(static_cast<std::size_t>(block_of_[code_point >> 8]) << 8) + (code_point & 0xFF)];
  }

 private:
  UnicodeClasses();
  std::array<std::uint16_t, 0x1100> block_of_ = {};
  std::vector<CharClass> blocks_;  // [block, 256]; equal blocks are stored once
};

}  // namespace plait::text
