// SPDX-License-Identifier: Apache-2.0
//
// Who is served next: an account of what each client has had, and the order of requests that follows from it.
//
// The idea is a virtual clock for each client: its service divided by its weight. Whoever wants something and has had
// least is served first. This is start-time fair queueing (Goyal, Vin, Cheng 1996) with costs that are known only
// afterwards, the form in which "Fairness in Serving Large Language Models" (Sheng et al., 2023) has it as virtual
// token counters. Deficit round robin, the other candidate, needs no order of clients and so O(1) per decision; but a
// client that comes back waits for a whole round of the others, a quantum must be as large as the largest request to
// be fair in few rounds, and its bound grows with the quantum. Here a newcomer is next, and one decision costs O(log
// clients).
//
// The rules:
//   1. A client *contends* while it has a request that waits or whose prompt is not done. When it begins to contend,
//      its clock is set forward to the slowest clock of those who contend on its level: what it did not use is gone.
//      If nobody contends there, to the fastest clock of all, which everyone has then a right to: old debts end as
//      well. A clock is never set back, so going away and coming back pays no debt.
//   2. What an admitted request is expected to cost is reserved: it counts in the order of admission (only) until it
//      has been charged or the request ends. Else one client would fill all rows before its first charge.
//   3. Next is the client with the most urgent level, then the smallest clock plus reservation, then the fewest running
//      requests, then the longest wait. Within a client the earliest arrival; preempted work keeps its arrival.
//   4. Tokens of a step's prompt budget go, piece by piece, to the client with the most urgent level, then the smallest
//      clock including what this step has given it. So the first token of a newcomer waits for nobody's queue.
//   5. Levels are strict: level 1 is admitted when nothing of level 0 waits, and gets of a prompt budget what level 0
//      leaves. But a client that contends and is neither admitted nor given prompt tokens for `ageing` rises by one
//      level, and falls back once it is served. Up there its clock counts from the slowest one there as it did from the
//      slowest one at home, so it is soon first. A client of level n is therefore served about every n * ageing, and
//      strictness is broken by no more than that.
//   6. A client without requests is remembered as long as there are at most `idle_max` of them; then those that owe
//      least are forgotten first. Forgetting one that owes nothing changes no decision.
//
// What follows: take two clients of the same level that have waiting requests throughout. Let C be the largest cost of
// one admission and of one expectation, R the rows that run at a time, w the smaller weight. Then their services
// divided by their weights, counted from a moment when these were equal, never differ by more than R * C / w: at the
// last admission of the client that is ahead it was not ahead by more than the other's reservations, and since then
// it only finished what ran. fairness_test.cc tests this, and that first-come-first-served breaks it.
//
// Deterministic: the same calls give the same answers. One thread at a time. O(log clients + log requests) for each
// call unless it says otherwise; allocates when a name is seen for the first time or again after it was forgotten,
// and when there are more requests or clients than ever before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"

namespace plait::engine {

/// A request inside a Fairness: from arrive() to finish(), then the number is used again.
using Ticket = base::Id<struct TicketTag, std::uint32_t>;

struct FairnessOptions {
  std::size_t piece = 16;       ///< Tokens in which a prompt budget is dealt out. Smaller is fairer and slower to deal.
  double ageing = 30;           ///< In the caller's time; 0: never. Short makes levels weak, long makes low ones wait.
  std::size_t idle_max = 1024;  ///< Clients remembered though they have no request: some 200 bytes each.
};

/// Who asks. Weight and level count from the moment at which the client has no other request.
struct Client {
  std::string_view name;  ///< Any text; who calls limits its length.
  double weight = 1;      ///< Service that it gets per service of a client of weight 1. > 0.
  int level = 0;          ///< 0 is the most urgent. 0 ≤ level < Fairness::kLevels.
};

/// One request's part of a step's prompt tokens.
struct PromptShare {
  Ticket ticket;
  std::size_t left = 0;     ///< Prompt tokens that are still to be fed.
  std::size_t granted = 0;  ///< Filled in: of these, now.
};

/// What a client has had and has, for metrics.
struct Standing {
  double service = 0;       ///< Charges since the client was last unknown.
  double clock = 0;         ///< Rule 1; comparable within a level only.
  std::size_t waiting = 0;  ///< Requests.
  std::size_t running = 0;
  int level = 0;  ///< Its own, or a more urgent one while it is raised by age.
  double weight = 1;
};

/// Times are the caller's, in any unit (seconds, steps), and must not decrease from call to call.
class Fairness {
 public:
  static constexpr int kLevels = 8;

  explicit Fairness(const FairnessOptions& options = {});
  Fairness(Fairness&&) noexcept;
  Fairness& operator=(Fairness&&) noexcept;
  ~Fairness();

  /// A request begins to wait. Requires: weight > 0 and finite, level in range.
  Ticket arrive(const Client& client, double now);

  /// The request to admit next, nothing if none waits. It stays until it is admitted, so a caller without room for it
  /// asks again later; passing it over for a smaller one would starve large requests. Amortised.
  [[nodiscard]] std::optional<Ticket> next(double now);

  /// The request runs from now on, its prompt first. `expected`: what it will cost, as charge() counts; 0 if unknown.
  /// Requires: it waits; expected ≥ 0.
  void admit(Ticket ticket, double expected, double now);

  /// Divides the budget of a step among running requests whose prompts are not done, in whole pieces but for ends of
  /// prompts and of the budget. Each share gets between 0 and `left`, together min(budget, all that is left).
  /// O(n log n + budget / piece * log n) for n shares. Requires: the tickets run and are distinct.
  void split(std::span<PromptShare> shares, std::size_t budget, double now);

  /// The prompt is done: from now on the request decodes. Requires: it runs and this was not said before.
  void prompt_done(Ticket ticket);

  /// What a step cost for the sake of this request, in any unit that stays the same (see engine/cost.h). Tokens of
  /// split() count as one unit each until they are charged. Requires: cost ≥ 0 and finite.
  void charge(Ticket ticket, double cost);

  /// Back to waiting, with its old arrival and without its reservation. Requires: it runs.
  void preempt(Ticket ticket, double now);

  /// It is over, whether it was done or cancelled, ran or waited. The ticket is invalid from now on.
  void finish(Ticket ticket);

  /// Nothing for a client that is not remembered.
  [[nodiscard]] std::optional<Standing> standing(std::string_view name) const;
  /// Of all that are remembered, in no order. The names are valid until the next change. O(clients).
  [[nodiscard]] std::vector<std::pair<std::string_view, Standing>> standings() const;
  [[nodiscard]] std::size_t clients() const;  ///< Remembered ones.
  [[nodiscard]] std::size_t waiting() const;  ///< Requests of all clients; O(1).

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace plait::engine
