// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/reference_matcher.h"

#include <algorithm>

namespace plait::text {

bool ReferenceMatcher::matches(std::string_view text) {
  text_ = text;
  known_.clear();
  return ends(source_.expr(source_.root()), 0).contains(text.size());
}

const ReferenceMatcher::Ends& ReferenceMatcher::ends(ExprId expr, std::size_t at) {
  const std::pair key{expr.value(), at};
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  Ends found = find(source_[expr], at);
  return known_.emplace(key, std::move(found)).first->second;
}

ReferenceMatcher::Ends ReferenceMatcher::all(ExprId expr, const Ends& from) {
  Ends result;
  for (const std::size_t at : from) result.insert(ends(expr, at).begin(), ends(expr, at).end());
  return result;
}

ReferenceMatcher::Ends ReferenceMatcher::find(const Expr& expr, std::size_t at) {
  Ends result;
  switch (expr.kind) {
    case ExprKind::never:
      break;
    case ExprKind::empty:
      result = {at};
      break;
    case ExprKind::literal:
      if (text_.substr(at).starts_with(expr.bytes)) result = {at + expr.bytes.size()};
      break;
    case ExprKind::byte_set:
      if (at < text_.size() && std::ranges::any_of(
                                   expr.ranges,
                                   [&](const ByteRange& range) {
                                     const auto byte = static_cast<std::uint8_t>(text_[at]);
                                     return range.first <= byte && byte <= range.last;
                                   })) {
        result = {at + 1};
      }
      break;
    case ExprKind::sequence:
      result = {at};
      for (const ExprId child : expr.children) result = all(child, result);
      break;
    case ExprKind::choice:
      for (const ExprId child : expr.children) result.insert(ends(child, at).begin(), ends(child, at).end());
      break;
    case ExprKind::repeat:
      return find_repeat(expr, at);
    case ExprKind::joined:
      return find_joined(expr, at, 0, false);
    case ExprKind::rule:
      return ends(source_.expr(expr.rule), at);
  }
  return result;
}

ReferenceMatcher::Ends ReferenceMatcher::find_repeat(const Expr& expr, std::size_t at) {
  Ends now{at}, result;
  // More rounds than that change nothing: each reads a byte, or can be left out.
  const std::uint64_t most = std::min<std::uint64_t>(expr.max, std::uint64_t{expr.min} + text_.size() + 1);
  for (std::uint64_t round = 0; round <= most; ++round) {
    if (round >= expr.min) result.insert(now.begin(), now.end());
    now = all(expr.children.front(), now);
  }
  return result;
}

ReferenceMatcher::Ends ReferenceMatcher::find_joined(const Expr& expr, std::size_t at, std::size_t item, bool any) {
  if (item == expr.presences.size()) return {at};
  Ends result;
  if (expr.presences[item] != Presence::required) result = find_joined(expr, at, item + 1, any);
  const Ends begins = any ? ends(expr.children.back(), at) : Ends{at};
  for (const std::size_t end : all(expr.children[item], begins)) {
    const bool again = expr.presences[item] == Presence::repeated && (!any || end > at);
    const Ends more = find_joined(expr, end, again ? item : item + 1, true);
    result.insert(more.begin(), more.end());
  }
  return result;
}

}  // namespace plait::text
