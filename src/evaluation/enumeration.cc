// SPDX-License-Identifier: Apache-2.0
#include "evaluation/enumeration.h"

#include <algorithm>
#include <utility>

namespace plait::evaluation {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 128;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Lower case, one blank between words, nothing but letters at its ends, no article.
std::string normal(std::string_view name) {
  while (!name.empty() && !is_letter(name.front())) name.remove_prefix(1);
  while (!name.empty() && !is_letter(name.back())) name.remove_suffix(1);
  std::string text;
  for (const char c : name) {
    if (c == ' ' && text.ends_with(' ')) continue;
    text += lower(c);
  }
  for (const std::string_view article : {"the ", "a ", "an "}) {
    if (text.starts_with(article)) return text.substr(article.size());
  }
  return text;
}

bool separates(char c) { return c == '\n' || c == ',' || c == ';' || c == '.' || c == ':' || c == '(' || c == ')'; }

/// Where what begins at `begin` ends, and where the next one begins behind that.
std::pair<std::size_t, std::size_t> part_of(std::string_view text, std::size_t begin) {
  constexpr std::string_view kAnd = " and ";
  for (std::size_t i = begin; i < text.size(); ++i) {
    if (separates(text[i])) return {i, i + 1};
    if (text.substr(i).starts_with(kAnd)) return {i, i + kAnd.size()};
  }
  return {text.size(), text.size()};
}

template <class Take>
void split(std::string_view text, char separator, Take take) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    take(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

EnumerationTask::EnumerationTask(std::string name, std::string question, std::size_t asked, std::string_view items)
    : name_(std::move(name)), question_(std::move(question)), asked_(asked) {
  split(items, ',', [this](std::string_view item) {
    split(item, '|', [this](std::string_view one) { names_.push_back({normal(one), items_}); });
    ++items_;
  });
  std::ranges::sort(names_, {}, &Name::text);
}

std::optional<std::size_t> EnumerationTask::find(std::string_view name) const {
  const std::string wanted = normal(name);
  const auto look = [this](std::string_view text) -> std::optional<std::size_t> {
    const auto at = std::ranges::lower_bound(names_, text, {}, &Name::text);
    return at != names_.end() && at->text == text ? std::optional(at->item) : std::nullopt;
  };
  if (wanted.empty()) return std::nullopt;
  if (const auto item = look(wanted)) return item;
  if (wanted.ends_with('s')) return look(std::string_view(wanted).substr(0, wanted.size() - 1));
  return look(wanted + "s");
}

std::vector<NamedItem> named_items(const EnumerationTask& task, std::string_view text) {
  std::vector<NamedItem> named;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto [end, next] = part_of(text, begin);
    if (const auto item = task.find(text.substr(begin, end - begin))) named.push_back({*item, next});
    begin = next;
  }
  return named;
}

}  // namespace plait::evaluation
