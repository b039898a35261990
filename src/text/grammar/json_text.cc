// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "text/grammar/regex.h"
#include "text/utf8.h"

namespace plait::text {
namespace {

constexpr std::string_view kShortEscapes = "\b\t\n\f\r\"\\", kShortLetters = "btnfr\"\\";

CodePoints escaped() { return CodePoints({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}); }

/// The character that begins at `at`.
char32_t character_at(std::string_view text, std::size_t at) { return next_valid(text, at); }

}  // namespace

ExprId JsonText::separator(std::string_view mark) {
  const ExprId sign = source_.literal(mark);
  if (space_ == JsonSpace::none) return sign;
  return source_.sequence({sign, source_.optional(source_.literal(" "))});
}

ExprId JsonText::character() {
  if (character_ != source_.never()) return character_;
  const auto set = [&](std::string_view bytes) {
    std::vector<ByteRange> ranges;
    for (const char c : bytes) ranges.push_back({static_cast<std::uint8_t>(c), static_cast<std::uint8_t>(c)});
    return source_.byte_set(std::move(ranges));
  };
  const ExprId hex = set("0123456789abcdefABCDEF");
  const ExprId two = source_.sequence({hex, hex});
  const ExprId d = set("dD");
  const ExprId basic = source_.choice(
      {source_.sequence({set("0123456789abcefABCEF"), hex, two}), source_.sequence({d, set("01234567"), two})});
  const ExprId pair = source_.sequence({d, set("89abAB"), two, source_.literal("\\u"), d, set("cdefCDEF"), two});
  const ExprId unicode = source_.sequence({source_.literal("u"), source_.choice({basic, pair})});
  character_ =
      source_.choice({source_.characters(escaped().complement()),
                      source_.sequence({source_.literal("\\"), source_.choice({set("\"\\/bfnrt"), unicode})})});
  return character_;
}

/// A character of a string that must be one out of a set: as it is where it may be, else the shortest escape.
ExprId JsonText::written(const CodePoints& set) {
  std::vector<ExprId> choices{source_.characters(set.without(escaped()))};
  const CodePoints escapes = set.common(escaped());
  for (const CodeRange& range : escapes.ranges()) {
    for (char32_t c = range.first; c <= range.last; ++c) {
      const std::size_t at = kShortEscapes.find(static_cast<char>(c));
      choices.push_back(source_.literal(at == std::string_view::npos
                                            ? fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c))
                                            : fmt::format("\\{}", kShortLetters[at])));
    }
  }
  return source_.choice(std::move(choices));
}

ExprId JsonText::string(std::uint32_t min, std::uint32_t max) {
  const ExprId quote = source_.literal("\"");
  if (min > max) return source_.never();
  return source_.sequence({quote, source_.repeat(character(), min, max), quote});
}

base::Result<ExprId> JsonText::string_matching(std::string_view pattern) {
  const ExprId quote = source_.literal("\"");
  const CharacterWriter writer = [this](GrammarSource&, const CodePoints& set) { return written(set); };
  PLAIT_TRY(const ExprId inside, add_regex(source_, pattern, writer));
  return source_.sequence({quote, inside, quote});
}

ExprId JsonText::key_except(std::span<const std::string> keys) {
  std::vector<std::string> sorted(keys.begin(), keys.end());
  std::ranges::sort(sorted);
  sorted.erase(std::ranges::unique(sorted).begin(), sorted.end());
  const ExprId quote = source_.literal("\"");
  return source_.sequence({quote, plain_except(sorted, 0), quote});
}

/// What may follow the first `depth` bytes, which all of `sorted` share, so that none of them comes out.
ExprId JsonText::plain_except(std::span<const std::string> sorted, std::size_t depth) {
  const CodePoints plain = escaped().complement();
  if (sorted.empty()) return source_.repeat(source_.characters(plain), 0);
  std::vector<ExprId> choices;
  std::vector<CodeRange> begun;
  if (sorted.front().size() == depth) {
    sorted = sorted.subspan(1);
  } else {
    choices.push_back(source_.empty());
  }
  while (!sorted.empty()) {
    const char32_t c = character_at(sorted.front(), depth);
    const auto behind = std::ranges::find_if(sorted, [&](const auto& key) { return character_at(key, depth) != c; });
    const auto alike = static_cast<std::size_t>(behind - sorted.begin());
    std::string bytes;
    append(bytes, c);
    begun.push_back({c, c});
    if (plain.contains(c)) {  // else it could only be written as an escape, and there are none
      const ExprId rest = plain_except(sorted.first(alike), depth + bytes.size());
      choices.push_back(source_.sequence({source_.literal(bytes), rest}));
    }
    sorted = sorted.subspan(alike);
  }
  const ExprId other = source_.characters(plain.without(CodePoints(std::move(begun))));
  choices.push_back(source_.sequence({other, source_.repeat(source_.characters(plain), 0)}));
  return source_.choice(std::move(choices));
}

ExprId JsonText::boolean() { return source_.choice({source_.literal("true"), source_.literal("false")}); }

ExprId JsonText::constant(const Json& value) {
  constexpr double kExact = 9'007'199'254'740'992;  // 2^53
  if (value.is_number_float() && std::abs(value.get<double>()) <= kExact &&
      value.get<double>() == std::floor(value.get<double>())) {
    return source_.literal(fmt::format("{}", static_cast<std::int64_t>(value.get<double>())));
  }
  if (!value.is_structured()) return source_.literal(dump_json(value));
  std::vector<JoinedItem> items;
  for (const auto& [key, item] : value.items()) {
    items.push_back({value.is_object() ? member(key, constant(item)) : constant(item)});
  }
  return value.is_object() ? object(items) : array(items);
}

ExprId JsonText::member(std::string_view key, ExprId value) {
  return source_.sequence({source_.literal(dump_json(Json(key))), colon(), value});
}

ExprId JsonText::object(std::span<const JoinedItem> members) {
  return source_.sequence({source_.literal("{"), source_.joined(members, comma()), source_.literal("}")});
}

ExprId JsonText::array(std::span<const JoinedItem> items) {
  return source_.sequence({source_.literal("["), source_.joined(items, comma()), source_.literal("]")});
}

void JsonText::declare_any() {
  if (any_value_ != kNoRule) return;
  any_value_ = source_.declare("any value");
  any_object_ = source_.declare("any object");
  any_array_ = source_.declare("any array");
  const ExprId value = source_.rule(any_value_);
  const JoinedItem entry{source_.sequence({string(), colon(), value}), Presence::repeated};
  const JoinedItem item{value, Presence::repeated};
  source_.define(any_object_, object({&entry, 1}));
  source_.define(any_array_, array({&item, 1}));
  source_.define(any_value_, source_.choice({source_.rule(any_object_), source_.rule(any_array_), string(),
                                             JsonNumber(source_).number(), boolean(), source_.literal("null")}));
}

RuleId JsonText::any_object() { return declare_any(), any_object_; }
RuleId JsonText::any_array() { return declare_any(), any_array_; }
RuleId JsonText::any_value() { return declare_any(), any_value_; }

base::Result<Grammar> json_object_grammar(JsonSpace space) {
  GrammarSource source;
  JsonText text(source, space);
  source.set_root(text.any_object());
  return Grammar::compile(source);
}

}  // namespace plait::text
