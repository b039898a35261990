// SPDX-License-Identifier: Apache-2.0
//
// The slow and plain meaning of a GrammarSource: every way to read a text, tried in turn. What the automata are tested
// against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "text/grammar/source.h"

namespace plait::text {

class ReferenceMatcher {  // one thread
 public:
  /// Requires: source has no left recursion and outlives it.
  explicit ReferenceMatcher(const GrammarSource& source) : source_(source) {}

  /// Whether all of `text` matches the root. Exponential in nothing, but slow: for texts of some dozens of bytes.
  [[nodiscard]] bool matches(std::string_view text);

 private:
  using Ends = std::set<std::size_t>;
  /// Where a match of `expr` from `at` may end.
  const Ends& ends(ExprId expr, std::size_t at);
  Ends find(const Expr& expr, std::size_t at);
  Ends find_repeat(const Expr& expr, std::size_t at);
  Ends find_joined(const Expr& expr, std::size_t at, std::size_t item, bool any);
  Ends all(ExprId expr, const Ends& from);

  const GrammarSource& source_;
  std::string_view text_;
  std::map<std::pair<std::uint32_t, std::size_t>, Ends> known_;
};

}  // namespace plait::text
