// SPDX-License-Identifier: Apache-2.0
//
// Texts that say the same, made equal: for votes over answers and for plans without repeats. ASCII only: letters beyond
// it keep their case. Everything here is pure and takes time linear in the text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace plait::reasoning {

/// A space, a tab, or an end of line.
[[nodiscard]] constexpr bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}
[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Without space at both ends; a part of `text`.
[[nodiscard]] std::string_view trimmed(std::string_view text);

/// Trimmed, and every other run of space is one blank.
[[nodiscard]] std::string squeezed(std::string_view text);

/// The letters A to Z small.
[[nodiscard]] std::string lowered(std::string_view text);

/// Takes a whole number of at most nine digits off the front; nothing, and `text` as it was, if there is none.
[[nodiscard]] std::optional<std::size_t> take_number(std::string_view& text);

/// An answer as votes compare it: squeezed, lowered, without marks around it (`*`, `$`, back quotes, quotes) and
/// without stops at its end (. , ; :). An exclamation mark stays: 5! is not 5.
[[nodiscard]] std::string normal_answer(std::string_view text);

}  // namespace plait::reasoning
