// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/json_number.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

namespace plait::text {
namespace {

constexpr std::uint32_t kIntegerDigits = 18, kFractionDigits = 17, kExponentDigits = 2, kSafeDigits = 15,
                        kMultipleDigits = 9;
constexpr std::int64_t kIntegerMax = 999'999'999'999'999'999;
constexpr std::uint64_t kWholeMost = 1'000'000'000'000'000'000;  // stands for all above

std::uint32_t digits_of(std::uint64_t whole) { return static_cast<std::uint32_t>(fmt::formatted_size("{}", whole)); }

}  // namespace

Decimal Decimal::of(const Json& number) {
  if (number.is_number_unsigned()) return {.whole = std::min(kWholeMost, number.get<std::uint64_t>()), .fraction = {}};
  if (number.is_number_integer()) {
    const auto value = number.get<std::int64_t>();
    const std::uint64_t size = value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
    return {.negative = value < 0, .whole = std::min(kWholeMost, size), .fraction = {}};
  }
  const auto value = number.get<double>();
  const double size = std::abs(value);
  Decimal decimal{.negative = value < 0, .fraction = {}};
  if (size >= static_cast<double>(kWholeMost)) {
    decimal.whole = kWholeMost;
    return decimal;
  }
  std::array<char, 1100> buffer{};  // a double has at most 1,074 digits behind the point
  const char* end = std::to_chars(buffer.begin(), buffer.end(), size, std::chars_format::fixed).ptr;
  const char* at = std::from_chars(buffer.begin(), end, decimal.whole).ptr;
  if (at != end) decimal.fraction.assign(at + 1, end);
  decimal.fraction.erase(decimal.fraction.find_last_not_of('0') + 1);
  return decimal;
}

bool Decimal::is_long() const { return whole < kWholeMost && digits_of(whole) + fraction.size() > kSafeDigits; }

ExprId JsonNumber::digit(std::uint32_t first, std::uint32_t last) {
  return source_.byte_set({{static_cast<std::uint8_t>('0' + first), static_cast<std::uint8_t>('0' + last)}});
}

ExprId JsonNumber::digits(std::uint32_t min, std::uint32_t max) {
  return source_.repeat(source_.byte_set({{'0', '9'}}), min, max);
}

/// Numbers from min to max without sign, by their length and, within one, by the first digit that decides.
ExprId JsonNumber::magnitude(std::uint64_t min, std::uint64_t max) {
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
  const auto between_digits = [&](char from, char to) {
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
    choices.push_back(
        source_.sequence({source_.literal(head), between_digits(static_cast<char>(low[i] + 1), '9'), rest(i)}));
  }
  for (std::size_t i = same + 1; i < high.size(); ++i) {
    if (high[i] == '0') continue;
    const std::string_view head = std::string_view(high).substr(same, i - same);
    choices.push_back(
        source_.sequence({source_.literal(head), between_digits('0', static_cast<char>(high[i] - 1)), rest(i)}));
  }
  if (low[same] + 1 < high[same]) {
    choices.push_back(source_.sequence(
        {between_digits(static_cast<char>(low[same] + 1), static_cast<char>(high[same] - 1)), rest(same)}));
  }
  choices.push_back(source_.literal(std::string_view(low).substr(same)));
  choices.push_back(source_.literal(std::string_view(high).substr(same)));
  return source_.sequence({source_.literal(std::string_view(low).substr(0, same)), source_.choice(std::move(choices))});
}

ExprId JsonNumber::integer(const IntegerBounds& bounds) {
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

ExprId JsonNumber::multiple_rest(std::uint32_t divisor, std::uint32_t digits_max, std::uint32_t residue) {
  const auto known = multiple_rests_.find({digits_max, residue});
  if (known != multiple_rests_.end()) return source_.rule(known->second);
  const RuleId rule = source_.declare("multiples");
  multiple_rests_.emplace(std::pair(digits_max, residue), rule);
  std::vector<ExprId> choices;
  if (residue == 0) choices.push_back(source_.empty());
  for (std::uint32_t next = 0; next < 10 && digits_max > 0; ++next) {
    choices.push_back(
        source_.sequence({digit(next, next), multiple_rest(divisor, digits_max - 1, (residue * 10 + next) % divisor)}));
  }
  source_.define(rule, source_.choice(std::move(choices)));
  return source_.rule(rule);
}

ExprId JsonNumber::multiple(std::uint32_t divisor, bool zero, bool negative) {
  if (divisor != divisor_) multiple_rests_.clear();
  divisor_ = divisor;
  std::vector<ExprId> firsts;
  for (std::uint32_t first = 1; first < 10; ++first) {
    const ExprId rest = multiple_rest(divisor, kMultipleDigits - 1, first % divisor);
    firsts.push_back(source_.sequence({digit(first, first), rest}));
  }
  const ExprId sign = negative ? source_.optional(source_.literal("-")) : source_.empty();
  const ExprId some = source_.sequence({sign, source_.choice(std::move(firsts))});
  return zero ? source_.choice({source_.literal("0"), some}) : some;
}

ExprId JsonNumber::point(const Rest& digits) {
  const ExprId some = source_.sequence({source_.literal("."), digits.more});
  return digits.may_end ? source_.optional(some) : some;
}

/// Digits behind the point from position `at` on; before it they are equal to those of a bound as long as at_min or
/// at_max.
JsonNumber::Rest JsonNumber::fraction(const FractionBounds& bounds, std::size_t at, bool at_min, bool at_max) {
  at_min = at_min && (at < bounds.min->size() || bounds.open_min);
  const std::size_t left = bounds.digits_max - std::min(at, bounds.digits_max);
  if (!at_min && !at_max) return {true, left == 0 ? source_.never() : digits(1, static_cast<std::uint32_t>(left))};
  const bool below_max = !at_max || at < bounds.max->size() || !bounds.open_max;
  Rest rest{.may_end = !at_min && below_max, .more = source_.never()};
  if (left == 0 || !below_max) return rest;
  const auto digit_of = [&](const std::string& bound) {
    return at < bound.size() ? static_cast<std::uint32_t>(bound[at] - '0') : 0U;
  };
  const std::uint32_t low = at_min ? digit_of(*bounds.min) : 0, high = at_max ? digit_of(*bounds.max) : 9;
  std::vector<ExprId> choices;
  for (std::uint32_t first = low, last = low; first <= high; first = last + 1) {
    const bool is_low = at_min && first == low, is_high = at_max && first == high;
    last = is_low || is_high ? first : at_max ? high - 1 : high;
    const Rest behind = fraction(bounds, at + 1, is_low, is_high);
    choices.push_back(
        source_.sequence({digit(first, last), behind.may_end ? source_.optional(behind.more) : behind.more}));
  }
  rest.more = source_.choice(std::move(choices));
  return rest;
}

/// Numbers without sign: the whole part decides, except where it is that of a bound.
ExprId JsonNumber::between(const Decimal& min, const Decimal& max, bool open_min, bool open_max) {
  if (min.whole > max.whole || min.whole >= kWholeMost) return source_.never();
  const auto safe = [](std::uint64_t whole) { return kSafeDigits - std::min(kSafeDigits, digits_of(whole)); };
  open_max = open_max && max.whole < kWholeMost;
  const std::size_t low_digits = open_min ? safe(min.whole) : kFractionDigits;
  const std::size_t high_digits = open_max ? safe(max.whole) : kFractionDigits;
  FractionBounds low{.min = min.fraction, .open_min = open_min, .digits_max = low_digits};
  const FractionBounds high{.max = max.fraction, .open_max = open_max, .digits_max = high_digits};
  const auto with = [&](std::uint64_t whole, const Rest& rest) {
    return source_.sequence({magnitude(whole, whole), point(rest)});
  };
  if (min.whole == max.whole) {
    if (min.fraction > max.fraction || (min.fraction == max.fraction && (open_min || open_max))) return source_.never();
    low.max = max.fraction;
    low.open_max = open_max;
    low.digits_max = std::min(low_digits, high_digits);
    return with(min.whole, fraction(low, 0, true, true));
  }
  std::vector<ExprId> choices{with(min.whole, fraction(low, 0, true, false))};
  const FractionBounds any{.digits_max = high_digits};
  if (min.whole + 1 < max.whole) {
    choices.push_back(
        source_.sequence({magnitude(min.whole + 1, max.whole - 1), point(fraction(any, 0, false, false))}));
  }
  if (max.whole < kWholeMost) choices.push_back(with(max.whole, fraction(high, 0, false, true)));
  return source_.choice(std::move(choices));
}

ExprId JsonNumber::number(const NumberBounds& bounds) {
  if (!bounds.min && !bounds.max) {
    const ExprId whole = source_.choice(
        {source_.literal("0"), source_.sequence({source_.byte_set({{'1', '9'}}), digits(0, kIntegerDigits - 1)})});
    const ExprId exponent =
        source_.sequence({source_.byte_set({{'e', 'e'}, {'E', 'E'}}),
                          source_.optional(source_.byte_set({{'+', '+'}, {'-', '-'}})), digits(1, kExponentDigits)});
    const ExprId fraction_part = source_.sequence({source_.literal("."), digits(1, kFractionDigits)});
    return source_.sequence(
        {source_.optional(source_.literal("-")), whole, source_.optional(fraction_part), source_.optional(exponent)});
  }
  const Decimal zero{.fraction = {}};
  const Decimal least = bounds.min.value_or(Decimal{.negative = true, .whole = kWholeMost, .fraction = {}});
  const Decimal most = bounds.max.value_or(Decimal{.whole = kWholeMost, .fraction = {}});
  const bool from_negative = least.negative && !least.is_zero(), to_negative = most.negative && !most.is_zero();
  std::vector<ExprId> signs;
  if (!to_negative) {
    signs.push_back(between(from_negative ? zero : least, most, !from_negative && bounds.open_min, bounds.open_max));
  }
  if (from_negative) {
    const bool up_to_zero = !to_negative;  // then -0 is in it unless 0 is the bound and left out
    const bool open = up_to_zero ? most.is_zero() && bounds.open_max : bounds.open_max;
    signs.push_back(
        source_.sequence({source_.literal("-"), between(up_to_zero ? zero : most, least, open, bounds.open_min)}));
  }
  return source_.choice(std::move(signs));
}

}  // namespace plait::text
