// SPDX-License-Identifier: Apache-2.0
//
// The parts that grammars of JSON are made of. All texts are valid JSON (RFC 8259) in valid UTF-8, without line ends;
// numbers are those of json_number.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/grammar/grammar.h"
#include "text/grammar/json_number.h"
#include "text/grammar/source.h"
#include "text/json.h"

namespace plait::text {

/// What may stand between the parts of arrays and objects.
enum class JsonSpace : std::uint8_t {
  none,    ///< Nothing: compact JSON.
  single,  ///< One space, or none, behind each `:` and `,`: what models write, in few tokens.
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
  /// `true` or `false`.
  ExprId boolean();
  /// Exactly this value, as dump_json() writes it but for the space; whole numbers without point.
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
