// SPDX-License-Identifier: Apache-2.0
//
// The tokens of evaluation/countdown_search.h.
#include <algorithm>

#include "evaluation/countdown_search.h"

namespace plait::evaluation {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Takes the next token off the front; empty at the end.
std::string_view take_token(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::size_t length = text.empty() ? 0 : 1;
  if (length == 1 && is_letter(text[0])) {
    while (length < text.size() && is_letter(text[length])) ++length;
  }
  const std::string_view token = text.substr(0, length);
  text.remove_prefix(length);
  return token;
}

}  // namespace

std::vector<std::string_view> task_tokens(std::string_view text) {
  std::vector<std::string_view> tokens;
  for (std::string_view token = take_token(text); !token.empty(); token = take_token(text)) tokens.push_back(token);
  return tokens;
}

std::size_t count_task_tokens(std::string_view text) {
  std::size_t count = 0;
  while (!take_token(text).empty()) ++count;
  return count;
}

std::string_view first_task_tokens(std::string_view text, std::size_t tokens) {
  std::string_view rest = text;
  while (tokens > 0 && !take_token(rest).empty()) --tokens;
  return text.substr(0, text.size() - rest.size());
}

}  // namespace plait::evaluation
