// SPDX-License-Identifier: Apache-2.0
//
// Words of protocols and settings, whose case and blanks do not count. Bytes beyond ASCII are left alone, and no locale
// has a say.
#pragma once

#include <algorithm>
#include <string_view>

namespace plait::base {

[[nodiscard]] constexpr char lower(char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Whether two texts differ at most in the case of their letters.
[[nodiscard]] constexpr bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

/// The text without blanks and tabs at its ends, a part of `text`.
[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

/// What a hexadecimal digit stands for; -1 if it is none.
[[nodiscard]] constexpr int hex_digit(char c) {
  if ('0' <= c && c <= '9') return c - '0';
  return 'a' <= lower(c) && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

}  // namespace plait::base
