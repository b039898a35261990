// SPDX-License-Identifier: Apache-2.0
#include "engine/fairness.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "engine/slot_heap.h"

namespace plait::engine {
namespace {

enum class Phase : std::uint8_t { free, waiting, prompt, decoding };

struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
};

std::uint32_t slot_of(Ticket ticket) { return ticket.value(); }

}  // namespace

struct Fairness::State {
  struct Request {
    double arrival = 0;
    double reserved = 0;         // of `expected`, not charged yet
    std::uint64_t sequence = 0;  // decides between equal arrivals
    std::uint32_t client = 0;
    std::uint32_t place = kNoPlace;  // in its client's heap of waiting requests
    Phase phase = Phase::free;
  };

  // Waiting requests of a client: the earliest arrival first.
  struct ByArrival {
    State* state;
    [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const {
      const Request& x = state->requests[a];
      const Request& y = state->requests[b];
      return std::tie(x.arrival, x.sequence) < std::tie(y.arrival, y.sequence);
    }
    [[nodiscard]] std::uint32_t& place(std::uint32_t slot) const { return state->requests[slot].place; }
  };

  struct Account {
    const std::string* name = nullptr;  // the key in `names`
    double weight = 1;
    double clock = 0;     // service / weight, set forward by rule 1
    double reserved = 0;  // over running requests
    double service = 0;
    double since = 0;  // when it was served last, or began to contend
    double shift = 0;  // while raised: from its clock to clocks of the level it is raised to
    int home = 0;
    int level = 0;                 // ≤ home
    std::uint32_t requests = 0;    // waiting or running
    std::uint32_t running = 0;     //
    std::uint32_t contending = 0;  // requests that wait or whose prompt is not done
    std::uint32_t in_contending = kNoPlace;
    std::uint32_t in_admission = kNoPlace;
    std::uint32_t in_ageing = kNoPlace;
    std::uint32_t in_idle = kNoPlace;
    SlotHeap<ByArrival> waiting;

    [[nodiscard]] Standing standing() const {
      return {.service = service,
              .clock = clock,
              .waiting = waiting.size(),
              .running = running,
              .level = level,
              .weight = weight};
    }
  };

  // Clients that contend on a level, the slowest clock first.
  struct ByClock {
    State* state;
    [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const {
      return std::tie(state->accounts[a].clock, a) < std::tie(state->accounts[b].clock, b);
    }
    [[nodiscard]] std::uint32_t& place(std::uint32_t slot) const { return state->accounts[slot].in_contending; }
  };

  // Clients of a level without requests, in the same order.
  struct ByDebt {
    State* state;
    [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const { return ByClock{state}.before(a, b); }
    [[nodiscard]] std::uint32_t& place(std::uint32_t slot) const { return state->accounts[slot].in_idle; }
  };

  // Clients with waiting requests: rule 3.
  struct ByTurn {
    State* state;
    [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const {
      const Account& x = state->accounts[a];
      const Account& y = state->accounts[b];
      const double x_key = x.clock + x.shift + x.reserved / x.weight;
      const double y_key = y.clock + y.shift + y.reserved / y.weight;
      if (x.level != y.level || x_key != y_key || x.running != y.running) {
        return std::tie(x.level, x_key, x.running) < std::tie(y.level, y_key, y.running);
      }
      return ByArrival{state}.before(x.waiting.top(), y.waiting.top());
    }
    [[nodiscard]] std::uint32_t& place(std::uint32_t slot) const { return state->accounts[slot].in_admission; }
  };

  // Clients that may still rise, the next one first.
  struct ByAge {
    State* state;
    [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const {
      const double x = state->rises_at(state->accounts[a]);
      const double y = state->rises_at(state->accounts[b]);
      return std::tie(x, a) < std::tie(y, b);
    }
    [[nodiscard]] std::uint32_t& place(std::uint32_t slot) const { return state->accounts[slot].in_ageing; }
  };

  // A client's part of one split(): its shares are order[first], ..., order[end - 1].
  struct Part {
    double key = 0;
    std::uint64_t sequence = 0;  // of its first share's request
    std::size_t first = 0;
    std::size_t end = 0;
    std::uint32_t client = 0;
    int level = 0;
    // For the standard library's heaps, whose top is the largest.
    static bool later(const Part& a, const Part& b) {
      return std::tie(b.level, b.key, b.sequence) < std::tie(a.level, a.key, a.sequence);
    }
  };

  FairnessOptions options;
  std::vector<Request> requests;
  std::vector<Account> accounts;
  std::vector<std::uint32_t> free_requests;
  std::vector<std::uint32_t> free_accounts;
  std::unordered_map<std::string, std::uint32_t, NameHash, std::equal_to<>> names;
  std::array<SlotHeap<ByClock>, kLevels> contending;
  std::array<SlotHeap<ByDebt>, kLevels> idle;
  std::array<double, kLevels> fastest{};  // of all clocks that ever were on the level
  SlotHeap<ByTurn> admission;
  SlotHeap<ByAge> ageing;
  std::uint64_t arrivals = 0;
  std::size_t waiting = 0;
  std::size_t idle_count = 0;
  std::vector<std::uint32_t> order;  // of split()
  std::vector<Part> parts;           // of split()

  Request& request(Ticket ticket) {
    PLAIT_CHECK(slot_of(ticket) < requests.size() && requests[slot_of(ticket)].phase != Phase::free, slot_of(ticket));
    return requests[slot_of(ticket)];
  }

  [[nodiscard]] double rises_at(const Account& account) const {
    return account.since + options.ageing * (account.home - account.level + 1);
  }

  // Where a clock of this level starts. Never falls: who joins starts here, who leaves only takes the slowest away.
  [[nodiscard]] double start_of(int level) const {
    const auto& heap = contending[static_cast<std::size_t>(level)];
    return heap.empty() ? fastest[static_cast<std::size_t>(level)] : accounts[heap.top()].clock;
  }

  void set_clock(std::uint32_t slot, double clock) {
    Account& account = accounts[slot];
    const auto home = static_cast<std::size_t>(account.home);
    account.clock = clock;
    fastest[home] = std::max(fastest[home], clock);
    contending[home].update(slot, {this});
    admission.update(slot, {this});
  }

  void fall_back(Account& account) const {
    account.level = account.home;
    account.shift = 0;
  }

  // It was served, or begins to contend: age counts from now.
  void restart_age(std::uint32_t slot, double now) {
    Account& account = accounts[slot];
    account.since = now;
    fall_back(account);
    if (account.home > 0 && options.ageing > 0) {
      if (account.in_ageing == kNoPlace) {
        ageing.push(slot, {this});
      } else {
        ageing.update(slot, {this});
      }
    }
    admission.update(slot, {this});
  }

  void raise_the_aged(double now) {
    while (!ageing.empty() && rises_at(accounts[ageing.top()]) <= now) {
      const std::uint32_t slot = ageing.top();
      Account& account = accounts[slot];
      --account.level;
      account.shift = start_of(account.level) - start_of(account.home);
      if (account.level == 0) {
        ageing.erase(slot, {this});
      } else {
        ageing.update(slot, {this});
      }
      admission.update(slot, {this});
    }
  }

  void begin_contending(std::uint32_t slot, double now) {
    Account& account = accounts[slot];
    if (account.contending++ > 0) return;
    set_clock(slot, std::max(account.clock, start_of(account.home)));
    contending[static_cast<std::size_t>(account.home)].push(slot, {this});
    restart_age(slot, now);
  }

  void end_contending(std::uint32_t slot) {
    Account& account = accounts[slot];
    if (--account.contending > 0) return;
    contending[static_cast<std::size_t>(account.home)].erase(slot, {this});
    ageing.erase(slot, {this});
    fall_back(account);
  }

  void add_waiting(std::uint32_t slot) {
    requests[slot].phase = Phase::waiting;
    ++waiting;
    const std::uint32_t client = requests[slot].client;
    accounts[client].waiting.push(slot, {this});
    if (accounts[client].in_admission == kNoPlace) {
      admission.push(client, {this});
    } else {
      admission.update(client, {this});
    }
  }

  void remove_waiting(std::uint32_t slot) {
    --waiting;
    const std::uint32_t client = requests[slot].client;
    Account& account = accounts[client];
    // Out first: without a waiting request the client has no place in the order.
    if (account.waiting.size() == 1) admission.erase(client, {this});
    account.waiting.erase(slot, {this});
    admission.update(client, {this});
  }

  void remove_running(Request& request) {
    Account& account = accounts[request.client];
    account.reserved -= request.reserved;
    request.reserved = 0;
    if (--account.running == 0) account.reserved = 0;  // whatever rounding has left
    admission.update(request.client, {this});
  }

  std::uint32_t account_of(const Client& client) {
    if (const auto found = names.find(client.name); found != names.end()) return found->second;
    const std::uint32_t slot = take(free_accounts, accounts);
    const auto added = names.emplace(client.name, slot).first;
    Account& account = accounts[slot];
    SlotHeap<ByArrival> waiting_requests = std::move(account.waiting);  // empty, but with memory
    account = Account{};
    account.waiting = std::move(waiting_requests);
    account.name = &added->first;
    account.home = client.level;
    return slot;
  }

  template <class T>
  static std::uint32_t take(std::vector<std::uint32_t>& unused, std::vector<T>& table) {
    if (unused.empty()) {
      PLAIT_CHECK(table.size() < kNoPlace, table.size());
      table.emplace_back();
      return static_cast<std::uint32_t>(table.size() - 1);
    }
    const std::uint32_t slot = unused.back();
    unused.pop_back();
    return slot;
  }

  // A client without other requests gets the terms of this one. What it owes goes along to another level.
  void accept_terms(std::uint32_t slot, const Client& client) {
    Account& account = accounts[slot];
    if (account.in_idle != kNoPlace) {
      idle[static_cast<std::size_t>(account.home)].erase(slot, {this});
      --idle_count;
    }
    account.weight = client.weight;
    if (account.home == client.level) return;
    const double debt = std::max(0.0, account.clock - start_of(account.home));
    account.home = client.level;
    account.level = client.level;
    set_clock(slot, start_of(client.level) + debt);
  }

  void become_idle(std::uint32_t slot) {
    idle[static_cast<std::size_t>(accounts[slot].home)].push(slot, {this});
    ++idle_count;
    while (idle_count > options.idle_max) forget_one();
  }

  void forget_one() {
    std::size_t chosen = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t level = 0; level < idle.size(); ++level) {
      if (idle[level].empty()) continue;
      const double debt = accounts[idle[level].top()].clock - start_of(static_cast<int>(level));
      if (debt < least) std::tie(least, chosen) = std::tie(debt, level);
    }
    const std::uint32_t slot = idle[chosen].top();
    idle[chosen].erase(slot, {this});
    --idle_count;
    names.erase(names.find(*accounts[slot].name));
    free_accounts.push_back(slot);
  }

  // Fills `order` with the shares that want something, clients together, each client's by arrival, and `parts`.
  void make_parts(std::span<PromptShare> shares) {
    order.clear();
    parts.clear();
    for (std::size_t i = 0; i < shares.size(); ++i) {
      shares[i].granted = 0;
      PLAIT_CHECK(request(shares[i].ticket).phase == Phase::prompt, i);
      if (shares[i].left > 0) order.push_back(static_cast<std::uint32_t>(i));
    }
    const auto key = [&](std::uint32_t i) {
      const Request& wanted = requests[slot_of(shares[i].ticket)];
      return std::tie(wanted.client, wanted.arrival, wanted.sequence);
    };
    std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
    for (std::size_t at = 0; at < order.size(); ++at) {
      const Request& first = requests[slot_of(shares[order[at]].ticket)];
      if (parts.empty() || parts.back().client != first.client) {
        const Account& account = accounts[first.client];
        parts.push_back({account.clock + account.shift, first.sequence, at, at, first.client, account.level});
      } else {
        PLAIT_CHECK(shares[order[at]].ticket != shares[order[at - 1]].ticket, slot_of(shares[order[at]].ticket));
      }
      parts.back().end = at + 1;
    }
  }
};

Fairness::Fairness(const FairnessOptions& options) : state_(std::make_unique<State>()) {
  PLAIT_CHECK(options.piece > 0 && options.ageing >= 0, options.piece, options.ageing);
  state_->options = options;
}
Fairness::Fairness(Fairness&&) noexcept = default;
Fairness& Fairness::operator=(Fairness&&) noexcept = default;
Fairness::~Fairness() = default;

Ticket Fairness::arrive(const Client& client, double now) {
  PLAIT_CHECK(client.weight > 0 && std::isfinite(client.weight), client.weight);
  PLAIT_CHECK(client.level >= 0 && client.level < kLevels, client.level);
  const std::uint32_t owner = state_->account_of(client);
  if (state_->accounts[owner].requests++ == 0) state_->accept_terms(owner, client);
  const std::uint32_t slot = State::take(state_->free_requests, state_->requests);
  State::Request& request = state_->requests[slot];
  request.client = owner;
  request.arrival = now;
  request.sequence = state_->arrivals++;
  state_->begin_contending(owner, now);
  state_->add_waiting(slot);
  return Ticket(slot);
}

std::optional<Ticket> Fairness::next(double now) {
  state_->raise_the_aged(now);
  if (state_->admission.empty()) return std::nullopt;
  return Ticket(state_->accounts[state_->admission.top()].waiting.top());
}

void Fairness::admit(Ticket ticket, double expected, double now) {
  State::Request& request = state_->request(ticket);
  PLAIT_CHECK(request.phase == Phase::waiting && expected >= 0 && std::isfinite(expected), expected);
  state_->remove_waiting(slot_of(ticket));
  request.phase = Phase::prompt;
  request.reserved = expected;
  State::Account& account = state_->accounts[request.client];
  account.reserved += expected;
  ++account.running;
  state_->restart_age(request.client, now);
}

void Fairness::split(std::span<PromptShare> shares, std::size_t budget, double now) {
  state_->raise_the_aged(now);
  state_->make_parts(shares);
  auto& parts = state_->parts;
  std::ranges::make_heap(parts, State::Part::later);
  while (budget > 0 && !parts.empty()) {
    std::ranges::pop_heap(parts, State::Part::later);
    State::Part& part = parts.back();
    PromptShare& share = shares[state_->order[part.first]];
    const std::size_t tokens = std::min({state_->options.piece, share.left - share.granted, budget});
    share.granted += tokens;
    budget -= tokens;
    part.key += static_cast<double>(tokens) / state_->accounts[part.client].weight;
    if (share.granted == share.left) ++part.first;
    if (part.first == part.end) {
      parts.pop_back();
    } else {
      std::ranges::push_heap(parts, State::Part::later);
    }
  }
  for (const PromptShare& share : shares) {
    if (share.granted > 0) state_->restart_age(state_->request(share.ticket).client, now);
  }
}

void Fairness::prompt_done(Ticket ticket) {
  State::Request& request = state_->request(ticket);
  PLAIT_CHECK(request.phase == Phase::prompt);
  request.phase = Phase::decoding;
  state_->end_contending(request.client);
}

void Fairness::charge(Ticket ticket, double cost) {
  PLAIT_CHECK(cost >= 0 && std::isfinite(cost), cost);
  State::Request& request = state_->request(ticket);
  State::Account& account = state_->accounts[request.client];
  const double expected = std::min(cost, request.reserved);
  request.reserved -= expected;
  account.reserved = std::max(0.0, account.reserved - expected);
  account.service += cost;
  state_->set_clock(request.client, account.clock + cost / account.weight);
}

void Fairness::preempt(Ticket ticket, double now) {
  State::Request& request = state_->request(ticket);
  PLAIT_CHECK(request.phase == Phase::prompt || request.phase == Phase::decoding);
  state_->remove_running(request);
  if (request.phase == Phase::decoding) state_->begin_contending(request.client, now);
  state_->add_waiting(slot_of(ticket));
}

void Fairness::finish(Ticket ticket) {
  State::Request& request = state_->request(ticket);
  const Phase phase = request.phase;
  const std::uint32_t client = request.client;
  if (phase == Phase::waiting) {
    state_->remove_waiting(slot_of(ticket));
  } else {
    state_->remove_running(request);
  }
  if (phase != Phase::decoding) state_->end_contending(client);
  request.phase = Phase::free;
  state_->free_requests.push_back(slot_of(ticket));
  if (--state_->accounts[client].requests == 0) state_->become_idle(client);
}

std::optional<Standing> Fairness::standing(std::string_view name) const {
  const auto found = state_->names.find(name);
  if (found == state_->names.end()) return std::nullopt;
  return state_->accounts[found->second].standing();
}

std::vector<std::pair<std::string_view, Standing>> Fairness::standings() const {
  std::vector<std::pair<std::string_view, Standing>> all;
  all.reserve(state_->names.size());
  for (const auto& [name, slot] : state_->names) all.emplace_back(name, state_->accounts[slot].standing());
  return all;
}

std::size_t Fairness::clients() const { return state_->names.size(); }

std::size_t Fairness::waiting() const { return state_->waiting; }

}  // namespace plait::engine
