// SPDX-License-Identifier: Apache-2.0
//
// An expression as a non-deterministic automaton (Thompson's construction): the step between GrammarSource and Grammar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/result.h"
#include "text/grammar/grammar.h"
#include "text/grammar/source.h"

namespace plait::text {

struct Nfa {
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
  enum class Kind : std::uint8_t { silent, bytes, call };
  struct Edge {
    Kind kind = Kind::silent;
    std::uint8_t first = 0, last = 0;
    std::uint32_t rule = 0;  ///< call: its number among those that the automata call.
    std::uint32_t target = 0;
    std::uint32_t next = kNone;  ///< Of the same state.
  };
  struct State {
    std::uint32_t edge = kNone;  ///< The first one.
    bool matters = false;        ///< Has an edge that is not silent.
  };

  std::vector<State> states = {};
  std::vector<Edge> edges = {};
};

class NfaBuilder {  // one thread
 public:
  /// Requires: source outlives it.
  NfaBuilder(const GrammarSource& source, const CompileLimits& limits);

  /// What has to be compiled: rules of the source and bodies of repetitions that are too large to be written out.
  /// Grows while they are built; entry 0 is the root.
  [[nodiscard]] std::size_t callables() const { return callables_.size(); }
  [[nodiscard]] const std::string& name(std::size_t callable) const { return callables_[callable].name; }
  /// The automaton of a callable, from state 0 to state 1. Errors: out_of_resources.
  [[nodiscard]] base::Result<Nfa> build(std::size_t callable);

 private:
  struct Callable {
    ExprId expr;
    std::string name;
  };
  std::vector<std::uint32_t> find_recursion();
  [[nodiscard]] std::uint64_t size_of(const Expr& expr) const;
  [[nodiscard]] std::uint32_t callable(ExprId expr, const std::string& name);
  std::uint32_t add_state();
  void add_edge(std::uint32_t from, const Nfa::Edge& edge);
  void silent(std::uint32_t from, std::uint32_t to) { add_edge(from, {.target = to}); }
  void connect(ExprId id, std::uint32_t from, std::uint32_t to);
  void connect_repeat(const Expr& expr, std::uint32_t from, std::uint32_t to);
  void connect_joined(const Expr& expr, std::uint32_t from, std::uint32_t to);
  void connect_rule(const Expr& expr, std::uint32_t from, std::uint32_t to);

  const GrammarSource& source_;
  CompileLimits limits_;
  std::vector<bool> recursive_;       // [rule]
  std::vector<std::uint64_t> sizes_;  // [expression]: states it takes, what is written out included
  std::vector<Callable> callables_;
  std::map<std::uint32_t, std::uint32_t> callable_of_;  // by expression
  std::size_t states_ = 0;                              // of all automata
  bool too_large_ = false;
  Nfa nfa_;
};

}  // namespace plait::text
