// SPDX-License-Identifier: Apache-2.0
//
// Who waits for whom, on a scripted model whose steps take 10 ms and 0.1 ms a row by a virtual clock, so that every
// figure is exact: first tokens of a light client beside a heavy one, and gaps of running streams while prompts come.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "testing/scripted_runner.h"

namespace plait::engine {
namespace {

using base::TokenId;

constexpr testing::ScriptOptions kScript{.step_seconds = 0.010, .row_seconds = 0.0001};
// Prompts are dear beside steps, as on processors: beside streams they come in small pieces.
constexpr testing::ScriptOptions kDearRows{.step_seconds = 0.005, .row_seconds = 0.001};

constexpr CostRates kRates{.gamma = 0.03, .gamma_cache = 0.01, .weights = 8};

double quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}

class Pace : public ::testing::Test, public Listener {
 protected:
  void SetUp() override { open(kScript); }

  void open(const testing::ScriptOptions& script) {
    engine_.reset();
    runner_ = std::make_unique<testing::ScriptedRunner>(script, clock_);
    const base::Bytes page = runner_->layout().page_bytes(0) + runner_->layout().page_bytes(1);
    engine_ = *Engine::make(*runner_, {.kv_bytes = 20'000 * page, .share_prefixes = false, .rates = kRates}, clock_);
  }

  bool on_token(SequenceId id, const models::Sample& sample) override {
    const double now = clock_.now();
    if (const auto at = last_token_.find(id); at != last_token_.end() && watch_gaps_) gaps_.push_back(now - at->second);
    last_token_[id] = now;
    texts_[number_[id]].push_back(sample.token);
    ++generated_[client_[id]];
    return true;
  }
  void on_end(SequenceId id, const Ending& ending) override {
    if (ending.reason == EndReason::length) {
      first_token_[client_[id]].push_back(ending.usage.waited_seconds + ending.usage.prompt_seconds);
    }
    costs_[client_[id]] = ending.usage.cost;
    last_token_.erase(id);
    ++ended_[client_[id]];
  }

  SequenceId submit(const std::string& client, std::size_t prompt, std::size_t count, bool patient = false) {
    Request request{.options = {.client = client},
                    .generate = {.tokens_max = count, .patient = patient, .listener = this}};
    for (std::size_t i = 0; i < prompt; ++i) {
      request.prompt.emplace_back(static_cast<std::int32_t>(base::random_u64(next_, i) % 50));
    }
    const SequenceId id = engine_->submit(request)->front();
    number_[id] = next_++;
    client_[id] = client;
    return id;
  }

  /// A step of `rows` rows, seconds.
  static double step(std::size_t rows) {
    return kScript.step_seconds + kScript.row_seconds * static_cast<double>(rows);
  }

  testing::VirtualClock clock_;
  std::unique_ptr<testing::ScriptedRunner> runner_;
  std::map<SequenceId, std::string> client_;
  std::map<SequenceId, double> last_token_;
  std::map<SequenceId, std::uint64_t> number_;           ///< Of the request, see next_.
  std::map<std::uint64_t, std::vector<TokenId>> texts_;  ///< By number.
  std::map<std::string, std::vector<double>> first_token_;
  std::map<std::string, std::size_t> generated_;
  std::map<std::string, std::size_t> ended_;
  std::map<std::string, Cost> costs_;  ///< Of each client's last request.
  std::vector<double> gaps_;
  bool watch_gaps_ = false;
  std::uint64_t next_ = 0;
  std::unique_ptr<Engine> engine_;  // last: it tells the listener when it goes
};

TEST_F(Pace, ALightClientDoesNotWaitForAHeavyOne) {
  // 24 requests of the heavy client at any time; 200 small ones of the light one, one after the other.
  std::size_t heavy = 0;
  const auto keep_heavy = [&] {
    for (; heavy < 24 + ended_["heavy"]; ++heavy) submit("heavy", 600, 150);
  };
  const auto run_for = [&](double seconds, bool light) {
    const double end = clock_.now() + seconds;
    double next_light = clock_.now();
    const std::size_t before = generated_["heavy"];
    std::size_t asked = 0;
    while (clock_.now() < end || (light && asked < 200)) {
      keep_heavy();
      if (light && asked < 200 && clock_.now() >= next_light && ended_["light"] == asked) {
        submit("light", 40, 8);
        ++asked;
        next_light = clock_.now() + 0.3;
      }
      engine_->step();
    }
    return static_cast<double>(generated_["heavy"] - before);
  };
  run_for(20, false);
  const double alone_start = clock_.now();
  const double alone = run_for(60, false) / (clock_.now() - alone_start);
  const double both_start = clock_.now();
  const double both = run_for(60, true) / (clock_.now() - both_start);
  ASSERT_GE(first_token_["light"].size(), 199U);
  const double own_prompt = step(40);
  EXPECT_LE(quantile(first_token_["light"], 0.99), 4 * step(25) + own_prompt);
  EXPECT_GE(both, 0.9 * alone);  // the light one asks for far less than its half
}

TEST_F(Pace, StreamsKeepTheirPaceWhilePromptsComeIn) {
  for (int i = 0; i < 16; ++i) submit("streams", 50, 3000);
  for (int i = 0; i < 60; ++i) engine_->step();
  watch_gaps_ = true;
  const double start = clock_.now();
  const std::size_t rows_before = engine_->counters().prompt_rows;
  for (int i = 0; i < 32; ++i) submit("prompts", 1000, 1);
  while (ended_["prompts"] < 32) engine_->step();
  const double seconds = clock_.now() - start;
  const double rate = static_cast<double>(engine_->counters().prompt_rows - rows_before) / seconds;
  EXPECT_LE(quantile(gaps_, 0.999), 3 * step(16));
  // What is possible: a step lasts twice the decode-only one, and its prompt rows cost nothing else.
  const double lone = 512 / step(512);
  RecordProperty("prompt_rate_share", std::to_string(rate / lone));
  EXPECT_GE(rate, 0.6 * lone);
}

TEST_F(Pace, WhoIsAloneWaitsForItsOwnWorkOnly) {
  submit("one", 700, 40);
  while (engine_->step()) {
  }
  EXPECT_NEAR(costs_["one"].pte_latency, costs_["one"].pte_w, 1e-6);
  EXPECT_GT(costs_["one"].pte_w, 700 + 39 * kRates.weights);
}

TEST_F(Pace, WhoSharesTheStepsWaitsForTheOthersWork) {
  submit("one", 100, 40);
  submit("two", 100, 40);  // both prompts go in the first step, and both end with the last
  while (engine_->step()) {
  }
  const double both = 200 + 39 * kRates.weights + kRates.gamma_cache * 2 * 39 * (100 + 39.0 / 2);
  EXPECT_NEAR(costs_["one"].pte_latency, both, 1e-6);
  EXPECT_NEAR(costs_["two"].pte_latency, both, 1e-6);
  EXPECT_NEAR(costs_["one"].pte_w + costs_["two"].pte_w, both, 1e-6);
  submit("late", 10, 1);  // does not pay for what was before it
  while (engine_->step()) {
  }
  EXPECT_NEAR(costs_["late"].pte_latency, 10, 1e-6);
}

TEST_F(Pace, PatientRequestsHaveWholeStepsOfPromptsAndTheSameTokens) {
  open(kDearRows);
  std::map<bool, double> seconds;
  std::map<bool, std::uint64_t> steps;
  std::map<bool, std::map<std::uint64_t, std::vector<TokenId>>> texts;
  for (const bool patient : {false, true}) {
    texts_.clear();
    next_ = 0;  // the same prompts
    const double start = clock_.now();
    const std::uint64_t steps_before = engine_->counters().steps;
    for (int i = 0; i < 32; ++i) submit("all", 128, 32, patient);  // one after the other, so the first soon generate
    while (engine_->step()) {
    }
    seconds[patient] = clock_.now() - start;
    steps[patient] = engine_->counters().steps - steps_before;
    texts[patient] = texts_;
  }
  EXPECT_EQ(texts[true], texts[false]);
  EXPECT_EQ(texts[true].size(), 32U);
  EXPECT_EQ(texts[true][31].size(), 32U);
  EXPECT_LE(steps[true], 4096 / 512 + 1 + 31U);  // all prompts, then all streams side by side
  EXPECT_GE(steps[false], 4 * steps[true]);
  EXPECT_LE(seconds[true], 0.9 * seconds[false]);
}

TEST_F(Pace, WhoIsWatchedKeepsItsPaceBesidePatientRequests) {
  open(kDearRows);
  for (int i = 0; i < 8; ++i) submit("patient streams", 50, 3000, true);
  const SequenceId watched = submit("watched", 50, 3000);
  for (int i = 0; i < 100; ++i) engine_->step();
  std::vector<double> gaps;
  std::size_t heard = generated_["watched"];
  double last = last_token_[watched];
  for (int i = 0; i < 32; ++i) submit("prompts", 400, 1, true);
  while (ended_["prompts"] < 32) {
    engine_->step();
    if (generated_["watched"] == heard) continue;
    heard = generated_["watched"];
    gaps.push_back(last_token_[watched] - last);
    last = last_token_[watched];
  }
  EXPECT_GE(gaps.size(), 100U);
  EXPECT_LE(quantile(gaps, 0.999), 3 * (kDearRows.step_seconds + 9 * kDearRows.row_seconds));
  engine_->cancel(watched);  // the others have no reason to wait
  const std::uint64_t steps_before = engine_->counters().steps;
  for (int i = 0; i < 32; ++i) submit("prompts", 400, 1, true);
  while (ended_["prompts"] < 64) engine_->step();
  EXPECT_LE(engine_->counters().steps - steps_before, 32U * 400 / 500 + 1);
}

}  // namespace
}  // namespace plait::engine
