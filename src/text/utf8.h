// SPDX-License-Identifier: Apache-2.0
//
// UTF-8 as the Unicode standard defines it: no surrogates, nothing above U+10FFFF, no overlong forms. What is
// ill-formed is replaced by U+FFFD, one for each maximal subpart (Unicode 3.9, table 3-8; the same as web browsers).
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace plait::text {

inline constexpr char32_t kReplacement = 0xFFFD;
inline constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";

/// One step of decoding.
struct Decoded {
  char32_t code_point = kReplacement;  ///< kReplacement if ill-formed.
  std::size_t length = 1;              ///< Bytes used: of the character, or of the maximal ill-formed part. At least 1.
  bool valid = false;
  bool cut_short = false;  ///< Ill-formed only because the text ends here: more bytes could complete it.
};
/// Decodes the first character. Requires: text is not empty.
[[nodiscard]] Decoded decode(std::string_view text);

/// Decodes the character at `at` of a text that is known to be valid, and moves `at` behind it.
[[nodiscard]] inline char32_t next_valid(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
  const char32_t first = byte(0);
  char32_t value = first;
  std::size_t length = 1;
  if (first >= 0xF0) {
    value = ((first & 0x07) << 18) | ((byte(1) & 0x3F) << 12) | ((byte(2) & 0x3F) << 6) | (byte(3) & 0x3F);
    length = 4;
  } else if (first >= 0xE0) {
    value = ((first & 0x0F) << 12) | ((byte(1) & 0x3F) << 6) | (byte(2) & 0x3F);
    length = 3;
  } else if (first >= 0x80) {
    value = ((first & 0x1F) << 6) | (byte(1) & 0x3F);
    length = 2;
  }
  at += length;
  return value;
}

/// Characters of a text that is known to be valid: bytes that continue none.
[[nodiscard]] constexpr std::size_t count_code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

/// Length of the longest valid prefix.
[[nodiscard]] std::size_t valid_prefix(std::string_view text);
[[nodiscard]] inline bool is_valid(std::string_view text) { return valid_prefix(text) == text.size(); }

/// A copy in which every ill-formed part is U+FFFD.
[[nodiscard]] std::string sanitize(std::string_view text);

/// Moves everything that is decided from `pending` to the result: whole characters, and U+FFFD for what can no longer
/// become one. At most 3 bytes stay: the beginning of a character that more bytes may complete.
[[nodiscard]] std::string take_complete(std::string& pending);

/// Appends the character's bytes; kReplacement's if it is a surrogate or above U+10FFFF.
void append(std::string& out, char32_t code_point);

}  // namespace plait::text
