// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plait::text::jinja {

enum class TokenKind : std::uint8_t {
  data,            ///< Text between tags, after white-space control.
  block_begin,     ///< {%
  block_end,       ///< %}
  variable_begin,  ///< {{
  variable_end,    ///< }}
  name,
  string,  ///< `text` is the value, escapes resolved.
  integer,
  floating,
  symbol,  ///< An operator or bracket.
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;
  int line = 1;
};

/// Cuts a template into tokens; comments, raw tags and white-space control (trim_blocks, lstrip_blocks, `-`, `+`) are
/// done with afterwards. The last token is `end`. Raises Failure. Requires: valid UTF-8.
std::vector<Token> tokenize(std::string_view source);

}  // namespace plait::text::jinja
