// SPDX-License-Identifier: Apache-2.0
//
// final_answer() of reasoning/aggregate.h.
#include <algorithm>
#include <cstddef>
#include <optional>

#include "reasoning/aggregate.h"
#include "reasoning/normal_form.h"

namespace plait::reasoning {
namespace {

/// The first line that is not empty, trimmed and without the marks of strong print around it; empty if there is none.
std::string_view first_line(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = trimmed(line);
    while (line.starts_with('*')) line.remove_prefix(1);
    while (line.ends_with('*')) line.remove_suffix(1);
    line = trimmed(line);
    if (!line.empty()) return line;
  }
  return {};
}

/// What follows the last word that announces an answer.
std::string_view announced(std::string_view text) {
  const std::string small = lowered(text);
  std::size_t behind = 0;
  for (const std::string_view word : {std::string_view("answer:"), std::string_view("answer is")}) {
    const std::size_t at = small.rfind(word);
    if (at != std::string::npos) behind = std::max(behind, at + word.size());
  }
  if (behind == 0) return {};
  std::string_view rest = trimmed(text.substr(behind));
  if (rest.starts_with(':')) rest.remove_prefix(1);  // "the answer is: 42"
  return first_line(rest);
}

std::string_view last_line(std::string_view text) {
  text = trimmed(text);
  const std::size_t end = text.rfind('\n');
  return first_line(end == std::string_view::npos ? text : text.substr(end + 1));
}

}  // namespace

std::optional<std::string_view> boxed(std::string_view text) {
  constexpr std::string_view kBegin = "\\boxed{";
  constexpr int kOpenMost = 8;  // boxes that were begun and not ended, before one is looked for no more
  std::size_t at = text.rfind(kBegin);
  for (int tried = 0; at != std::string_view::npos && tried < kOpenMost; ++tried) {
    std::size_t open = 1;
    for (std::size_t i = at + kBegin.size(); i < text.size(); ++i) {
      if (text[i] == '{') ++open;
      if (text[i] == '}' && --open == 0) return text.substr(at + kBegin.size(), i - at - kBegin.size());
    }
    at = at == 0 ? std::string_view::npos : text.rfind(kBegin, at - 1);
  }
  return std::nullopt;
}

std::string final_answer(std::string_view text) {
  if (const auto inside = boxed(text)) return std::string(trimmed(*inside));
  const std::string_view said = announced(text);
  return std::string(said.empty() ? last_line(text) : said);
}

}  // namespace plait::reasoning
