// SPDX-License-Identifier: Apache-2.0
#include "models/control_marks.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

namespace plait::models {
namespace {

using text::Json;

// Noncharacters of Unicode's last plane but one and of the last: free for use inside of programs.
constexpr std::string_view kOpen = "\xF4\x8F\xBF\xBE";   // U+10FFFE, behind a token's first character
constexpr std::string_view kClose = "\xF4\x8F\xBF\xBF";  // U+10FFFF, before its last one
constexpr std::string_view kBar = "\xF3\xBF\xBF\xBE";    // U+FFFFE: no token that is put together begins here
constexpr std::string_view kSent = "\xF3\xBF\xBF\xBF";   // U+FFFFF and a digit: a client sent this one of the four
constexpr std::array kSigns{kOpen, kClose, kBar, kSent};
constexpr std::size_t kSignBytes = kOpen.size();

constexpr std::array<std::string_view, 6> kRoles{"system", "developer", "user", "assistant", "tool", "function"};

/// Which of kSigns is at `at`; nothing if none.
std::optional<std::size_t> sign_at(std::string_view text, std::size_t at) {
  const char first = text[at];
  if (first != kOpen[0] && first != kBar[0]) return std::nullopt;
  const auto sign = std::ranges::find(kSigns, text.substr(at, kSignBytes));
  if (sign == kSigns.end()) return std::nullopt;
  return static_cast<std::size_t>(sign - kSigns.begin());
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

std::size_t first_character(std::string_view text) {
  std::size_t end = 1;
  while (end < text.size() && continues(text[end])) ++end;
  return end;
}

std::size_t last_character(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && continues(text[begin])) --begin;
  return begin;
}

SpecialTokens finder(const std::set<std::string, std::less<>>& texts) {
  std::vector<SpecialTokens::Entry> entries;
  for (const std::string& text : texts) {
    entries.push_back({text, base::TokenId(static_cast<std::int32_t>(entries.size()))});
  }
  return SpecialTokens(std::move(entries));
}

bool is_known_role(std::string_view name, const Json& value) {
  return name == "role" && value.is_string() &&
         std::ranges::find(kRoles, value.get_ref<const std::string&>()) != kRoles.end();
}

template <class Needs>
bool any_text(const Json& value, const Needs& needs) {
  if (value.is_string()) return needs(value.get_ref<const std::string&>());
  if (value.is_array()) return std::ranges::any_of(value, [&](const Json& item) { return any_text(item, needs); });
  if (!value.is_object()) return false;
  for (const auto& [name, member] : value.items()) {
    if (needs(name) || any_text(member, needs)) return true;
  }
  return false;
}

template <class Change>
Json with_texts(const Json& value, const Change& change) {
  if (value.is_string()) return change(value.get_ref<const std::string&>());
  if (value.is_array()) {
    Json items = Json::array();
    for (const Json& item : value) items.push_back(with_texts(item, change));
    return items;
  }
  if (!value.is_object()) return value;
  Json object = Json::object();
  // The members' vector itself: the map's own insertion looks at all members. Different names stay different.
  auto& members = static_cast<Json::object_t::Container&>(object.get_ref<Json::object_t&>());
  for (const auto& [name, member] : value.items()) {
    members.emplace_back(change(name), is_known_role(name, member) ? member : with_texts(member, change));
  }
  return object;
}

}  // namespace

ControlMarks::ControlMarks(const std::vector<std::string>& texts)
    : texts_(texts.begin(), texts.end()), every_(finder(texts_)) {}

std::string ControlMarks::mark(std::string_view source) const {
  std::string out;
  std::size_t at = 0;
  for (const SpecialTokens::Match& match : every_.find(source)) {
    const std::string_view token = source.substr(match.begin, match.end - match.begin);
    const std::size_t open = first_character(token);
    const std::size_t close = last_character(token);
    if (close < open) continue;  // one character has no inside
    out.append(source.substr(at, match.begin - at)).append(token.substr(0, open)).append(kOpen);
    out.append(token.substr(open, close - open)).append(kClose).append(token.substr(close));
    at = match.end;
  }
  return out.append(source.substr(at));
}

void ControlMarks::learn(const ChatPrompt& prompt) {
  for (const SpecialTokens::Match& match : every_.find(prompt.text)) {
    if (std::ranges::binary_search(prompt.control_at, ByteRange{match.begin, match.end})) continue;
    const std::string token = prompt.text.substr(match.begin, match.end - match.begin);
    if (is_alphanumeric(token[0]) || !joined_texts_.insert(token).second) continue;
    if (!beginnings_.contains(token[0])) beginnings_ += token[0];
  }
  joined_ = finder(joined_texts_);
}

bool ControlMarks::needs_guard(std::string_view text) const {
  if (!beginnings_.empty() && text.find_first_of(beginnings_) != std::string_view::npos) return true;
  // Two fast searches, and a slow look only where the bytes are rare ones.
  for (const char first : {kOpen[0], kBar[0]}) {
    for (std::size_t at = text.find(first); at != std::string_view::npos; at = text.find(first, at + 1)) {
      if (sign_at(text, at)) return true;
    }
  }
  return false;
}

std::string ControlMarks::guarded(std::string_view text) const {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (const auto sign = sign_at(text, at)) {
      out.append(kSent).push_back(static_cast<char>('0' + *sign));
      at += kSignBytes;
      continue;
    }
    if (beginnings_.contains(text[at])) out += kBar;
    out += text[at++];
  }
  return out;
}

Json ControlMarks::guard(Json value) const {
  if (!any_text(value, [this](std::string_view text) { return needs_guard(text); })) return value;
  return with_texts(value, [this](std::string_view text) { return guarded(text); });
}

void ControlMarks::add_joined(ChatPrompt& prompt, const std::vector<std::size_t>& bars) const {
  std::vector<ByteRange> found;
  for (const SpecialTokens::Match& match : joined_.find(prompt.text)) {
    const auto marked = std::ranges::upper_bound(prompt.control_at, match.begin, {}, &ByteRange::end);
    const bool overlaps = marked != prompt.control_at.end() && marked->begin < match.end;
    if (!overlaps && !std::ranges::binary_search(bars, match.begin)) found.push_back({match.begin, match.end});
  }
  prompt.control_at.insert(prompt.control_at.end(), found.begin(), found.end());
  std::ranges::sort(prompt.control_at);
}

ChatPrompt ControlMarks::unmark(std::string_view rendered) const {
  ChatPrompt prompt;
  prompt.text.reserve(rendered.size());
  std::vector<std::size_t> bars;
  std::size_t open = std::string::npos;  // where a token with an opening mark began
  for (std::size_t at = 0; at < rendered.size();) {
    const auto sign = sign_at(rendered, at);
    if (!sign) {
      prompt.text += rendered[at++];
      continue;
    }
    at += kSignBytes;
    if (kSigns[*sign] == kOpen && !prompt.text.empty()) {
      open = last_character(prompt.text);
    } else if (kSigns[*sign] == kClose && open != std::string::npos) {
      const std::string_view last =
          rendered.substr(at, at < rendered.size() ? first_character(rendered.substr(at)) : 0);
      const std::string token = prompt.text.substr(open).append(last);
      if (texts_.contains(token)) prompt.control_at.push_back({open, open + token.size()});
      open = std::string::npos;
    } else if (kSigns[*sign] == kBar) {
      bars.push_back(prompt.text.size());
    } else if (kSigns[*sign] == kSent && at < rendered.size() && rendered[at] >= '0' && rendered[at] <= '3') {
      prompt.text += kSigns[static_cast<std::size_t>(rendered[at++] - '0')];
    }
  }
  if (!joined_texts_.empty()) add_joined(prompt, bars);
  return prompt;
}

}  // namespace plait::models
