// SPDX-License-Identifier: Apache-2.0
//
// The parts that grammars of JSON are made of. All texts are valid JSON (RFC 8259) in valid UTF-8, without line ends;
// numbers have at most 18 digits before and 17 behind the point and two of exponent, so every parser can hold them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/grammar/grammar.h"
#include "text/grammar/source.h"
#include "text/json.h"

namespace plait::text {

/// What may stand between the parts of arrays and objects.
enum class JsonSpace : std::uint8_t {
  none,    ///< Nothing: compact JSON.
  single,  ///< One space, or none, behind each `:` and `,`: what models write, in few tokens.
};

/// A whole number between two bounds. A bound beyond 18 digits, or none: 18 digits.
struct IntegerBounds {
  std::optional<std::int64_t> min = {};  ///< Included.
  std::optional<std::int64_t> max = {};  ///< Included.
};

class JsonText {  // adds to one source; the source must outlive it
 public:
  JsonText(GrammarSource& source, JsonSpace space) : source_(source), space_(space) {}

  /// Any string of `min` to `max` characters; an escaped one counts once. Surrogates come in pairs.
  ExprId string(std::uint32_t min = 0, std::uint32_t max = Expr::kNoMaximum);
  /// A string whose value `pattern` matches (regex.h). Errors: those of add_regex().
  base::Result<ExprId> string_matching(std::string_view pattern);
  /// Any string without escapes but these: a key that is not there yet.
  ExprId key_except(std::span<const std::string> keys);
  /// No leading zeros and no `-0`. never() if max < min.
  ExprId integer(const IntegerBounds& bounds = {});
  /// Without bounds, any number; within bounds, without exponent. A bound that is not included is one of `open_*`.
  ExprId number(const IntegerBounds& bounds = {}, bool open_min = false, bool open_max = false);
  /// `true` or `false`.
  ExprId boolean();
  /// Exactly this value, as dump_json() writes it but for the space.
  ExprId constant(const Json& value);

  ExprId comma() { return separator(","); }
  ExprId colon() { return separator(":"); }
  /// `"key":` and its value. Requires: key is UTF-8.
  ExprId member(std::string_view key, ExprId value);
  /// `{` items `}` and `[` items `]`, the items with commas between them as joined() has it.
  ExprId object(std::span<const JoinedItem> members);
  ExprId array(std::span<const JoinedItem> items);

  /// Rules of any object, array or value.
  RuleId any_object();
  RuleId any_array();
  RuleId any_value();

 private:
  ExprId separator(std::string_view mark);
  ExprId character();
  ExprId written(const CodePoints& set);
  ExprId digits(std::uint32_t min, std::uint32_t max);
  ExprId magnitude(std::uint64_t min, std::uint64_t max);
  ExprId positive_number(std::uint64_t min, std::uint64_t max, bool open_min, bool open_max);
  ExprId plain_except(std::span<const std::string> sorted, std::size_t depth);
  void declare_any();

  GrammarSource& source_;
  JsonSpace space_;
  ExprId character_ = {};  // never() until it is made
  RuleId any_object_ = kNoRule, any_array_ = kNoRule, any_value_ = kNoRule;
};

/// Any JSON object. Never fails for want of resources with the limits as they are.
[[nodiscard]] base::Result<Grammar> json_object_grammar(JsonSpace space = JsonSpace::single);

}  // namespace plait::text
