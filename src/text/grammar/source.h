// SPDX-License-Identifier: Apache-2.0
//
// A grammar as it is written: expressions over bytes and named rules. The front ends (regex.h, ebnf.h, json_schema.h)
// write it, Grammar::compile() (grammar.h) makes automata of it, ReferenceMatcher (reference_matcher.h) reads it as it
// stands.
//
//   GrammarSource source;
//   const RuleId list = source.declare("list");
//   source.define(list, source.sequence({source.literal("x"), source.optional(source.rule(list))}));
//   source.set_root(list);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "text/grammar/code_points.h"

namespace plait::text {

using ExprId = base::Id<struct ExprTag, std::uint32_t>;
using RuleId = base::Id<struct RuleTag, std::uint32_t>;
inline constexpr RuleId kNoRule{0xFFFF'FFFF};

struct ByteRange {
  std::uint8_t first = 0;
  std::uint8_t last = 0;  ///< Included.
  friend auto operator<=>(const ByteRange&, const ByteRange&) = default;
};

enum class ExprKind : std::uint8_t {
  never,     ///< Nothing matches, not even the empty text.
  empty,     ///< The empty text.
  literal,   ///< `bytes`, one after the other.
  byte_set,  ///< One byte out of `ranges`.
  sequence,  ///< All children, one after the other.
  choice,    ///< Any one child.
  repeat,    ///< Child 0, `min` to `max` times.
  joined,  ///< A list: children but the last, each once in this order if it must, with the last child between any two.
  rule,    ///< What `rule` matches.
};

/// How often a child of a joined list stands there.
enum class Presence : std::uint8_t {
  required,  ///< Once.
  optional,  ///< Once or not at all.
  repeated,  ///< As often as one likes.
};

struct Expr {
  static constexpr std::uint32_t kNoMaximum = 0xFFFF'FFFF;

  ExprKind kind = ExprKind::empty;
  std::uint32_t min = 0;
  std::uint32_t max = 0;
  std::uint32_t depth = 1;  ///< Levels of expressions, this one included.
  RuleId rule = kNoRule;
  std::string bytes = {};
  std::vector<ByteRange> ranges = {};  ///< Ascending, apart from each other.
  std::vector<ExprId> children = {};
  std::vector<Presence> presences = {};  ///< joined: of each child but the last.
};

struct JoinedItem {
  ExprId expr = {};
  Presence presence = Presence::required;
};

class GrammarSource {  // a value
 public:
  GrammarSource();

  [[nodiscard]] ExprId never() const { return ExprId(0); }
  [[nodiscard]] ExprId empty() const { return ExprId(1); }
  ExprId literal(std::string_view bytes);
  /// Any order, overlaps allowed. None: never().
  ExprId byte_set(std::vector<ByteRange> ranges);
  /// One character out of `set`, in UTF-8. O(ranges).
  ExprId characters(const CodePoints& set);
  ExprId sequence(std::vector<ExprId> children);
  ExprId choice(std::vector<ExprId> children);
  /// Requires: min <= max.
  ExprId repeat(ExprId body, std::uint32_t min, std::uint32_t max = Expr::kNoMaximum);
  ExprId optional(ExprId body) { return repeat(body, 0, 1); }
  /// The items in their order with `separator` between any two that are there.
  ExprId joined(std::span<const JoinedItem> items, ExprId separator);
  ExprId rule(RuleId rule);

  /// A new rule that matches nothing until it is defined. Names are for messages and need not differ.
  RuleId declare(std::string_view name);
  void define(RuleId rule, ExprId expr) { rules_[rule.value()].expr = expr; }
  void set_root(RuleId rule) { root_ = rule; }

  [[nodiscard]] const Expr& operator[](ExprId id) const { return exprs_[id.value()]; }
  [[nodiscard]] std::size_t expressions() const { return exprs_.size(); }
  [[nodiscard]] std::size_t rules() const { return rules_.size(); }
  [[nodiscard]] ExprId expr(RuleId rule) const { return rules_[rule.value()].expr; }
  [[nodiscard]] const std::string& name(RuleId rule) const { return rules_[rule.value()].name; }
  [[nodiscard]] RuleId root() const { return root_; }

 private:
  struct Rule {
    std::string name;
    ExprId expr = {};
  };
  ExprId add(Expr expr);

  std::vector<Expr> exprs_;
  std::vector<Rule> rules_;
  RuleId root_ = kNoRule;
};

}  // namespace plait::text
