// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/source.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace plait::text {

GrammarSource::GrammarSource() {
  add({.kind = ExprKind::never});
  add({.kind = ExprKind::empty});
}

ExprId GrammarSource::add(Expr expr) {
  for (const ExprId child : expr.children) expr.depth = std::max(expr.depth, (*this)[child].depth + 1);
  exprs_.push_back(std::move(expr));
  return ExprId(static_cast<std::uint32_t>(exprs_.size() - 1));
}

ExprId GrammarSource::literal(std::string_view bytes) {
  if (bytes.empty()) return empty();
  return add({.kind = ExprKind::literal, .bytes = std::string(bytes)});
}

ExprId GrammarSource::byte_set(std::vector<ByteRange> ranges) {
  std::ranges::sort(ranges);
  std::vector<ByteRange> apart;
  for (const ByteRange& range : ranges) {
    if (!apart.empty() && range.first <= apart.back().last + 1) {
      apart.back().last = std::max(apart.back().last, range.last);
    } else {
      apart.push_back(range);
    }
  }
  if (apart.empty()) return never();
  return add({.kind = ExprKind::byte_set, .ranges = std::move(apart)});
}

ExprId GrammarSource::characters(const CodePoints& set) {
  std::vector<ByteRange> single;
  std::vector<ExprId> choices;
  for (const Utf8Range& piece : utf8_ranges(set)) {
    if (piece.length == 1) {
      single.push_back({piece.first[0], piece.last[0]});
      continue;
    }
    std::vector<ExprId> bytes;
    for (std::uint32_t i = 0; i < piece.length; ++i) bytes.push_back(byte_set({{piece.first[i], piece.last[i]}}));
    choices.push_back(sequence(std::move(bytes)));
  }
  if (!single.empty()) choices.push_back(byte_set(std::move(single)));
  return choice(std::move(choices));
}

ExprId GrammarSource::sequence(std::vector<ExprId> children) {
  std::erase(children, empty());
  if (std::ranges::find(children, never()) != children.end()) return never();
  if (children.empty()) return empty();
  if (children.size() == 1) return children.front();
  return add({.kind = ExprKind::sequence, .children = std::move(children)});
}

ExprId GrammarSource::choice(std::vector<ExprId> children) {
  std::erase(children, never());
  if (children.empty()) return never();
  if (children.size() == 1) return children.front();
  return add({.kind = ExprKind::choice, .children = std::move(children)});
}

ExprId GrammarSource::repeat(ExprId body, std::uint32_t min, std::uint32_t max) {
  PLAIT_CHECK(min <= max, min, max);
  if (max == 0 || body == empty()) return empty();
  if (body == never()) return min == 0 ? empty() : never();
  if (min == 1 && max == 1) return body;
  return add({.kind = ExprKind::repeat, .min = min, .max = max, .children = {body}});
}

ExprId GrammarSource::joined(std::span<const JoinedItem> items, ExprId separator) {
  Expr expr{.kind = ExprKind::joined};
  for (const JoinedItem& item : items) {
    if (item.expr == never()) {
      if (item.presence == Presence::required) return never();
      continue;
    }
    expr.children.push_back(item.expr);
    expr.presences.push_back(item.presence);
  }
  if (expr.children.empty()) return empty();
  expr.children.push_back(separator);
  return add(std::move(expr));
}

ExprId GrammarSource::rule(RuleId rule) {
  PLAIT_CHECK(rule.value() < rules_.size(), rule.value());
  return add({.kind = ExprKind::rule, .rule = rule});
}

RuleId GrammarSource::declare(std::string_view name) {
  rules_.push_back({.name = std::string(name), .expr = never()});
  return RuleId(static_cast<std::uint32_t>(rules_.size() - 1));
}

}  // namespace plait::text
