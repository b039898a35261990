// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/nfa.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace plait::text {
namespace {

// A rule of at most so many states is written out where it is used: a string of JSON takes some 60.
constexpr std::uint64_t kWrittenOut = 512;
// A repetition that would take more than this calls its body instead.
constexpr std::uint64_t kRepetition = 4096;
constexpr std::uint64_t kHuge = std::uint64_t{1} << 40U;

}  // namespace

NfaBuilder::NfaBuilder(const GrammarSource& source, const CompileLimits& limits) : source_(source), limits_(limits) {
  sizes_.assign(source.expressions(), 0);
  const std::vector<std::uint32_t> order = find_recursion();
  for (const std::uint32_t id : order) sizes_[id] = size_of(source[ExprId(id)]);
  static_cast<void>(callable(source.expr(source.root()), source.name(source.root())));
}

/// Tarjan's strongly connected components over rules and expressions at once, without recursion: an expression is a
/// node that leads to its children, and to the expression of its rule. Rules whose expression lies on a cycle are
/// recursive. Returns the expressions so that all that one is made of, recursion apart, comes before it.
std::vector<std::uint32_t> NfaBuilder::find_recursion() {
  const std::size_t count = source_.expressions();
  std::vector<std::uint32_t> order(count, 0), low(count, 0);
  std::vector<bool> waits(count, false), on_cycle(count, false);
  std::vector<std::uint32_t> component, settled;
  std::vector<std::pair<std::uint32_t, std::size_t>> path;  // expression, next child
  std::uint32_t visited = 0;
  const auto child = [&](std::uint32_t id, std::size_t i) -> std::optional<std::uint32_t> {
    const Expr& expr = source_[ExprId(id)];
    if (expr.kind == ExprKind::rule) return i == 0 ? std::optional(source_.expr(expr.rule).value()) : std::nullopt;
    return i < expr.children.size() ? std::optional(expr.children[i].value()) : std::nullopt;
  };
  const auto enter = [&](std::uint32_t id) {
    order[id] = low[id] = ++visited;
    waits[id] = true;
    component.push_back(id);
    path.emplace_back(id, 0);
  };
  enter(source_.expr(source_.root()).value());
  while (!path.empty()) {
    const std::uint32_t id = path.back().first;
    if (const auto next = child(id, path.back().second++)) {
      if (order[*next] == 0) {
        enter(*next);
      } else if (waits[*next]) {
        low[id] = std::min(low[id], order[*next]);
        on_cycle[*next] = on_cycle[*next] || *next == id;
      }
      continue;
    }
    path.pop_back();
    if (!path.empty()) low[path.back().first] = std::min(low[path.back().first], low[id]);
    if (low[id] != order[id]) continue;
    const auto first = std::find(component.rbegin(), component.rend(), id).base() - 1;
    const bool several = component.end() - first > 1;
    std::sort(first, component.end());  // children were made before their parents
    for (auto member = first; member != component.end(); ++member) {
      waits[*member] = false;
      on_cycle[*member] = on_cycle[*member] || several;
      settled.push_back(*member);
    }
    component.erase(first, component.end());
  }
  for (std::uint32_t rule = 0; rule < source_.rules(); ++rule) {
    recursive_.push_back(on_cycle[source_.expr(RuleId(rule)).value()]);
  }
  return settled;
}

std::uint64_t NfaBuilder::size_of(const Expr& expr) const {
  std::uint64_t children = 0;
  for (const ExprId child : expr.children) children = std::min(kHuge, children + sizes_[child.value()] + 2);
  switch (expr.kind) {
    case ExprKind::literal:
      return expr.bytes.size();
    case ExprKind::repeat: {
      const bool endless = expr.max == Expr::kNoMaximum;
      const std::uint64_t copies = std::max<std::uint64_t>(1, endless ? std::uint64_t{expr.min} + 1 : expr.max);
      const std::uint64_t all = copies > kHuge / children ? kHuge : copies * children;
      return children > 8 && all > kRepetition ? std::min(kHuge, 2 * copies) : all;
    }
    case ExprKind::rule: {
      const std::uint64_t size = sizes_[source_.expr(expr.rule).value()];
      return recursive_[expr.rule.value()] || size > kWrittenOut ? 2 : size;
    }
    default:
      return children + 2;
  }
}

std::uint32_t NfaBuilder::callable(ExprId expr, const std::string& name) {
  const auto [at, is_new] = callable_of_.emplace(expr.value(), static_cast<std::uint32_t>(callables_.size()));
  if (is_new) callables_.push_back({expr, name});
  return at->second;
}

base::Result<Nfa> NfaBuilder::build(std::size_t number) {
  nfa_ = {};
  add_state();
  add_state();
  connect(callables_[number].expr, 0, 1);
  if (too_large_) {
    return base::fail(base::ErrorCode::out_of_resources,
                      fmt::format("grammar: rule '{}' makes more than {} states; use smaller bounds of repetitions",
                                  callables_[number].name, limits_.states_max));
  }
  return std::exchange(nfa_, {});
}

std::uint32_t NfaBuilder::add_state() {
  nfa_.states.emplace_back();
  if (++states_ > limits_.states_max) too_large_ = true;
  return static_cast<std::uint32_t>(nfa_.states.size() - 1);
}

void NfaBuilder::add_edge(std::uint32_t from, const Nfa::Edge& edge) {
  Nfa::State& state = nfa_.states[from];
  nfa_.edges.push_back(edge);
  nfa_.edges.back().next = std::exchange(state.edge, static_cast<std::uint32_t>(nfa_.edges.size() - 1));
  state.matters = state.matters || edge.kind != Nfa::Kind::silent;
}

void NfaBuilder::connect(ExprId id, std::uint32_t from, std::uint32_t to) {
  if (too_large_) return;
  const Expr& expr = source_[id];
  switch (expr.kind) {
    case ExprKind::never:
      return;
    case ExprKind::empty:
      return silent(from, to);
    case ExprKind::literal:
      for (std::size_t i = 0; i < expr.bytes.size() && !too_large_; ++i) {
        const auto byte = static_cast<std::uint8_t>(expr.bytes[i]);
        const std::uint32_t next = i + 1 == expr.bytes.size() ? to : add_state();
        add_edge(std::exchange(from, next), {.kind = Nfa::Kind::bytes, .first = byte, .last = byte, .target = next});
      }
      return;
    case ExprKind::byte_set:
      for (const ByteRange& range : expr.ranges) {
        add_edge(from, {.kind = Nfa::Kind::bytes, .first = range.first, .last = range.last, .target = to});
      }
      return;
    case ExprKind::sequence:
      for (std::size_t i = 0; i < expr.children.size(); ++i) {
        const std::uint32_t next = i + 1 == expr.children.size() ? to : add_state();
        connect(expr.children[i], std::exchange(from, next), next);
      }
      return;
    case ExprKind::choice:
      for (const ExprId child : expr.children) connect(child, from, to);
      return;
    case ExprKind::repeat:
      return connect_repeat(expr, from, to);
    case ExprKind::joined:
      return connect_joined(expr, from, to);
    case ExprKind::rule:
      return connect_rule(expr, from, to);
  }
}

void NfaBuilder::connect_repeat(const Expr& expr, std::uint32_t from, std::uint32_t to) {
  const ExprId body = expr.children.front();
  const std::uint64_t size = sizes_[body.value()] + 2;
  const bool endless = expr.max == Expr::kNoMaximum;
  const std::uint64_t copies = endless ? std::uint64_t{expr.min} + 1 : expr.max;
  const bool calls = size > 8 && copies > kRepetition / size;
  const std::uint32_t called = calls ? callable(body, "a repetition") : 0;
  const auto once = [&](std::uint32_t a, std::uint32_t b) {
    if (!calls) return connect(body, a, b);
    add_edge(a, {.kind = Nfa::Kind::call, .rule = called, .target = b});
  };
  for (std::uint32_t i = 0; i < expr.min && !too_large_; ++i) {
    const std::uint32_t next = add_state();
    once(std::exchange(from, next), next);
  }
  if (endless) {
    const std::uint32_t loop = add_state();  // of its own: nothing else may lead into it
    silent(from, loop);
    once(loop, loop);
    return silent(loop, to);
  }
  for (std::uint32_t i = expr.min; i < expr.max && !too_large_; ++i) {
    silent(from, to);
    const std::uint32_t next = add_state();
    once(std::exchange(from, next), next);
  }
  silent(from, to);
}

/// Two lanes, without and with an item so far: `begins` and `goes_on`. Both lead into the same copy of an item, the
/// second one through the separator.
void NfaBuilder::connect_joined(const Expr& expr, std::uint32_t from, std::uint32_t to) {
  const ExprId separator = expr.children.back();
  std::uint32_t begins = add_state(), goes_on = add_state();
  silent(from, begins);
  bool may_begin = true, may_go_on = false;
  for (std::size_t i = 0; i < expr.presences.size() && !too_large_; ++i) {
    const std::uint32_t item = add_state(), next_begins = add_state(), next_goes_on = add_state();
    const bool must = expr.presences[i] == Presence::required;
    if (may_begin) silent(begins, item);
    if (may_go_on) connect(separator, goes_on, item);
    if (may_begin && !must) silent(begins, next_begins);
    if (may_go_on && !must) silent(goes_on, next_goes_on);
    connect(expr.children[i], item, next_goes_on);
    if (expr.presences[i] == Presence::repeated) connect(separator, next_goes_on, item);
    may_begin = may_begin && !must;
    may_go_on = true;
    begins = next_begins;
    goes_on = next_goes_on;
  }
  if (may_begin) silent(begins, to);
  silent(goes_on, to);
}

void NfaBuilder::connect_rule(const Expr& expr, std::uint32_t from, std::uint32_t to) {
  const ExprId body = source_.expr(expr.rule);
  if (!recursive_[expr.rule.value()] && sizes_[body.value()] <= kWrittenOut) return connect(body, from, to);
  const std::uint32_t rule = callable(body, source_.name(expr.rule));
  add_edge(from, {.kind = Nfa::Kind::call, .rule = rule, .target = to});
}

}  // namespace plait::text
