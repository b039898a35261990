// SPDX-License-Identifier: Apache-2.0
#include "reasoning/normal_form.h"

namespace plait::reasoning {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string squeezed(std::string_view text) {
  std::string result;
  for (const char c : trimmed(text)) {
    if (!is_space(c)) {
      result += c;
    } else if (result.back() != ' ') {  // not empty: the text does not begin with space
      result += ' ';
    }
  }
  return result;
}

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::optional<std::size_t> take_number(std::string_view& text) {
  std::size_t value = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && is_digit(text[digits]); ++digits) {
    if (digits == 9) return std::nullopt;
    value = value * 10 + static_cast<std::size_t>(text[digits] - '0');
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

std::string normal_answer(std::string_view text) {
  constexpr std::string_view kAround = "*$`\"' \t\n\r\v\f";
  constexpr std::string_view kBehind = ".,;:";
  while (!text.empty() && kAround.contains(text.front())) text.remove_prefix(1);
  while (!text.empty() && (kAround.contains(text.back()) || kBehind.contains(text.back()))) text.remove_suffix(1);
  return lowered(squeezed(text));
}

}  // namespace plait::reasoning
