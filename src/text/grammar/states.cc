// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/states.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "base/random.h"

namespace plait::text {

GrammarStates::GrammarStates(std::shared_ptr<const Grammar> grammar, const StateLimits& limits)
    : grammar_(std::move(grammar)), limits_(limits) {
  states_.emplace_back();
  stacks_.emplace_back();
  scratch_ = {{.node = grammar_->start(grammar_->root()), .stack = 0}};
  start_ = intern();
}

std::optional<std::uint8_t> GrammarStates::only_byte(StateId state) const {
  const State& at = states_[state.value()];
  if (at.accepts || at.only < 0) return std::nullopt;
  return static_cast<std::uint8_t>(at.only);
}

base::Result<void> GrammarStates::check() const {
  if (exceeded_ == nullptr) return {};
  return base::fail(base::ErrorCode::out_of_resources, fmt::format("grammar: {}", exceeded_));
}

GrammarStates::Row& GrammarStates::make_row(StateId state) {
  auto row = std::make_unique<Row>();
  row->fill(state == kRefused ? kRefused.value() : kUnknown);
  bytes_ += sizeof(Row);
  states_[state.value()].row = std::move(row);
  return *states_[state.value()].row;
}

/// Bytes beside this one that are on the same edges lead to the same state.
StateId GrammarStates::step(StateId state, std::uint8_t byte) {
  scratch_.clear();
  std::size_t first = 0, last = 255;
  for (const Entry& entry : states_[state.value()].entries) {
    const auto edges = grammar_->edges(grammar_->node(entry.node));
    const auto edge = std::ranges::lower_bound(edges, byte, {}, &Grammar::Edge::last);
    if (edge != edges.end() && edge->first <= byte) {
      first = std::max<std::size_t>(first, edge->first);
      last = std::min<std::size_t>(last, edge->last);
      scratch_.push_back({edge->target, entry.stack});
      continue;
    }
    if (edge != edges.begin()) first = std::max<std::size_t>(first, std::prev(edge)->last + std::size_t{1});
    if (edge != edges.end()) last = std::min<std::size_t>(last, edge->first - std::size_t{1});
  }
  const StateId next = scratch_.empty() ? kRefused : intern();
  std::ranges::fill(std::span(row(state)).subspan(first, last - first + 1), next.value());
  return next;
}

void GrammarStates::add(Entry entry) {
  const auto at = std::ranges::lower_bound(seen_, entry);
  if (at != seen_.end() && *at == entry) return;
  seen_.insert(at, entry);
  scratch_.push_back(entry);
}

/// A call of the last thing that its caller does needs no entry of its own: right recursion takes no stack.
std::optional<std::uint32_t> GrammarStates::push(Grammar::NodeId node, std::uint32_t below) {
  const Grammar::Node& target = grammar_->node(node);
  if (target.accepts && target.edges == 0 && target.calls == 0) return below;
  const auto number = static_cast<std::uint32_t>(stacks_.size());
  const auto [at, is_new] = stack_of_.emplace((std::uint64_t{node} << 32U) | below, number);
  if (!is_new) return at->second;
  const Stack& under = stacks_[below];
  if (under.depth >= limits_.depth_max) {
    stack_of_.erase(at);
    return std::nullopt;
  }
  stacks_.push_back({.node = node,
                     .below = below,
                     .cost = std::min(Grammar::kNever, under.cost + target.cost),
                     .depth = under.depth + 1});
  bytes_ += sizeof(Stack) + 64;
  return number;
}

/// Follows calls and returns, which read nothing. There is an end to it since no rule calls itself before it reads.
bool GrammarStates::close() {
  std::vector<Entry> first;
  first.swap(scratch_);
  seen_.clear();
  kept_.clear();
  accepts_ = false;
  for (const Entry& entry : first) add(entry);
  while (!scratch_.empty()) {
    if (seen_.size() > limits_.entries_max) {
      exceeded_ = "the text can be read in too many ways at once; make the grammar less ambiguous";
      return false;
    }
    const Entry entry = scratch_.back();
    scratch_.pop_back();
    const Grammar::Node& node = grammar_->node(entry.node);
    if (node.edges > 0) kept_.push_back(entry);
    for (const Grammar::Call& call : grammar_->calls(node)) {
      if (const auto stack = push(call.target, entry.stack)) add({grammar_->start(call.rule), *stack});
    }
    if (!node.accepts) continue;
    if (entry.stack == 0) {
      accepts_ = true;
    } else {
      add({stacks_[entry.stack].node, stacks_[entry.stack].below});
    }
  }
  first.swap(scratch_);  // keeps its memory
  scratch_.clear();
  std::ranges::sort(kept_);
  return true;
}

StateId GrammarStates::intern() {
  if (exceeded_ != nullptr || !close()) return kRefused;
  if (kept_.empty() && !accepts_) return kRefused;  // only deeper than allowed
  std::uint64_t hash = accepts_ ? 1 : 0;
  for (const Entry& entry : kept_) hash = base::mix64(hash ^ ((std::uint64_t{entry.node} << 32U) | entry.stack));
  const auto [first, last] = state_of_.equal_range(hash);
  for (auto at = first; at != last; ++at) {
    const State& state = states_[at->second];
    if (state.accepts == accepts_ && state.entries == kept_) return StateId(at->second);
  }
  bytes_ += sizeof(State) + 64 + kept_.size() * sizeof(Entry);
  if (bytes_ > limits_.bytes_max) {
    exceeded_ = "its states take more memory than is allowed";
    return kRefused;
  }
  State state{.entries = kept_, .accepts = accepts_};
  describe(state);
  states_.push_back(std::move(state));
  const auto id = static_cast<std::uint32_t>(states_.size() - 1);
  state_of_.emplace(hash, id);
  return StateId(id);
}

void GrammarStates::describe(State& state) const {
  if (state.accepts) state.cost = 0;
  bool several = false;
  for (const Entry& entry : state.entries) {
    const Grammar::Node& node = grammar_->node(entry.node);
    const std::uint32_t cost = std::min(Grammar::kNever, node.byte_cost + stacks_[entry.stack].cost);
    if (cost < state.cost || (cost == state.cost && node.byte < state.shortest && !state.accepts)) {
      state.cost = cost;
      state.shortest = node.byte;
    }
    for (const Grammar::Edge& edge : grammar_->edges(node)) {
      several = several || edge.first != edge.last || (state.only >= 0 && state.only != edge.first);
      state.only = edge.first;
    }
  }
  if (several) state.only = -1;
}

}  // namespace plait::text
