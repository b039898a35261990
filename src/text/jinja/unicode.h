// SPDX-License-Identifier: Apache-2.0
//
// Characters as Python's str methods see them. Title case is taken to be upper case; final sigma is not treated.
#pragma once

#include <string>
#include <string_view>

namespace plait::text::jinja {

bool is_printable(char32_t c);
bool is_space(char32_t c);  ///< str.isspace()
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);

/// Requires: valid UTF-8.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
void append_upper(std::string& out, char32_t c);
void append_lower(std::string& out, char32_t c);

/// Bytes of white space at the beginning, from byte `from`.
std::size_t leading_space(std::string_view text, std::size_t from = 0);
std::string_view strip_right(std::string_view text);
std::string_view strip_left(std::string_view text);

}  // namespace plait::text::jinja
