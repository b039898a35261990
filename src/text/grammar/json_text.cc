// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "text/grammar/regex.h"
#include "text/utf8.h"

namespace plait::text {
namespace {

constexpr std::uint32_t kIntegerDigits = 18, kFractionDigits = 17, kExponentDigits = 2;
constexpr std::int64_t kIntegerMax = 999'999'999'999'999'999;
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

ExprId JsonText::digits(std::uint32_t min, std::uint32_t max) {
  return source_.repeat(source_.byte_set({{'0', '9'}}), min, max);
}

/// Numbers from min to max without sign, by their length and, within one, by the first digit that decides.
ExprId JsonText::magnitude(std::uint64_t min, std::uint64_t max) {
  if (min > max) return source_.never();
  const std::string low = fmt::format("{}", min), high = fmt::format("{}", max);
  if (low.size() < high.size()) {
    std::vector<ExprId> lengths;
    std::uint64_t first = min, power = 1;
    for (std::size_t i = 0; i < low.size(); ++i) power *= 10;
    for (; power <= max; power *= 10) {
      lengths.push_back(magnitude(first, power - 1));
      first = power;
    }
    lengths.push_back(magnitude(first, max));
    return source_.choice(std::move(lengths));
  }
  const auto digit = [&](char from, char to) {
    return source_.byte_set({{static_cast<std::uint8_t>(from), static_cast<std::uint8_t>(to)}});
  };
  std::size_t same = 0;
  while (same < low.size() && low[same] == high[same]) ++same;
  if (same == low.size()) return source_.literal(low);
  std::vector<ExprId> choices;
  const auto rest = [&](std::size_t i) {
    const auto count = static_cast<std::uint32_t>(low.size() - i - 1);
    return digits(count, count);
  };
  for (std::size_t i = same + 1; i < low.size(); ++i) {  // equal to `low` before i, above it at i
    if (low[i] == '9') continue;
    const std::string_view head = std::string_view(low).substr(same, i - same);
    choices.push_back(source_.sequence({source_.literal(head), digit(static_cast<char>(low[i] + 1), '9'), rest(i)}));
  }
  for (std::size_t i = same + 1; i < high.size(); ++i) {
    if (high[i] == '0') continue;
    const std::string_view head = std::string_view(high).substr(same, i - same);
    choices.push_back(source_.sequence({source_.literal(head), digit('0', static_cast<char>(high[i] - 1)), rest(i)}));
  }
  if (low[same] + 1 < high[same]) {
    choices.push_back(
        source_.sequence({digit(static_cast<char>(low[same] + 1), static_cast<char>(high[same] - 1)), rest(same)}));
  }
  choices.push_back(source_.literal(std::string_view(low).substr(same)));
  choices.push_back(source_.literal(std::string_view(high).substr(same)));
  return source_.sequence({source_.literal(std::string_view(low).substr(0, same)), source_.choice(std::move(choices))});
}

ExprId JsonText::integer(const IntegerBounds& bounds) {
  if (!bounds.min && !bounds.max) {
    const ExprId some = source_.sequence(
        {source_.optional(source_.literal("-")), source_.byte_set({{'1', '9'}}), digits(0, kIntegerDigits - 1)});
    return source_.choice({source_.literal("0"), some});
  }
  const std::int64_t min = std::max(-kIntegerMax, bounds.min.value_or(-kIntegerMax));
  const std::int64_t max = std::min(kIntegerMax, bounds.max.value_or(kIntegerMax));
  if (min > max) return source_.never();
  std::vector<ExprId> signs;
  if (max >= 0) {
    signs.push_back(
        magnitude(static_cast<std::uint64_t>(std::max<std::int64_t>(min, 0)), static_cast<std::uint64_t>(max)));
  }
  if (min < 0) {
    const auto least = static_cast<std::uint64_t>(-std::min<std::int64_t>(max, -1));
    signs.push_back(source_.sequence({source_.literal("-"), magnitude(least, static_cast<std::uint64_t>(-min))}));
  }
  return source_.choice(std::move(signs));
}

/// Numbers from min to max without sign: the whole part decides, except at the bounds.
ExprId JsonText::positive_number(std::uint64_t min, std::uint64_t max, bool open_min, bool open_max) {
  if (min > max || (min == max && (open_min || open_max))) return source_.never();
  const ExprId point = source_.literal(".");
  const ExprId fraction = source_.optional(source_.sequence({point, digits(1, kFractionDigits)}));
  const ExprId zeros =
      source_.optional(source_.sequence({point, source_.repeat(source_.literal("0"), 1, kFractionDigits)}));
  if (min == max) return source_.sequence({magnitude(min, min), zeros});
  std::vector<ExprId> choices;
  if (open_min) {
    const ExprId above = source_.sequence(
        {source_.repeat(source_.literal("0"), 0, kFractionDigits - 2), source_.byte_set({{'1', '9'}}), digits(0, 2)});
    choices.push_back(source_.sequence({magnitude(min, min), point, above}));
    ++min;
  }
  if (min < max) choices.push_back(source_.sequence({magnitude(min, max - 1), fraction}));
  if (!open_max) choices.push_back(source_.sequence({magnitude(max, max), zeros}));
  return source_.choice(std::move(choices));
}

ExprId JsonText::number(const IntegerBounds& bounds, bool open_min, bool open_max) {
  if (!bounds.min && !bounds.max) {
    const ExprId whole = source_.choice(
        {source_.literal("0"), source_.sequence({source_.byte_set({{'1', '9'}}), digits(0, kIntegerDigits - 1)})});
    const ExprId exponent =
        source_.sequence({source_.byte_set({{'e', 'e'}, {'E', 'E'}}),
                          source_.optional(source_.byte_set({{'+', '+'}, {'-', '-'}})), digits(1, kExponentDigits)});
    const ExprId fraction = source_.sequence({source_.literal("."), digits(1, kFractionDigits)});
    return source_.sequence(
        {source_.optional(source_.literal("-")), whole, source_.optional(fraction), source_.optional(exponent)});
  }
  const std::int64_t min = std::max(-kIntegerMax, bounds.min.value_or(-kIntegerMax));
  const std::int64_t max = std::min(kIntegerMax, bounds.max.value_or(kIntegerMax));
  std::vector<ExprId> signs;
  const auto size = [](std::int64_t value) { return static_cast<std::uint64_t>(value < 0 ? -value : value); };
  if (max >= 0)
    signs.push_back(positive_number(size(std::max<std::int64_t>(min, 0)), size(max), min >= 0 && open_min, open_max));
  if (min < 0) {
    const bool reaches_zero = max > 0 || (max == 0 && !open_max);
    signs.push_back(
        source_.sequence({source_.literal("-"), positive_number(size(std::min<std::int64_t>(max, 0)), size(min),
                                                                !reaches_zero && open_max, open_min)}));
  }
  return source_.choice(std::move(signs));
}

ExprId JsonText::boolean() { return source_.choice({source_.literal("true"), source_.literal("false")}); }

ExprId JsonText::constant(const Json& value) {
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
  source_.define(any_value_, source_.choice({source_.rule(any_object_), source_.rule(any_array_), string(), number(),
                                             boolean(), source_.literal("null")}));
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
