// SPDX-License-Identifier: Apache-2.0
#include "engine/model_pool.h"

#include <array>
#include <string>

#include "engine/engine_test_fixture.h"

namespace plait::engine {
namespace {

/// An engine on a script whose steps take so long by the common clock.
struct Scripted {
  Scripted(testing::VirtualClock& clock, double step_seconds)
      : runner({.step_seconds = step_seconds, .row_seconds = 0}, clock) {
    const base::Bytes page = runner.layout().page_bytes(0) + runner.layout().page_bytes(1);
    engine = *Engine::make(runner, {.kv_bytes = 4000 * page}, clock);
  }
  void ask(const std::string& client, std::size_t tokens, double weight = 1, int level = 0) {
    const auto ids = engine->submit({.options = {.client = client, .weight = weight, .level = level},
                                     .prompt = random_tokens(++asked, 5),
                                     .generate = {.tokens_max = tokens, .listener = &recorder}});
    ASSERT_TRUE(ids);
  }

  ScriptedRunner runner;
  Recorder recorder;
  std::unique_ptr<Engine> engine;
  std::uint64_t asked = 0;
};

class ModelPoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    pool_.add(*quick_.engine);
    pool_.add(*slow_.engine);
  }
  /// Seconds of each engine in a stretch of time.
  std::array<double, 2> run(double seconds) {
    std::array<double, 2> times{};
    const double end = clock_.now() + seconds;
    while (clock_.now() < end) {
      const double start = clock_.now();
      const Engine* stepped = pool_.step();
      if (stepped == nullptr) break;
      times[stepped == quick_.engine.get() ? 0 : 1] += clock_.now() - start;
    }
    return times;
  }

  testing::VirtualClock clock_;
  Scripted quick_{clock_, 0.005};
  Scripted slow_{clock_, 0.020};
  ModelPool pool_{clock_};
};

TEST_F(ModelPoolTest, NothingToDoIsSaid) {
  EXPECT_FALSE(pool_.busy());
  EXPECT_EQ(pool_.step(), nullptr);
  slow_.ask("a", 3);
  EXPECT_TRUE(pool_.busy());
  EXPECT_EQ(pool_.step(), slow_.engine.get());
  while (pool_.step() != nullptr) {
  }
  EXPECT_FALSE(pool_.busy());
  EXPECT_EQ(slow_.recorder.endings.size(), 1U);
}

TEST_F(ModelPoolTest, TwoClientsOnTwoModelsHaveEqualTimes) {
  quick_.ask("a", 3000);
  slow_.ask("b", 3000);
  const auto times = run(10);
  EXPECT_NEAR(times[0], times[1], 0.021);
}

TEST_F(ModelPoolTest, AModelHasTheSharesOfItsClients) {
  quick_.ask("a", 3000);
  quick_.ask("b", 3000);
  slow_.ask("c", 3000, 4);
  const auto times = run(12);
  EXPECT_NEAR(times[1] / times[0], 2, 0.03);
}

TEST_F(ModelPoolTest, NobodyGetsMoreByAskingTwoModels) {
  quick_.ask("both", 3000);
  slow_.ask("both", 3000);
  slow_.ask("one", 3000);
  const auto times = run(12);  // the quick one serves a half of a client's weight, the slow one a whole and a half
  EXPECT_NEAR(times[1] / times[0], 3, 0.06);
}

TEST_F(ModelPoolTest, AnUrgentClientsModelComesFirst) {
  quick_.ask("background", 3000, 1, 1);
  slow_.ask("user", 3000);
  const auto times = run(17);
  EXPECT_NEAR(times[1] / times[0], 16, 0.5);
}

TEST_F(ModelPoolTest, WhatAnIdleModelDidNotUseIsGone) {
  slow_.ask("b", 3000);
  run(10);
  quick_.ask("a", 3000);
  const auto times = run(5);
  EXPECT_NEAR(times[0], times[1], 0.021);
}

TEST_F(ModelPoolTest, ARemovedModelDoesNotRun) {
  quick_.ask("a", 100);
  slow_.ask("b", 100);
  pool_.remove(*slow_.engine);
  while (pool_.step() != nullptr) {
  }
  EXPECT_EQ(quick_.recorder.endings.size(), 1U);
  EXPECT_TRUE(slow_.recorder.endings.empty());
}

TEST_F(ModelPoolTest, ClientsAreCounted) {
  quick_.ask("a", 10, 2);
  quick_.ask("a", 10, 2);
  quick_.ask("b", 10);
  pool_.step();
  const auto clients = quick_.engine->clients();
  ASSERT_EQ(clients.size(), 2U);
  EXPECT_EQ(clients[0].client, "a");
  EXPECT_EQ(clients[0].weight, 2);
  EXPECT_EQ(clients[0].running + clients[0].waiting, 2U);
  EXPECT_GT(clients[0].service + clients[1].service, 0);
}

}  // namespace
}  // namespace plait::engine
