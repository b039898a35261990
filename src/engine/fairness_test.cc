// SPDX-License-Identifier: Apache-2.0
#include "engine/fairness.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"

namespace plait::engine {
namespace {

// A machine that runs requests in steps; admission is by a Fairness or first come, first served. The two clients that
// are watched have waiting requests all the time, others come and go.
struct MachineOptions {
  std::uint64_t seed = 1;
  std::size_t rows = 4;
  std::size_t budget = 64;          // prompt tokens of a step
  double weights[2] = {1, 1};       // of the watched clients
  std::size_t largest[2] = {1, 1};  // prompt tokens of their requests, at most; as many decode steps
  double decode_cost = 1;           // of a step of a row
  std::size_t others = 0;           // further clients
  bool preempts = false;
  bool fair = true;
};

class Machine {
 public:
  explicit Machine(const MachineOptions& options) : options_(options) {
    for (std::size_t i = 0; i < 2; ++i) names_.push_back("watched " + std::to_string(i));
    for (std::size_t i = 0; i < options.others; ++i) names_.push_back("other " + std::to_string(i));
  }

  // The watched clients' difference in service by weight, and what it may be.
  [[nodiscard]] double difference() const {
    return std::abs(served_[0] / options_.weights[0] - served_[1] / options_.weights[1]);
  }
  [[nodiscard]] double bound() const {
    const double rounding = 1 + 1e-9;
    return static_cast<double>(options_.rows) * cost_max() / std::min(options_.weights[0], options_.weights[1]) *
           rounding;
  }
  [[nodiscard]] double served(std::size_t client) const { return served_[client]; }

  void step() {
    arrive();
    admit();
    feed();
    decode();
    if (options_.preempts && draw(10) == 0) preempt();
    ++now_;
  }

 private:
  struct Job {
    std::size_t client = 0;
    Ticket ticket = {};
    std::size_t prompt = 0;
    std::size_t to_feed = 0;
    std::size_t to_decode = 0;
  };

  // Of one admission.
  [[nodiscard]] double cost_max() const {
    const auto largest = static_cast<double>(std::max(options_.largest[0], options_.largest[1]));
    return largest + largest * options_.decode_cost;
  }

  std::uint64_t draw(std::uint64_t below) { return base::random_u64(options_.seed, counter_++) % below; }

  void add(std::size_t client) {
    const std::size_t largest = client < 2 ? options_.largest[client] : options_.largest[0];
    Job job{.client = client, .prompt = 1 + draw(largest), .to_decode = draw(largest + 1)};
    job.to_feed = job.prompt;
    const double weight = client < 2 ? options_.weights[client] : 1;
    job.ticket = fairness_.arrive({.name = names_[client], .weight = weight}, now_);
    waiting_.push_back(job);
    ++queued_[client];
  }

  void arrive() {
    for (std::size_t client = 0; client < 2; ++client) {
      while (queued_[client] <= options_.rows) add(client);
    }
    for (std::size_t client = 2; client < names_.size(); ++client) {
      if (draw(50) == 0) add(client);
    }
  }

  void admit() {
    while (running_.size() < options_.rows) {
      const auto ticket = options_.fair ? fairness_.next(now_) : waiting_.front().ticket;
      ASSERT_TRUE(ticket);
      const auto job = std::ranges::find(waiting_, *ticket, &Job::ticket);
      ASSERT_NE(job, waiting_.end());
      // A guess that may be far off.
      fairness_.admit(*ticket, static_cast<double>(draw(static_cast<std::uint64_t>(cost_max()) + 1)), now_);
      --queued_[job->client];
      running_.push_back(*job);
      waiting_.erase(job);
    }
  }

  void charge(const Job& job, double cost) {
    fairness_.charge(job.ticket, cost);
    if (job.client < 2) served_[job.client] += cost;
  }

  void feed() {
    std::vector<PromptShare> shares;
    for (const Job& job : running_) {
      if (job.to_feed > 0) shares.push_back({.ticket = job.ticket, .left = job.to_feed});
    }
    fairness_.split(shares, options_.budget, now_);
    for (const PromptShare& share : shares) {
      Job& job = *std::ranges::find(running_, share.ticket, &Job::ticket);
      job.to_feed -= share.granted;
      charge(job, static_cast<double>(share.granted));
      if (job.to_feed == 0) fairness_.prompt_done(job.ticket);
    }
  }

  void decode() {
    for (Job& job : running_) {
      if (job.to_feed > 0 || job.to_decode == 0) continue;
      --job.to_decode;
      charge(job, options_.decode_cost);
    }
    std::erase_if(running_, [&](const Job& job) {
      const bool done = job.to_feed == 0 && job.to_decode == 0;
      if (done) fairness_.finish(job.ticket);
      return done;
    });
  }

  // One of those that run must start again with its prompt.
  void preempt() {
    if (running_.empty()) return;
    const auto victim = running_.begin() + static_cast<std::ptrdiff_t>(draw(running_.size()));
    fairness_.preempt(victim->ticket, now_);
    victim->to_feed = victim->prompt;
    ++queued_[victim->client];
    waiting_.push_front(*victim);
    running_.erase(victim);
  }

  MachineOptions options_;
  Fairness fairness_;
  std::vector<std::string> names_;
  std::deque<Job> waiting_;  // in order of arrival, preempted ones first
  std::vector<Job> running_;
  std::map<std::size_t, std::size_t> queued_;
  double served_[2] = {0, 0};
  double now_ = 0;
  std::uint64_t counter_ = 0;
};

TEST(Fairness, BackloggedClientsGetTheSameServiceByWeight) {
  EXPECT_TRUE(rc::check([] {
    MachineOptions options;
    options.seed = *rc::gen::arbitrary<std::uint64_t>();
    options.rows = *rc::gen::inRange<std::size_t>(1, 9);
    options.budget = *rc::gen::inRange<std::size_t>(1, 200);
    options.decode_cost = *rc::gen::element(0.01, 1.0, 7.5);
    options.others = *rc::gen::inRange<std::size_t>(0, 5);
    options.preempts = *rc::gen::arbitrary<bool>();
    for (std::size_t i = 0; i < 2; ++i) {
      options.weights[i] = *rc::gen::element(0.5, 1.0, 3.0);
      options.largest[i] = *rc::gen::inRange<std::size_t>(1, 100);
    }
    if (*rc::gen::arbitrary<bool>()) options.weights[0] = options.weights[1];
    Machine machine(options);
    for (int i = 0; i < 1500; ++i) {
      machine.step();
      RC_ASSERT(machine.difference() <= machine.bound());
    }
  }));
}

TEST(Fairness, FirstComeFirstServedBreaksThatBound) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (const bool fair : {true, false}) {
      Machine machine({.seed = seed, .budget = 64, .largest = {100, 10}, .fair = fair});
      bool broken = false;
      for (int i = 0; i < 5000; ++i) {
        machine.step();
        broken |= machine.difference() > machine.bound();
      }
      EXPECT_EQ(broken, !fair) << seed;
      EXPECT_GT(machine.served(1), 0);
    }
  }
}

struct Scene {
  Fairness fairness;
  double now = 0;

  explicit Scene(const FairnessOptions& options = {}) : fairness(options) {}
  Ticket arrive(std::string_view name, int level = 0, double weight = 1) {
    return fairness.arrive({.name = name, .weight = weight, .level = level}, now);
  }
  void admit(Ticket ticket, double expected = 0) { fairness.admit(ticket, expected, now); }
  // Has run and is over: the client has had so much service and is idle or not, as before.
  void run(std::string_view name, double cost) {
    const Ticket ticket = arrive(name);
    admit(ticket);
    fairness.charge(ticket, cost);
    fairness.finish(ticket);
  }
  std::optional<Ticket> next() { return fairness.next(now); }
};

TEST(Fairness, NothingWaitsAtFirst) {
  Scene scene;
  EXPECT_EQ(scene.next(), std::nullopt);
  EXPECT_EQ(scene.fairness.waiting(), 0U);
  EXPECT_EQ(scene.fairness.standing("a"), std::nullopt);
}

TEST(Fairness, ANewcomerIsNextWhateverOthersHaveWaiting) {
  Scene scene;
  for (int i = 0; i < 100; ++i) scene.arrive("heavy");
  for (int i = 0; i < 3; ++i) scene.admit(*scene.next(), 50);
  ++scene.now;
  const Ticket light = scene.arrive("light");
  EXPECT_EQ(scene.next(), light);
  scene.admit(light, 50);
  EXPECT_NE(scene.next(), std::nullopt);
}

TEST(Fairness, ANewcomersPromptSharesTheBudgetFromTheFirstStepOn) {
  Scene scene;
  std::vector<PromptShare> shares;
  for (int i = 0; i < 31; ++i) {
    shares.push_back({.ticket = scene.arrive("heavy"), .left = 1000});
    scene.admit(shares.back().ticket, 1000);
    scene.fairness.charge(shares.back().ticket, 300);
  }
  shares.push_back({.ticket = scene.arrive("light"), .left = 120});
  scene.admit(shares.back().ticket, 120);
  scene.fairness.split(shares, 256, scene.now);
  EXPECT_EQ(shares.back().granted, 120U);
  EXPECT_EQ(shares.front().granted, 136U);  // its earliest request gets all of the heavy client's part
}

TEST(Fairness, WhoComesBackFromIdlenessHasSavedNothing) {
  Scene scene;
  scene.run("sleeper", 10);
  const Ticket busy = scene.arrive("busy");
  const Ticket more = scene.arrive("busy");
  scene.admit(busy);
  scene.fairness.charge(busy, 1e6);
  const Ticket back = scene.arrive("sleeper");
  EXPECT_EQ(scene.fairness.standing("sleeper")->clock, scene.fairness.standing("busy")->clock);
  EXPECT_EQ(scene.next(), back);
  scene.admit(back);
  scene.fairness.charge(back, 1);  // ahead by a single unit, so it is the other's turn
  const Ticket again = scene.arrive("sleeper");
  EXPECT_EQ(scene.next(), more);
  scene.admit(more);
  EXPECT_EQ(scene.next(), again);
}

TEST(Fairness, GoingAwayPaysNoDebt) {
  Scene scene;
  scene.arrive("patient");
  scene.run("greedy", 1000);
  EXPECT_EQ(scene.fairness.standing("greedy")->clock, 1000);
  scene.arrive("greedy");
  EXPECT_EQ(scene.fairness.standing("greedy")->clock, 1000);
}

TEST(Fairness, DebtsEndWhenNobodyWantsAnything) {
  Scene scene;
  scene.run("greedy", 1000);
  const Ticket patient = scene.arrive("patient");
  const Ticket greedy = scene.arrive("greedy");
  EXPECT_EQ(scene.fairness.standing("patient")->clock, scene.fairness.standing("greedy")->clock);
  scene.admit(patient);
  scene.fairness.finish(patient);
  EXPECT_EQ(scene.next(), greedy);
}

TEST(Fairness, ReservationsSpreadTheRowsBeforeAnythingIsCharged) {
  Scene scene;
  for (int i = 0; i < 8; ++i) {
    scene.arrive("a");
    scene.arrive("b", 0, 3);
  }
  for (int i = 0; i < 8; ++i) scene.admit(*scene.next(), 100);
  EXPECT_EQ(scene.fairness.standing("a")->running, 2U);
  EXPECT_EQ(scene.fairness.standing("b")->running, 6U);  // three times the weight
}

TEST(Fairness, PreemptedWorkKeepsItsArrival) {
  Scene scene;
  const Ticket first = scene.arrive("a");
  ++scene.now;
  const Ticket second = scene.arrive("a");
  scene.admit(first);
  scene.fairness.prompt_done(first);
  EXPECT_EQ(scene.next(), second);
  scene.now += 5;
  scene.fairness.preempt(first, scene.now);
  EXPECT_EQ(scene.next(), first);
  EXPECT_EQ(scene.fairness.waiting(), 2U);
}

TEST(Fairness, LevelsAreStrictUntilAgeRaises) {
  Scene scene({.ageing = 10});
  const Ticket background = scene.arrive("background", 2);
  int waited = 0;
  for (; scene.now < 100; ++scene.now) {
    scene.arrive("urgent");
    const Ticket next = *scene.next();
    if (next == background) break;
    scene.admit(next, 5);
    scene.fairness.charge(next, 5);
    scene.fairness.finish(next);
    ++waited;
  }
  EXPECT_GE(waited, 20);  // two levels
  EXPECT_LE(waited, 22);
  scene.admit(background, 5);
  EXPECT_EQ(scene.fairness.standing("background")->level, 2);  // served, so it falls back
}

TEST(Fairness, LevelsAreStrictForPromptsToo) {
  Scene scene({.ageing = 10});
  std::vector<PromptShare> shares{{.ticket = scene.arrive("low", 1), .left = 500},
                                  {.ticket = scene.arrive("high", 0), .left = 500}};
  for (const PromptShare& share : shares) scene.admit(share.ticket);
  scene.fairness.split(shares, 100, scene.now);
  EXPECT_EQ(shares[0].granted, 0U);
  EXPECT_EQ(shares[1].granted, 100U);
  scene.fairness.split(shares, 600, scene.now);  // what the higher level leaves
  EXPECT_EQ(shares[0].granted, 100U);
  scene.fairness.charge(shares[1].ticket, 500);
  scene.now += 9;
  scene.fairness.split(shares, 100, scene.now);
  EXPECT_EQ(shares[0].granted, 0U);
  scene.now += 1;
  scene.fairness.split(shares, 100, scene.now);
  EXPECT_GT(shares[0].granted, 0U);
  scene.fairness.split(shares, 100, scene.now);
  EXPECT_EQ(shares[0].granted, 0U);
}

TEST(Fairness, CancelledRequestsLeaveNoTrace) {
  Scene scene;
  const Ticket waits = scene.arrive("a");
  const Ticket runs = scene.arrive("a");
  const Ticket decodes = scene.arrive("a");
  scene.admit(runs, 1e9);
  scene.admit(decodes, 1e9);
  scene.fairness.prompt_done(decodes);
  for (const Ticket ticket : {runs, waits, decodes}) scene.fairness.finish(ticket);
  EXPECT_EQ(scene.next(), std::nullopt);
  EXPECT_EQ(scene.fairness.waiting(), 0U);
  scene.arrive("b");
  const Ticket back = scene.arrive("a");
  scene.admit(*scene.next(), 1);
  EXPECT_EQ(scene.next(), back);  // nothing is reserved any more
}

TEST(Fairness, AFloodOfNamesIsForgotten) {
  Scene scene({.idle_max = 100});
  scene.arrive("patient");
  for (int i = 0; i < 10'000; ++i) scene.run("name " + std::to_string(i), 1 + i % 7);
  EXPECT_EQ(scene.fairness.clients(), 101U);
  EXPECT_TRUE(scene.fairness.standing("patient"));
}

TEST(Fairness, WhoOwesMostIsRememberedLongest) {
  Scene scene({.idle_max = 2});
  scene.arrive("patient");
  scene.run("greedy", 1000);
  for (int i = 0; i < 50; ++i) scene.run("name " + std::to_string(i), 1);
  EXPECT_TRUE(scene.fairness.standing("greedy"));
  EXPECT_EQ(scene.fairness.clients(), 3U);
}

TEST(Fairness, NewTermsCountFromTheNextIdleness) {
  Scene scene;
  scene.arrive("patient");
  const Ticket first = scene.arrive("a", 0, 1);
  scene.arrive("a", 3, 10);
  scene.admit(first);
  scene.fairness.charge(first, 10);
  EXPECT_EQ(scene.fairness.standing("a")->level, 0);
  EXPECT_EQ(scene.fairness.standing("a")->clock, 10);
}

}  // namespace
}  // namespace plait::engine
