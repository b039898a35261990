// SPDX-License-Identifier: Apache-2.0
//
// Compiling: Thompson's automaton of each rule (nfa.h), made deterministic by sets of its states; calls count as
// letters of the alphabet. Then the fewest bytes to the end of every state by Knuth's generalisation of Dijkstra's
// algorithm (A generalization of Dijkstra's algorithm, 1977), whose unreached states are dead ends and are cut off.
#include "text/grammar/grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <queue>
#include <unordered_map>
#include <utility>

#include "text/grammar/nfa.h"

namespace plait::text {
namespace {

using base::ErrorCode;
using Set = std::vector<std::uint32_t>;

struct SetHash {
  std::size_t operator()(const Set& set) const {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const std::uint32_t entry : set) hash = (hash ^ entry) * 0x9E3779B97F4A7C15ULL;
    return static_cast<std::size_t>(hash ^ (hash >> 32U));
  }
};

// Determinising makes fewer states than there were before, or a few more. Patterns like [ab]*a[ab]{40} make twice
// as many for each repetition more; they are given up before that takes long.
std::size_t nodes_allowed(std::size_t nfa_states) {
  return nfa_states + std::min<std::size_t>(8 * nfa_states + 2'000, 100'000);
}

std::size_t sorting_work(std::size_t items) { return items * static_cast<std::size_t>(std::bit_width(items)); }

std::uint32_t add_cost(std::uint32_t a, std::uint32_t b) { return std::min(Grammar::kNever, a + b); }

}  // namespace

class GrammarCompiler {
 public:
  GrammarCompiler(const GrammarSource& source, const CompileLimits& limits)
      : builder_(source, limits), limits_(limits) {}

  base::Result<Grammar> compile() {
    for (std::size_t i = 0; i < builder_.callables(); ++i) {
      PLAIT_TRY(nfa_, builder_.build(i));
      PLAIT_TRY_VOID(determinise());
    }
    find_costs();
    if (grammar_.nodes_[grammar_.starts_[0]].cost >= Grammar::kNever) {
      return base::fail(ErrorCode::invalid_argument, "grammar: no text matches it");
    }
    cut_dead_ends();
    PLAIT_TRY_VOID(refuse_left_recursion());
    return std::move(grammar_);
  }

 private:
  base::Result<void> determinise();
  Grammar::NodeId node_of(Set set);
  void close(Set& set);
  void add_bytes(Grammar::NodeId id, const Set& set);
  void add_calls(Grammar::NodeId id, const Set& set);
  void find_costs();
  void cut_dead_ends();
  base::Result<void> refuse_left_recursion();
  [[nodiscard]] Set left_calls(std::uint32_t rule) const;

  NfaBuilder builder_;
  CompileLimits limits_;
  Grammar grammar_;
  std::size_t work_ = 0, nfa_states_ = 0;
  Nfa nfa_;  // of the rule at hand, as the next ones
  std::unordered_map<Set, Grammar::NodeId, SetHash> ids_;
  std::vector<Set> sets_;             // of the nodes that are not done
  std::vector<std::uint32_t> marks_;  // [state]: the last closure that it was in
  std::uint32_t mark_ = 0;
};

base::Result<void> GrammarCompiler::determinise() {
  ids_.clear();
  sets_.clear();
  marks_.assign(nfa_.states.size(), 0);
  mark_ = 0;
  nfa_states_ += nfa_.states.size();
  const std::size_t first = grammar_.nodes_.size();
  grammar_.starts_.push_back(node_of({0}));
  for (std::size_t i = 0; i < sets_.size(); ++i) {
    const std::size_t nodes_max = std::min(limits_.states_max, nodes_allowed(nfa_states_));
    if (grammar_.nodes_.size() > nodes_max || work_ > limits_.work_max) {
      return base::fail(ErrorCode::out_of_resources,
                        fmt::format("grammar: its automaton has more than {} states or takes too long to make; use "
                                    "smaller bounds of repetitions and fewer alternatives that begin alike",
                                    nodes_max));
    }
    const Set set = std::exchange(sets_[i], {});
    const auto id = static_cast<Grammar::NodeId>(first + i);
    add_bytes(id, set);
    add_calls(id, set);
  }
  return {};
}

/// Follows silent edges; keeps the states that matter and the last one, 1.
void GrammarCompiler::close(Set& set) {
  ++mark_;
  Set open = std::exchange(set, {});
  for (const std::uint32_t state : open) marks_[state] = mark_;
  while (!open.empty()) {
    const std::uint32_t state = open.back();
    open.pop_back();
    if (nfa_.states[state].matters || state == 1) set.push_back(state);
    for (std::uint32_t e = nfa_.states[state].edge; e != Nfa::kNone; e = nfa_.edges[e].next) {
      ++work_;
      const Nfa::Edge& edge = nfa_.edges[e];
      if (edge.kind != Nfa::Kind::silent || marks_[edge.target] == mark_) continue;
      marks_[edge.target] = mark_;
      open.push_back(edge.target);
    }
  }
  std::ranges::sort(set);
}

Grammar::NodeId GrammarCompiler::node_of(Set set) {
  close(set);
  work_ += sorting_work(set.size());
  const auto [at, is_new] = ids_.emplace(std::move(set), static_cast<Grammar::NodeId>(grammar_.nodes_.size()));
  if (is_new) {
    grammar_.nodes_.push_back({.accepts = std::ranges::binary_search(at->first, 1U)});
    sets_.push_back(at->first);
  }
  return at->second;
}

/// Sweeps over the 256 bytes; where the set of active edges changes, a new range begins.
void GrammarCompiler::add_bytes(Grammar::NodeId id, const Set& set) {
  struct Change {
    std::uint32_t byte;
    bool begins;
    std::uint32_t range;
  };
  std::vector<Change> changes;
  std::vector<std::uint32_t> targets_of;  // [range]
  for (const std::uint32_t state : set) {
    for (std::uint32_t e = nfa_.states[state].edge; e != Nfa::kNone; e = nfa_.edges[e].next) {
      const Nfa::Edge& edge = nfa_.edges[e];
      if (edge.kind != Nfa::Kind::bytes) continue;
      const auto range = static_cast<std::uint32_t>(targets_of.size());
      changes.push_back({edge.first, true, range});
      changes.push_back({edge.last + 1U, false, range});
      targets_of.push_back(edge.target);
    }
  }
  std::ranges::sort(changes, {}, &Change::byte);
  work_ += sorting_work(changes.size());
  const auto first = static_cast<std::uint32_t>(grammar_.edges_.size());
  std::vector<std::uint32_t> active;                       // ranges
  std::vector<std::uint32_t> place_of(targets_of.size());  // [range]: in `active`
  for (std::size_t i = 0; i < changes.size();) {
    const std::uint32_t byte = changes[i].byte;
    for (; i < changes.size() && changes[i].byte == byte; ++i) {
      if (changes[i].begins) {
        place_of[changes[i].range] = static_cast<std::uint32_t>(active.size());
        active.push_back(changes[i].range);
      } else {  // the last one takes its place
        const std::uint32_t place = place_of[changes[i].range];
        active[place] = active.back();
        place_of[active[place]] = place;
        active.pop_back();
      }
    }
    work_ += sorting_work(active.size());
    if (active.empty()) continue;
    Set targets;
    for (const std::uint32_t range : active) targets.push_back(targets_of[range]);
    std::ranges::sort(targets);
    targets.erase(std::ranges::unique(targets).begin(), targets.end());
    const Grammar::NodeId target = node_of(std::move(targets));
    const auto last = static_cast<std::uint8_t>(changes[i].byte - 1);
    auto& edges = grammar_.edges_;
    if (edges.size() > first && edges.back().target == target && edges.back().last + 1U == byte) {
      edges.back().last = last;
    } else {
      edges.push_back({.first = static_cast<std::uint8_t>(byte), .last = last, .target = target});
    }
  }
  grammar_.nodes_[id].edge = first;
  grammar_.nodes_[id].edges = static_cast<std::uint32_t>(grammar_.edges_.size()) - first;
}

void GrammarCompiler::add_calls(Grammar::NodeId id, const Set& set) {
  std::map<std::uint32_t, Set> targets;  // by rule
  for (const std::uint32_t state : set) {
    for (std::uint32_t e = nfa_.states[state].edge; e != Nfa::kNone; e = nfa_.edges[e].next) {
      if (nfa_.edges[e].kind == Nfa::Kind::call) targets[nfa_.edges[e].rule].push_back(nfa_.edges[e].target);
    }
  }
  const auto first = static_cast<std::uint32_t>(grammar_.calls_.size());
  for (auto& [rule, states] : targets) {
    std::ranges::sort(states);
    states.erase(std::ranges::unique(states).begin(), states.end());
    const Grammar::NodeId target = node_of(states);
    grammar_.calls_.push_back({.rule = rule, .target = target});
  }
  grammar_.nodes_[id].call = first;
  grammar_.nodes_[id].calls = static_cast<std::uint32_t>(targets.size());
}

/// Nodes are settled in the order of their cost. A rule costs what its start costs; a call is complete once both its
/// rule and its target are settled.
void GrammarCompiler::find_costs() {
  struct Use {
    Grammar::NodeId from;
    Grammar::NodeId target;
    std::uint32_t rule;  // Nfa::kNone: a byte
  };
  auto& nodes = grammar_.nodes_;
  std::vector<Use> uses;
  std::unordered_map<Grammar::NodeId, std::vector<std::uint32_t>> rules_at;
  std::vector<std::vector<std::uint32_t>> into(nodes.size()), of_rule(grammar_.starts_.size());
  for (std::uint32_t r = 0; r < grammar_.starts_.size(); ++r) rules_at[grammar_.starts_[r]].push_back(r);
  for (Grammar::NodeId id = 0; id < nodes.size(); ++id) {
    const auto add = [&](const Use& use) {
      into[use.target].push_back(static_cast<std::uint32_t>(uses.size()));
      if (use.rule != Nfa::kNone) of_rule[use.rule].push_back(static_cast<std::uint32_t>(uses.size()));
      uses.push_back(use);
    };
    for (const Grammar::Edge& edge : grammar_.edges(nodes[id])) add({id, edge.target, Nfa::kNone});
    for (const Grammar::Call& call : grammar_.calls(nodes[id])) add({id, call.target, call.rule});
  }
  std::vector<bool> settled(nodes.size(), false);
  using Entry = std::pair<std::uint32_t, Grammar::NodeId>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  const auto offer = [&](Grammar::NodeId id, std::uint32_t cost) {
    if (cost >= nodes[id].cost) return;
    nodes[id].cost = cost;
    queue.emplace(cost, id);
  };
  for (Grammar::NodeId id = 0; id < nodes.size(); ++id) {
    if (nodes[id].accepts) offer(id, 0);
  }
  const auto relax = [&](const Use& use) {
    if (use.rule == Nfa::kNone) return offer(use.from, add_cost(1, nodes[use.target].cost));
    const Grammar::NodeId start = grammar_.starts_[use.rule];
    if (settled[start] && settled[use.target]) offer(use.from, add_cost(nodes[start].cost, nodes[use.target].cost));
  };
  while (!queue.empty()) {
    const Grammar::NodeId id = queue.top().second;
    queue.pop();
    if (settled[id]) continue;
    settled[id] = true;
    for (const std::uint32_t use : into[id]) relax(uses[use]);
    const auto rules = rules_at.find(id);
    if (rules == rules_at.end()) continue;
    for (const std::uint32_t r : rules->second) {
      for (const std::uint32_t use : of_rule[r]) relax(uses[use]);
    }
  }
}

void GrammarCompiler::cut_dead_ends() {
  std::vector<Grammar::Edge> edges;
  std::vector<Grammar::Call> calls;
  auto& nodes = grammar_.nodes_;
  const auto alive = [&](Grammar::NodeId id) { return nodes[id].cost < Grammar::kNever; };
  for (Grammar::Node& node : nodes) {
    const auto edge = static_cast<std::uint32_t>(edges.size()), call = static_cast<std::uint32_t>(calls.size());
    for (const Grammar::Edge& one : grammar_.edges(node)) {
      if (!alive(one.target)) continue;
      edges.push_back(one);
      const std::uint32_t cost = add_cost(1, nodes[one.target].cost);
      if (cost >= node.byte_cost) continue;
      node.byte_cost = cost;
      node.byte = one.first;
    }
    for (const Grammar::Call& one : grammar_.calls(node)) {
      if (alive(one.target) && alive(grammar_.starts_[one.rule])) calls.push_back(one);
    }
    node.edge = edge;
    node.edges = static_cast<std::uint32_t>(edges.size()) - edge;
    node.call = call;
    node.calls = static_cast<std::uint32_t>(calls.size()) - call;
  }
  grammar_.edges_ = std::move(edges);
  grammar_.calls_ = std::move(calls);
}

/// The rules that a rule may call before it has read a byte.
Set GrammarCompiler::left_calls(std::uint32_t rule) const {
  Set rules;
  Set open{grammar_.starts_[rule]};
  std::unordered_map<Grammar::NodeId, bool> seen{{open.front(), true}};
  while (!open.empty()) {
    const Grammar::Node& node = grammar_.nodes_[open.back()];
    open.pop_back();
    for (const Grammar::Call& call : grammar_.calls(node)) {
      rules.push_back(call.rule);
      const bool may_be_empty = grammar_.nodes_[grammar_.starts_[call.rule]].cost == 0;
      if (may_be_empty && seen.emplace(call.target, true).second) open.push_back(call.target);
    }
  }
  return rules;
}

base::Result<void> GrammarCompiler::refuse_left_recursion() {
  enum class Mark : std::uint8_t { fresh, open, done };
  std::vector<Mark> marks(grammar_.starts_.size(), Mark::fresh);
  std::vector<std::pair<std::uint32_t, Set>> path;
  const auto enter = [&](std::uint32_t rule) {
    marks[rule] = Mark::open;
    path.emplace_back(rule, left_calls(rule));
  };
  for (std::uint32_t root = 0; root < marks.size(); ++root) {
    if (marks[root] == Mark::fresh) enter(root);
    while (!path.empty()) {
      auto& [rule, calls] = path.back();
      if (calls.empty()) {
        marks[rule] = Mark::done;
        path.pop_back();
        continue;
      }
      const std::uint32_t next = calls.back();
      calls.pop_back();
      if (marks[next] == Mark::open) {
        return base::fail(ErrorCode::invalid_argument,
                          fmt::format("grammar: rule '{}' calls itself before it reads anything; write the recursion "
                                      "at the end, or as a repetition",
                                      builder_.name(next)));
      }
      if (marks[next] == Mark::fresh) enter(next);
    }
  }
  return {};
}

base::Result<Grammar> Grammar::compile(const GrammarSource& source, const CompileLimits& limits) {
  if (source.root() == kNoRule) return base::fail(ErrorCode::invalid_argument, "grammar: there is no root rule");
  for (std::uint32_t rule = 0; rule < source.rules(); ++rule) {
    if (source[source.expr(RuleId(rule))].depth <= limits.depth_max) continue;
    return base::fail(ErrorCode::out_of_resources, fmt::format("grammar: rule '{}' nests deeper than {} levels",
                                                               source.name(RuleId(rule)), limits.depth_max));
  }
  return GrammarCompiler(source, limits).compile();
}

}  // namespace plait::text
