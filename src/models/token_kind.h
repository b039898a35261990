// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace plait::models {

/// What a word of the vocabulary is for. Values are the GGUF numbers.
enum class TokenKind : std::uint8_t {
  undefined = 0,     ///< No text of its own.
  normal = 1,        ///< Made by merging.
  unknown = 2,       ///< Special: stands for what cannot be written.
  control = 3,       ///< Special: never part of the text a user sees; found in a prompt only with parse_special.
  user_defined = 4,  ///< Found in every text before anything else is cut.
  unused = 5,        ///< No text of its own.
  byte = 6,          ///< `<0xHH>`: one byte of a character that has no token.
};

/// Only where a text is said to have it: never made of what a user wrote.
[[nodiscard]] constexpr bool is_special(TokenKind kind) {
  return kind == TokenKind::control || kind == TokenKind::unknown;
}

}  // namespace plait::models
