// SPDX-License-Identifier: Apache-2.0
//
// Runs a grammar over bytes. A state stands for everything that the text so far may be in the middle of: a set of
// (node, return stack). States and stacks are kept once and never change, so a state is a number, and what was found
// out about it (the next state by byte, or a mask of tokens) is found out once.
//
//   GrammarStates states(grammar);
//   StateId at = states.start();
//   for (std::uint8_t byte : text) at = states.advance(at, byte);
//   if (at != kRefused && states.accepts(at)) ...
//
// Cost: a step that was taken before is two look-ups; a new one takes some 100 ns for each entry of the set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "text/grammar/grammar.h"

namespace plait::text {

using StateId = base::Id<struct GrammarStateTag, std::uint32_t>;
/// No text that begins so matches.
inline constexpr StateId kRefused{0};

struct StateLimits {
  std::size_t bytes_max = std::size_t{64} << 20U;  ///< Memory of all states.
  std::size_t entries_max = 512;                   ///< Of one state's set: how ambiguous a text may be.
  std::uint32_t depth_max = 512;                   ///< Calls within each other; deeper ones are refused as no match.
};

class GrammarStates {  // one thread
 public:
  explicit GrammarStates(std::shared_ptr<const Grammar> grammar, const StateLimits& limits = {});
  GrammarStates(const GrammarStates&) = delete;
  GrammarStates& operator=(const GrammarStates&) = delete;

  /// Of the empty text; kRefused only if a limit was hit.
  [[nodiscard]] StateId start() const { return start_; }
  /// kRefused if nothing that begins so matches, or if a limit was hit, see check().
  [[nodiscard]] StateId advance(StateId state, std::uint8_t byte) {
    const std::uint32_t known = row(state)[byte];
    return known != kUnknown ? StateId(known) : step(state, byte);
  }
  /// The text may end here.
  [[nodiscard]] bool accepts(StateId state) const { return states_[state.value()].accepts; }
  /// Fewest bytes that must follow before the text may end. Exact below Grammar::kNever.
  [[nodiscard]] std::uint32_t cost(StateId state) const { return states_[state.value()].cost; }
  /// First byte of a shortest rest: always the same rest, so that of the next state is what is left of it.
  /// Requires: cost(state) > 0.
  [[nodiscard]] std::uint8_t shortest_byte(StateId state) const { return states_[state.value()].shortest; }
  /// The byte that must follow, if there is only one and the text may not end.
  [[nodiscard]] std::optional<std::uint8_t> only_byte(StateId state) const;

  /// Errors: out_of_resources once a limit of memory or ambiguity was hit. Then states are missing, and the object is
  /// of no more use.
  [[nodiscard]] base::Result<void> check() const;

  [[nodiscard]] std::size_t size() const { return states_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  static constexpr std::uint32_t kUnknown = 0xFFFF'FFFF;
  using Row = std::array<std::uint32_t, 256>;
  /// The next states by byte as far as they are known, else kUnknown. Stays where it is.
  [[nodiscard]] Row& row(StateId state) {
    std::unique_ptr<Row>& row = states_[state.value()].row;
    return row ? *row : make_row(state);
  }
  /// Fills in the entry of a byte, and those of its neighbours that lead to the same state for the same reason.
  StateId step(StateId state, std::uint8_t byte);

 private:
  struct Entry {
    Grammar::NodeId node = 0;
    std::uint32_t stack = 0;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };
  struct Stack {
    Grammar::NodeId node = 0;  // where to go on
    std::uint32_t below = 0;
    std::uint32_t cost = 0;  // of this and all below
    std::uint32_t depth = 0;
  };
  struct State {
    std::vector<Entry> entries = {};  // those that read a byte
    std::unique_ptr<Row> row = {};
    std::uint32_t cost = Grammar::kNever;
    std::int16_t only = -1;  // -1: none or several
    std::uint8_t shortest = 0;
    bool accepts = false;
  };
  Row& make_row(StateId state);
  /// The state of entries that are not closed yet; takes what is in scratch_.
  StateId intern();
  [[nodiscard]] bool close();
  void add(Entry entry);
  [[nodiscard]] std::optional<std::uint32_t> push(Grammar::NodeId node, std::uint32_t below);
  void describe(State& state) const;

  std::shared_ptr<const Grammar> grammar_;
  StateLimits limits_;
  std::vector<State> states_;  // 0: kRefused
  std::vector<Stack> stacks_;  // 0: empty
  std::unordered_multimap<std::uint64_t, std::uint32_t> state_of_;
  std::unordered_map<std::uint64_t, std::uint32_t> stack_of_;
  std::vector<Entry> scratch_;
  std::vector<Entry> seen_;  // ascending
  std::vector<Entry> kept_;
  bool accepts_ = false;
  std::size_t bytes_ = 0;
  const char* exceeded_ = nullptr;
  StateId start_ = kRefused;
};

}  // namespace plait::text
