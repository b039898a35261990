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

double quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}

class Pace : public ::testing::Test, public Listener {
 protected:
  void SetUp() override {
    runner_ = std::make_unique<testing::ScriptedRunner>(kScript, clock_);
    const base::Bytes page = runner_->layout().page_bytes(0) + runner_->layout().page_bytes(1);
    engine_ = *Engine::make(*runner_, {.kv_bytes = 20'000 * page, .share_prefixes = false}, clock_);
  }

  bool on_token(SequenceId id, const models::Sample& /*sample*/) override {
    const double now = clock_.now();
    if (const auto at = last_token_.find(id); at != last_token_.end() && watch_gaps_) gaps_.push_back(now - at->second);
    last_token_[id] = now;
    ++generated_[client_[id]];
    return true;
  }
  void on_end(SequenceId id, const Ending& ending) override {
    if (ending.reason == EndReason::length) {
      first_token_[client_[id]].push_back(ending.usage.waited_seconds + ending.usage.prompt_seconds);
    }
    last_token_.erase(id);
    ++ended_[client_[id]];
  }

  SequenceId submit(const std::string& client, std::size_t prompt, std::size_t count) {
    Request request{.options = {.client = client}, .generate = {.tokens_max = count, .listener = this}};
    for (std::size_t i = 0; i < prompt; ++i) {
      request.prompt.emplace_back(static_cast<std::int32_t>(base::random_u64(next_, i) % 50));
    }
    ++next_;
    const SequenceId id = engine_->submit(request)->front();
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
  std::map<std::string, std::vector<double>> first_token_;
  std::map<std::string, std::size_t> generated_;
  std::map<std::string, std::size_t> ended_;
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

}  // namespace
}  // namespace plait::engine
