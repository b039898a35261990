// SPDX-License-Identifier: Apache-2.0
//
// A compiled grammar: one deterministic automaton over bytes for each rule, whose edges are ranges of bytes or calls of
// other rules.
//
// What is regular becomes one automaton: rules that are not recursive are written out where they are used, as long as
// they are small. Recursion stays a call. States without a way to the end are cut off, so a text that was accepted so
// far can always be finished. GrammarStates (states.h) runs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/grammar/source.h"

namespace plait::text {

/// Beyond these compiling fails with out_of_resources. All are counts.
struct CompileLimits {
  std::size_t states_max = 400'000;    ///< Of the automata, and of those they are made from. Some 50 bytes each.
  std::size_t work_max = 100'000'000;  ///< Steps, some ns each.
  std::uint32_t depth_max = 1'000;     ///< Levels of expressions within each other.
};

class Grammar {  // immutable; any thread
 public:
  using NodeId = std::uint32_t;
  static constexpr std::uint32_t kNever = 0x3FFF'FFFF;  ///< A cost that no text has; sums saturate here.

  struct Edge {
    std::uint8_t first = 0;
    std::uint8_t last = 0;  ///< Included.
    NodeId target = 0;
  };
  struct Call {
    std::uint32_t rule = 0;
    NodeId target = 0;  ///< Where to go on behind it.
  };
  struct Node {
    std::uint32_t edge = 0, edges = 0;  ///< Into the edges: ascending, apart.
    std::uint32_t call = 0, calls = 0;
    std::uint32_t cost = kNever;       ///< Fewest bytes to the end of its rule.
    std::uint32_t byte_cost = kNever;  ///< The same if the next one is a byte of its own,
    std::uint8_t byte = 0;             ///< and the lowest such byte.
    bool accepts = false;              ///< Its rule may end here.
  };

  /// Errors: invalid_argument (left recursion, by the rule's name; nothing matches); out_of_resources.
  [[nodiscard]] static base::Result<Grammar> compile(const GrammarSource& source, const CompileLimits& limits = {});

  [[nodiscard]] NodeId start(std::uint32_t rule) const { return starts_[rule]; }
  [[nodiscard]] std::uint32_t root() const { return 0; }
  [[nodiscard]] const Node& node(NodeId id) const { return nodes_[id]; }
  [[nodiscard]] std::span<const Edge> edges(const Node& node) const {
    return std::span(edges_).subspan(node.edge, node.edges);
  }
  [[nodiscard]] std::span<const Call> calls(const Node& node) const {
    return std::span(calls_).subspan(node.call, node.calls);
  }
  [[nodiscard]] std::size_t nodes() const { return nodes_.size(); }
  [[nodiscard]] std::size_t rules() const { return starts_.size(); }

 private:
  friend class GrammarCompiler;
  Grammar() = default;

  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  std::vector<Call> calls_;
  std::vector<NodeId> starts_;  // [rule]; 0 is the root
};

}  // namespace plait::text
