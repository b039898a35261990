// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/pte.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "evaluation/experiments/pte_fairness.h"
#include "evaluation/experiments/pte_replay.h"
#include "testing/scripted_runner.h"
#include "testing/temp_dir.h"
#include "testing/tiny_model.h"

namespace plait::evaluation {
namespace {

using testing::ScriptedRunner;
using testing::VirtualClock;

std::vector<Trajectory> replay(const std::vector<AgentShape>& shapes, const ReplayOptions& options) {
  VirtualClock clock;
  ScriptedRunner runner({}, clock);
  auto replay = replay_agents(runner, shapes, options);
  EXPECT_TRUE(replay) << replay.error().chain();
  return std::move(replay->trajectories);
}

TEST(PteReplay, WhoKeepsTheCacheComputesEachTokenOnce) {
  const auto all = replay({{4, 40, 10, false}}, {.trajectories = 6, .prompt = 50, .concurrency = 3});
  ASSERT_EQ(all.size(), 6U);
  for (const Trajectory& one : all) {
    ASSERT_EQ(one.rounds.size(), 4U);
    double computed = 0;
    for (const ReplayRound& round : one.rounds) computed += round.counters.computed();
    // The last token is never fed; at most a page less one token is computed again at each of three pauses.
    EXPECT_GE(computed, one.transcript - 1);
    EXPECT_LE(computed, one.transcript + 3 * 16);
  }
}

TEST(PteReplay, WhoLosesItComputesTheWholeContextInEachRound) {
  for (const Trajectory& one : replay({{4, 40, 10, true}}, {.trajectories = 6, .prompt = 50, .concurrency = 3})) {
    for (const ReplayRound& round : one.rounds) {
      EXPECT_EQ(round.counters.cached, 0);
      EXPECT_EQ(round.counters.prefilled, round.prompt_tokens);
      EXPECT_EQ(round.counters.decoded, round.generated - 1);  // the first comes with the prompt
    }
  }
}

TEST(PteReplay, TheScriptDoesNotDependOnWhoRunsBeside) {
  const std::vector<AgentShape> shapes = {{2, 30, 5, false}, {3, 20, 8, true}};
  const auto alone = replay(shapes, {.trajectories = 3, .prompt = 20, .concurrency = 1});
  const auto beside = replay(shapes, {.trajectories = 3, .prompt = 20, .concurrency = 6});
  ASSERT_EQ(alone.size(), beside.size());
  for (std::size_t i = 0; i < alone.size(); ++i) {
    EXPECT_EQ(alone[i].agent, beside[i].agent);
    EXPECT_EQ(alone[i].shuffled, beside[i].shuffled);
    EXPECT_EQ(alone[i].transcript, beside[i].transcript);
  }
}

TEST(PteReplay, TooLongAScriptIsRefused) {
  VirtualClock clock;
  ScriptedRunner runner({.context = 256}, clock);
  const auto refused = replay_agents(runner, std::vector<AgentShape>{{3, 100, 10, false}}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::ErrorCode::invalid_argument);
}

// With tokens for a unit both clients put about as many through the model, whatever these cost.
TEST(PteFairness, TheUnitDecidesWhatIsDividedEvenly) {
  VirtualClock clock;
  ScriptedRunner runner({}, clock);
  const TwoClients clients{.reader_prompt = 200, .reader_tokens = 2, .writer_tokens = 10, .requests = 8};
  const engine::CostRates rates{.weights = 30};
  const auto by_tokens = run_two_clients(runner, clients, rates, engine::ChargeUnit::tokens);
  const auto by_pte = run_two_clients(runner, clients, rates, engine::ChargeUnit::pte);
  ASSERT_TRUE(by_tokens && by_pte);
  EXPECT_NEAR(by_tokens->reader_tokens / by_tokens->writer_tokens, 1, 0.2);
  EXPECT_GT(by_pte->reader_tokens / by_pte->writer_tokens, 4);
}

TEST(Pte, RunsOnATinyModel) {
  const testing::TempDir folder;
  const auto bytes = testing::make_tiny_model({});
  std::ofstream(folder / "tiny.gguf", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const auto report = pte_experiment().run({.quick = true, .model = folder / "tiny.gguf"});
  ASSERT_TRUE(report) << report.error().chain();
  for (const Gate& gate : report->gates) EXPECT_TRUE(gate.holds() || !gate.exact) << gate.what << ' ' << gate.value;
  EXPECT_EQ(report->json["agents"].size(), 6U);
  EXPECT_EQ(report->json["coefficients"].size(), 9U);
  EXPECT_EQ(report->chart.panels.size(), 6U);
  EXPECT_NE(report->text.find("tokens computed"), std::string::npos);
}

TEST(Pte, NeedsAModel) {
  const auto refused = pte_experiment().run({.quick = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace plait::evaluation
