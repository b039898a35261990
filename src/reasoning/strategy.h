// SPDX-License-Identifier: Apache-2.0
//
// Ways to think about a question. A strategy is a program of strands (reasoning/program.h): it asks a Thinking
// (reasoning/thinking.h) for strands and calls of the model, and says in the end what came out. It has no state of its
// own, so one object serves many questions at the same time.
//
//   const StrategyRegistry strategies = all_strategies();
//   PLAIT_TRY(const auto strategy, strategies.make("best-of", {{"n", 8}}));
//   Thinking thinking(strands, clock, prompts, {.messages = messages, .sampler = {.seed = 7}});
//   const Value<Thought> thought = thinking.run(*strategy);       // comes as the engine steps
//
// Same answer: with a seed, a strategy's result depends on the question and its options alone. Calls that run at the
// same time share their budget evenly beforehand, so it does not matter which of them ends first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "reasoning/program.h"
#include "text/json.h"

namespace plait::reasoning {

/// What a call of the model is for.
enum class CallRole { main, child, draft, judge, planner, distiller, worker };
/// "main", "child", …
[[nodiscard]] std::string_view name(CallRole role);

/// One call of the model: a row of the ledger, in the order in which they were asked for.
struct CallRecord {
  std::uint64_t id = 0;                      ///< From 1 on.
  std::optional<std::uint64_t> parent = {};  ///< The call whose text it goes on from, if there is one.
  CallRole role = CallRole::main;
  std::string label = {};            ///< "draft 1.3"
  std::size_t prompt_tokens = 0;     ///< Before its first generated token.
  std::size_t cached_tokens = 0;     ///< Of those, found computed.
  std::size_t prefilled_tokens = 0;  ///< Of those, computed.
  std::size_t generated_tokens = 0;
  std::size_t critical_tokens = 0;  ///< The longest chain of generated tokens up to its end.
  double start = 0;                 ///< Seconds since the beginning of the run.
  double end = 0;
  engine::EndReason reason = engine::EndReason::stop;
  engine::Cost cost = {};
  double waited_seconds = 0;  ///< In the engine: until its first row,
  double prompt_seconds = 0;  ///< from there to its first token,
  double decode_seconds = 0;  ///< and from there to its end.
  std::size_t preemptions = 0;
};

/// Sums over the calls of a run.
struct Spending {
  std::size_t calls = 0;
  std::size_t generated_tokens = 0;
  std::size_t prefilled_tokens = 0;
  std::size_t cached_tokens = 0;
  std::size_t critical_path_tokens = 0;
  engine::Cost cost = {};
};
[[nodiscard]] Spending sum(const std::vector<CallRecord>& calls);

/// One of the texts that an answer was made of.
struct ThoughtPath {
  std::string label = {};
  std::string text = {};
  std::string answer = {};  ///< What counts as its answer.
  bool chosen = false;
  bool abstains = false;
  std::optional<double> score = {};         ///< By the selector, where it gives numbers.
  std::optional<double> mean_logprob = {};  ///< Of its tokens.
};

/// What came out.
struct Thought {
  std::string answer = {};    ///< The final text for who asked.
  std::string selector = {};  ///< How it was chosen: "majority", "verifier countdown", …; empty: nothing was.
  std::vector<ThoughtPath> paths = {};
  std::map<std::string, std::size_t> counts = {};  ///< Outcomes worth knowing: "broken_threads", "fallback_paths", …
  /// stop: it is complete. length: the budget was too short for more. deadline, cancelled: what was reached by then.
  engine::EndReason reason = engine::EndReason::stop;
  std::vector<CallRecord> calls = {};
  [[nodiscard]] Spending spending() const { return sum(calls); }
  /// Of an outcome, 0 if it did not come.
  [[nodiscard]] std::size_t count(const std::string& outcome) const {
    const auto at = counts.find(outcome);
    return at == counts.end() ? 0 : at->second;
  }
};

/// The most that a strategy may take.
struct Bound {
  std::size_t calls = 0;
  std::size_t rows = 0;  ///< At the same time.
  std::size_t generated_tokens = 0;
  std::size_t critical_path_tokens = 0;
  std::size_t prompt_tokens = 0;  ///< Of all calls, computed or found, without what they read of each other.
};

class Thinking;

class Strategy {
 public:
  virtual ~Strategy() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// For a question of so many tokens and calls of at most so many.
  [[nodiscard]] virtual Bound bound(std::size_t question_tokens, std::size_t call_tokens) const = 0;
  /// `thinking` outlives the program. Errors: invalid_argument; what a call failed with that it cannot do without.
  [[nodiscard]] virtual Program<Thought> think(Thinking& thinking) const = 0;
};

/// A strategy that can be asked for by name.
struct StrategyEntry {
  std::string name;
  std::string about;    ///< One line.
  std::string options;  ///< "n=8 select=majority": each option with its default, for people.
  /// From `strategy_options`, an object. Errors: invalid_argument naming the option.
  std::function<base::Result<std::unique_ptr<Strategy>>(const text::Json& options)> make;
};

class StrategyRegistry {
 public:
  /// Requires: no other strategy has this name.
  void add(StrategyEntry entry);
  /// Null: there is none. Valid until the next add().
  [[nodiscard]] const StrategyEntry* find(std::string_view name) const;
  [[nodiscard]] const std::vector<StrategyEntry>& all() const { return entries_; }
  /// Errors: invalid_argument (no such strategy, with the names of all; an option).
  [[nodiscard]] base::Result<std::unique_ptr<Strategy>> make(std::string_view name, const text::Json& options) const;

 private:
  std::vector<StrategyEntry> entries_;
};

/// hogwild, group-think, threads, spawn, pdr, refine, outlines, best-of.
[[nodiscard]] StrategyRegistry all_strategies();

}  // namespace plait::reasoning
