// SPDX-License-Identifier: Apache-2.0
//
// Numbers of JSON as grammars: any, those between two bounds, multiples. They have at most 18 digits before and 17
// behind the point and two of exponent, so every parser can hold them. Bounds compare decimal digits; a double keeps 15
// of them, so next to a bound that is not included numbers have no more, and parsers that round stay within, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "text/grammar/source.h"
#include "text/json.h"

namespace plait::text {

/// A whole number between two bounds. A bound beyond 18 digits, or none: 18 digits.
struct IntegerBounds {
  std::optional<std::int64_t> min = {};  ///< Included.
  std::optional<std::int64_t> max = {};  ///< Included.
};

/// A number as its decimal digits.
struct Decimal {
  bool negative = false;
  std::uint64_t whole = 0;  ///< At most 10^18, which stands for all above.
  std::string fraction;     ///< Digits behind the point, the last one not 0.

  /// The shortest digits that are read as this number. Requires: a number.
  [[nodiscard]] static Decimal of(const Json& number);
  [[nodiscard]] bool is_zero() const { return whole == 0 && fraction.empty(); }
  /// More than a double is sure to keep.
  [[nodiscard]] bool is_long() const;
};

struct NumberBounds {
  std::optional<Decimal> min = {};
  std::optional<Decimal> max = {};
  bool open_min = false;  ///< Not included. Requires: !min->is_long().
  bool open_max = false;  ///< The same.
};

class JsonNumber {  // adds to one source; the source must outlive it
 public:
  static constexpr std::uint32_t kDivisorMax = 100;

  explicit JsonNumber(GrammarSource& source) : source_(source) {}

  /// No leading zeros and no `-0`. never() if max < min.
  ExprId integer(const IntegerBounds& bounds = {});
  /// Whole multiples of `divisor` of up to 9 digits, 0 and those below it if they may be there; no `-0`.
  /// Requires: 1 <= divisor <= kDivisorMax.
  ExprId multiple(std::uint32_t divisor, bool zero = true, bool negative = true);
  /// Without bounds, any number; within bounds, without exponent. never() if there is none.
  ExprId number(const NumberBounds& bounds = {});

 private:
  /// What may stand behind the digits so far: whether they may be the last ones, and what more there may be.
  struct Rest {
    bool may_end = false;
    ExprId more = {};  ///< At least one digit; never() if there may be none.
  };
  struct FractionBounds {
    std::optional<std::string> min = {}, max = {};
    bool open_min = false, open_max = false;
    std::size_t digits_max = 0;
  };

  ExprId digit(std::uint32_t first, std::uint32_t last);
  ExprId digits(std::uint32_t min, std::uint32_t max);
  ExprId point(const Rest& digits);
  ExprId magnitude(std::uint64_t min, std::uint64_t max);
  ExprId between(const Decimal& min, const Decimal& max, bool open_min, bool open_max);
  Rest fraction(const FractionBounds& bounds, std::size_t at, bool at_min, bool at_max);
  ExprId multiple_rest(std::uint32_t divisor, std::uint32_t digits_max, std::uint32_t residue);

  GrammarSource& source_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, RuleId> multiple_rests_;  // of one divisor
  std::uint32_t divisor_ = 0;
};

}  // namespace plait::text
