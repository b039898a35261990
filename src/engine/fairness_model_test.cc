// SPDX-License-Identifier: Apache-2.0
//
// The rules of fairness.h written down naively, with a search through everything for each answer, against the real
// thing.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "engine/fairness.h"

namespace plait::engine {
namespace {

constexpr double kAgeing = 7;
constexpr std::size_t kPiece = 5;

class Model {
 public:
  struct Request {
    std::string client;
    Ticket ticket;
    double arrival = 0;
    int number = 0;
    double reserved = 0;
    bool waits = true;
    bool prompt_done = false;
  };
  struct Client {
    double weight = 1;
    double clock = 0;
    double since = 0;
    double shift = 0;
    int home = 0;
    int level = 0;
  };

  std::vector<Request> requests;
  std::map<std::string, Client> clients;

  void arrive(const engine::Client& client, Ticket ticket, double now) {
    const std::string name(client.name);
    Client& entry = clients.try_emplace(name, Client{.home = client.level, .level = client.level}).first->second;
    if (count(name, [](const Request&) { return true; }) == 0) {
      entry.weight = client.weight;
      if (entry.home != client.level) {
        entry.clock = start(client.level) + std::max(0.0, entry.clock - start(entry.home));
        entry.home = entry.level = client.level;
        note(entry);
      }
    }
    begin(name, now);
    requests.push_back({.client = name, .ticket = ticket, .arrival = now, .number = arrivals_++});
  }

  [[nodiscard]] const Request* next(double now) {
    age(now);
    const Request* best = nullptr;
    for (const Request& request : requests) {
      if (request.waits && (best == nullptr || turn(request) < turn(*best))) best = &request;
    }
    return best;
  }

  void admit(Request& request, double expected, double now) {
    serve(clients[request.client], now);
    request.waits = false;
    request.reserved = expected;
  }

  void split(std::span<PromptShare> shares, std::size_t budget, double now) {
    age(now);
    std::map<std::string, double> given;
    while (true) {
      PromptShare* best = nullptr;
      const auto key = [&](const PromptShare& share) {
        const Request& request = find(share.ticket);
        const Client& client = clients[request.client];
        return std::tuple(client.level, client.clock + client.shift + given[request.client], first(shares, request),
                          request.arrival, request.number);
      };
      for (PromptShare& share : shares) {
        if (share.granted < share.left && (best == nullptr || key(share) < key(*best))) best = &share;
      }
      if (best == nullptr || budget == 0) break;
      const std::size_t tokens = std::min({kPiece, best->left - best->granted, budget});
      best->granted += tokens;
      budget -= tokens;
      const std::string& client = find(best->ticket).client;
      given[client] += static_cast<double>(tokens) / clients[client].weight;
    }
    for (const auto& [client, amount] : given) {
      if (amount > 0) serve(clients[client], now);
    }
  }

  void charge(Request& request, double cost) {
    Client& client = clients[request.client];
    request.reserved = std::max(0.0, request.reserved - cost);
    client.clock += cost / client.weight;
    note(client);
  }

  void preempt(Request& request, double now) {
    if (request.prompt_done) begin(request.client, now);
    request.prompt_done = false;
    request.waits = true;
    request.reserved = 0;
  }

  [[nodiscard]] Request& find(Ticket ticket) { return *std::ranges::find(requests, ticket, &Request::ticket); }

  void after_each_call() {
    for (auto& [name, client] : clients) {
      if (!contends(name)) std::tie(client.level, client.shift) = std::tuple(client.home, 0.0);
    }
  }

 private:
  template <class Wanted>
  [[nodiscard]] std::ptrdiff_t count(const std::string& client, Wanted wanted) const {
    return std::ranges::count_if(requests, [&](const Request& r) { return r.client == client && wanted(r); });
  }
  [[nodiscard]] bool contends(const std::string& client) const {
    return count(client, [](const Request& r) { return !r.prompt_done; }) > 0;
  }

  [[nodiscard]] double start(int level) const {
    double slowest = -1;
    for (const auto& [name, client] : clients) {
      if (client.home == level && contends(name) && (slowest < 0 || client.clock < slowest)) slowest = client.clock;
    }
    return slowest < 0 ? fastest_[static_cast<std::size_t>(level)] : slowest;
  }

  void note(const Client& client) {
    double& fastest = fastest_[static_cast<std::size_t>(client.home)];
    fastest = std::max(fastest, client.clock);
  }

  void begin(const std::string& name, double now) {
    if (contends(name)) return;
    Client& client = clients[name];
    client.clock = std::max(client.clock, start(client.home));
    note(client);
    serve(client, now);
  }

  static void serve(Client& client, double now) {
    client.since = now;
    client.level = client.home;
    client.shift = 0;
  }

  void age(double now) {
    for (auto& [name, client] : clients) {
      while (contends(name) && client.level > 0 && client.since + kAgeing * (client.home - client.level + 1) <= now) {
        --client.level;
        client.shift = start(client.level) - start(client.home);
      }
    }
  }

  [[nodiscard]] std::tuple<int, double, std::ptrdiff_t, double, int> turn(const Request& request) const {
    const Client& client = clients.at(request.client);
    double reserved = 0;
    for (const Request& other : requests) {
      if (other.client == request.client) reserved += other.reserved;
    }
    const auto running = count(request.client, [](const Request& r) { return !r.waits; });
    return {client.level, client.clock + client.shift + reserved / client.weight, running, request.arrival,
            request.number};
  }

  // The number of the earliest request of this one's client that is not served yet when the split began.
  [[nodiscard]] int first(std::span<const PromptShare> shares, const Request& request) {
    const Request* earliest = nullptr;
    for (const PromptShare& share : shares) {
      const Request& other = find(share.ticket);
      if (other.client != request.client || share.left == 0) continue;
      if (earliest == nullptr ||
          std::tie(other.arrival, other.number) < std::tie(earliest->arrival, earliest->number)) {
        earliest = &other;
      }
    }
    return earliest->number;
  }

  std::array<double, Fairness::kLevels> fastest_{};
  int arrivals_ = 0;
};

// All amounts are multiples of 1/64 and all weights powers of two, so that sums are exact in any order.
class Pair {
 public:
  void run() {
    for (int call = *rc::gen::inRange(0, 150); call > 0; --call) {
      now_ += *rc::gen::inRange(0, 3);
      one_call();
      model_.after_each_call();
      compare();
    }
  }

 private:
  using Request = Model::Request;

  // One of the requests for which this holds, or null.
  template <class Wanted>
  Request* some(Wanted wanted) {
    std::vector<Request*> found;
    for (Request& request : model_.requests) {
      if (wanted(request)) found.push_back(&request);
    }
    return found.empty() ? nullptr : found[*rc::gen::inRange<std::size_t>(0, found.size())];
  }

  void one_call() {
    switch (*rc::gen::inRange(0, 9)) {
      case 0:
      case 1:
        return arrive();
      case 2:
      case 3:
        if (const auto ticket = fairness_.next(now_)) admit(model_.find(*ticket));
        return;
      case 4:
        return split();
      case 5:
        if (Request* request = some([](const Request& r) { return !r.waits && !r.prompt_done; })) {
          fairness_.prompt_done(request->ticket);
          request->prompt_done = true;
        }
        return;
      case 6:
        if (Request* request = some([](const Request&) { return true; })) {
          const double cost = *rc::gen::inRange(0, 1000) / 64.0;
          fairness_.charge(request->ticket, cost);
          model_.charge(*request, cost);
        }
        return;
      case 7:
        if (Request* request = some([](const Request& r) { return !r.waits; })) {
          fairness_.preempt(request->ticket, now_);
          model_.preempt(*request, now_);
        }
        return;
      default:
        if (Request* request = some([](const Request&) { return true; })) {
          fairness_.finish(request->ticket);
          model_.requests.erase(model_.requests.begin() + (request - model_.requests.data()));
        }
    }
  }

  void arrive() {
    const std::string name(1, *rc::gen::inRange('a', 'g'));
    const Client client{.name = name, .weight = *rc::gen::element(0.5, 1.0, 4.0), .level = *rc::gen::inRange(0, 3)};
    model_.arrive(client, fairness_.arrive(client, now_), now_);
  }

  void admit(Request& request) {
    const double expected = *rc::gen::inRange(0, 1000) / 64.0;
    static_cast<void>(model_.next(now_));  // ages, as fairness_.next() did
    fairness_.admit(request.ticket, expected, now_);
    model_.admit(request, expected, now_);
  }

  void split() {
    std::vector<PromptShare> shares;
    for (const Request& request : model_.requests) {
      if (request.waits || request.prompt_done) continue;
      shares.push_back({.ticket = request.ticket, .left = *rc::gen::inRange<std::size_t>(0, 40)});
    }
    std::vector<PromptShare> expected = shares;
    const auto budget = *rc::gen::inRange<std::size_t>(0, 100);
    fairness_.split(shares, budget, now_);
    model_.split(expected, budget, now_);
    for (std::size_t i = 0; i < shares.size(); ++i) RC_ASSERT(shares[i].granted == expected[i].granted);
  }

  void compare() {
    const auto next = fairness_.next(now_);
    const Request* expected = model_.next(now_);
    RC_ASSERT(next.has_value() == (expected != nullptr));
    if (next) RC_ASSERT(*next == expected->ticket);
    for (const auto& [name, client] : model_.clients) {
      const auto standing = fairness_.standing(name);
      RC_ASSERT(standing.has_value());
      RC_ASSERT(standing->clock == client.clock);
      RC_ASSERT(standing->level == client.level);
    }
  }

  Fairness fairness_{{.piece = kPiece, .ageing = kAgeing}};
  Model model_;
  double now_ = 0;
};

TEST(FairnessModel, AnyCallsGiveTheSameAnswersAsTheRules) {
  EXPECT_TRUE(rc::check([] { Pair().run(); }));
}

}  // namespace
}  // namespace plait::engine
