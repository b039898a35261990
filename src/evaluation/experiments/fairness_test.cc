// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/fairness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>

#include "evaluation/experiments/fairness_pace.h"
#include "evaluation/experiments/fairness_sharing.h"
#include "evaluation/experiments/sharing.h"
#include "testing/scripted_runner.h"
#include "testing/temp_dir.h"
#include "testing/tiny_model.h"

namespace plait::evaluation {
namespace {

using testing::ScriptedRunner;
using testing::VirtualClock;

// On a machine whose times are known the measured ones are exact.
constexpr testing::ScriptOptions kScript{.step_seconds = 0.010, .row_seconds = 0.0001};
double step(double rows) { return kScript.step_seconds + kScript.row_seconds * rows; }

TEST(LoadClient, CountsFromWhenTheRequestWasDue) {
  VirtualClock clock;
  ScriptedRunner runner(kScript, clock);
  LoadClient client({.name = "a", .prompt = 30, .generate = 5}, runner.vocabulary(), clock);
  const auto engine = *engine::Engine::make(runner, {.kv_bytes = base::Bytes{1} << 20}, clock);
  clock.advance(1);
  client.watch_gaps(true);
  ASSERT_TRUE(client.ask(*engine, 0.25));
  while (client.open() > 0) engine->step();
  ASSERT_EQ(client.first_tokens.size(), 1U);
  EXPECT_NEAR(client.first_tokens[0], 0.75 + step(30), 1e-9);
  ASSERT_EQ(client.gaps.size(), 4U);
  EXPECT_NEAR(client.gaps[3], step(1), 1e-9);
  EXPECT_EQ(client.computed, 30 + 4);  // the last token is not fed
}

TEST(LoadClient, LengthsVaryAsFarAsTheSpread) {
  VirtualClock clock;
  ScriptedRunner runner(kScript, clock);
  const ClientLoad load{.name = "a", .prompt = 40, .generate = 10, .spread = 0.5};
  EXPECT_EQ(load.length_max(), 75U);
  LoadClient client(load, runner.vocabulary(), clock);
  const auto engine = *engine::Engine::make(runner, {.kv_bytes = base::Bytes{8} << 20}, clock);
  std::vector<std::size_t> lengths;
  for (int i = 0; i < 40; ++i) {
    const std::size_t before = engine->counters().prompt_rows;
    ASSERT_TRUE(client.ask(*engine, clock.now()));
    while (client.open() > 0) engine->step();
    lengths.push_back(engine->counters().prompt_rows - before);
  }
  const auto [least, most] = std::ranges::minmax(lengths);
  EXPECT_GE(least, 20U);
  EXPECT_LE(least, 30U);
  EXPECT_GE(most, 50U);
  EXPECT_LE(most, 60U);
}

TEST(LoadClient, Quantiles) {
  std::vector<double> values(1000);
  std::iota(values.rbegin(), values.rend(), 1.0);
  EXPECT_EQ(quantile(values, 0.5), 500);
  EXPECT_EQ(quantile(values, 0.99), 990);
  EXPECT_EQ(quantile(values, 0.999), 999);
  EXPECT_EQ(quantile(values, 1), 1000);
  EXPECT_EQ(quantile({7}, 0.01), 7);
}

TEST(FairnessPace, MeasuresWhatTheScriptTakes) {
  VirtualClock clock;
  ScriptedRunner runner(kScript, clock);
  const auto figures = run_light_and_heavy(
      runner,
      {.heavy_open = 8, .light_requests = 30, .rounds = 2, .alone_seconds = 5, .decode_steps = 10, .own_prompts = 3},
      clock);
  ASSERT_TRUE(figures) << figures.error().chain();
  EXPECT_NEAR(figures->decode_step, step(8), 1e-9);
  EXPECT_NEAR(figures->own_prompt, step(40), 1e-9);
  EXPECT_EQ(figures->first_tokens.size(), 30U);
  EXPECT_GE(std::ranges::min(figures->first_tokens), step(41));  // nobody is served before it has come
  EXPECT_LE(std::ranges::max(figures->first_tokens), 1);
  EXPECT_EQ(figures->patient_first_tokens.size(), 30U);
  EXPECT_GE(std::ranges::min(figures->patient_first_tokens), step(41));
  EXPECT_LE(std::ranges::max(figures->patient_first_tokens), std::ranges::max(figures->first_tokens) + step(512));
  EXPECT_LT(std::abs(figures->heavy_loss()), 0.25);  // few requests: who is in which part of its work is chance
  EXPECT_GT(figures->light_beside, 0.02 * figures->heavy_alone);
  EXPECT_LT(figures->light_beside, 0.2 * figures->heavy_alone);
}

TEST(FairnessPace, GapsAreThoseOfTheStreamsWhilePromptsCome) {
  VirtualClock clock;
  ScriptedRunner runner(kScript, clock);
  const auto figures = run_prompts_and_streams(runner, {.streams = 4, .prompts = 6, .decode_steps = 12}, clock);
  ASSERT_TRUE(figures) << figures.error().chain();
  EXPECT_NEAR(figures->decode_before, step(4), 1e-9);
  EXPECT_NEAR(figures->decode_after, step(4), 1e-9);
  EXPECT_EQ(figures->decodes_before.size(), 3U * 12);
  ASSERT_EQ(figures->relative_gaps.size(), figures->gaps.size());
  EXPECT_NEAR(figures->relative_gaps[7], figures->gaps[7] / step(4), 1e-9);
  EXPECT_NEAR(figures->lone, 3000 / (5 * step(512) + step(440)), 1);
  EXPECT_LT(figures->beside, figures->lone);
  EXPECT_GE(figures->gaps.size(), 4U * 3 * (3000 / 512));
  EXPECT_EQ(figures->gaps.size() % 4, 0U);
  EXPECT_GT(std::ranges::min(figures->gaps), step(4));  // each step had prompts
}

TEST(FairnessPace, WholeLoadsAreCountedFromTheFirstRequestToTheLastToken) {
  VirtualClock clock;
  ScriptedRunner runner(kScript, clock);
  const auto figures = run_whole_loads(runner, {.few = 4, .many = 8, .rounds = 2}, clock);
  ASSERT_TRUE(figures) << figures.error().chain();
  EXPECT_NEAR(figures->few_patient, 4 * 160 / (step(512) + 31 * step(4)), 1e-6);
  EXPECT_NEAR(figures->few_watched, figures->few_patient, 1e-6);  // one step of prompts, nobody to wait for
  EXPECT_GT(figures->many_patient, figures->few_patient);
  EXPECT_GT(figures->many_patient, figures->many_watched);
}

TEST(FairnessSharing, CountsTheRowsOfACommonPromptOnce) {
  VirtualClock clock;
  ScriptedRunner runner(kScript, clock);
  const auto figures = run_sharing(runner, {.fork_tokens = 300, .forks = 3, .rounds = 2}, clock);
  ASSERT_TRUE(figures) << figures.error().chain();
  EXPECT_EQ(figures->prompt_rows, 1000U + 15);  // the last token again, for the choice of the next one
  EXPECT_EQ(figures->unshared_rows, 16'000U);
  EXPECT_NEAR(figures->prompt[0], step(512) + step(488), 1e-9);
  EXPECT_NEAR(figures->decode[1], 31 * step(16), 1e-9);
  EXPECT_NEAR(figures->sample_prompt[0], step(256), 1e-9);
  EXPECT_NEAR(figures->separate[0], 63 * step(8), 1e-9);
  EXPECT_NEAR(figures->sampled[0], step(256) + 63 * step(8), 1e-9);
  EXPECT_LE(figures->shared_ratio(), 1.1);
  EXPECT_LE(figures->sampled_ratio(), 1.0001);
  EXPECT_EQ(figures->fork.size(), 3U);
}

/// A quick run on a tiny model, whose exact lines must hold.
ExperimentReport quick_run(const Experiment& experiment) {
  const testing::TempDir folder;
  const auto bytes = testing::make_tiny_model({});
  std::ofstream(folder / "tiny.gguf", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  auto report = experiment.run({.quick = true, .model = folder / "tiny.gguf"});
  EXPECT_TRUE(report) << report.error().chain();
  for (const Gate& gate : report->gates) EXPECT_TRUE(gate.holds() || !gate.exact) << gate.what << ' ' << gate.value;
  return *std::move(report);
}

TEST(Fairness, RunsOnATinyModel) {
  const ExperimentReport report = quick_run(fairness_experiment());
  EXPECT_EQ(report.gates.size(), 5U);
  EXPECT_EQ(report.json["clients"]["first_tokens_seconds"].size(), 6U);
  EXPECT_EQ(report.chart.panels.size(), 2U);
}

TEST(Sharing, RunsOnATinyModel) {
  const ExperimentReport report = quick_run(sharing_experiment());
  EXPECT_EQ(report.gates.size(), 5U);
  EXPECT_EQ(report.json["sharing"]["shared_seconds"].size(), 2U);
  EXPECT_EQ(report.chart.panels.size(), 2U);
}

TEST(Fairness, NeedsAModel) {
  for (const Experiment& experiment : {fairness_experiment(), sharing_experiment()}) {
    const auto refused = experiment.run({.quick = true});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, base::ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace plait::evaluation
