// SPDX-License-Identifier: Apache-2.0
//
// An engine on a scripted model (testing/scripted_runner.h), a listener that keeps what it is told, and the script
// followed by hand to compare with. Only for engine*_test.cc.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "testing/scripted_runner.h"

namespace plait::engine {

using base::TokenId;
using testing::ScriptedRunner;
using testing::VirtualClock;

inline std::vector<TokenId> random_tokens(std::uint64_t seed, std::size_t count) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i)
    tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(seed, i) % 50));
  return tokens;
}

/// What the script makes of a prompt.
inline std::vector<TokenId> script(const ScriptedRunner& runner, std::vector<TokenId> tokens, std::size_t count,
                                   const models::SamplerOptions& options = {}) {
  auto sampler = models::Sampler::make(options);
  const std::size_t prompt = tokens.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto sample = sampler->sample(runner.logits(tokens), {.tokens = tokens, .prompt_length = prompt});
    tokens.push_back(sample->token);
  }
  tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(prompt));
  return tokens;
}

/// Keeps what it is told.
class Recorder final : public Listener {
 public:
  bool on_token(SequenceId id, const models::Sample& sample) override {
    EXPECT_FALSE(endings.contains(id));
    tokens[id].push_back(sample.token);
    return tokens[id].size() < stop_after;
  }
  void on_end(SequenceId id, const Ending& ending) override { EXPECT_TRUE(endings.try_emplace(id, ending).second); }

  std::map<SequenceId, std::vector<TokenId>> tokens;
  std::map<SequenceId, Ending> endings;
  std::size_t stop_after = 1'000'000;
};

class EngineTest : public ::testing::Test {
 protected:
  /// `pages` of each layer group.
  void open(std::size_t pages, testing::ScriptOptions script_options = {}, EngineOptions options = {}) {
    engine_.reset();
    runner_ = std::make_unique<ScriptedRunner>(script_options, clock_);
    options.kv_bytes = pages * (runner_->layout().page_bytes(0) + runner_->layout().page_bytes(1));
    auto engine = Engine::make(*runner_, options, clock_);
    ASSERT_TRUE(engine) << engine.error().message;
    engine_ = *std::move(engine);
  }

  std::vector<SequenceId> submit(const std::vector<TokenId>& prompt, std::size_t count, std::size_t samples = 1,
                                 models::SamplerOptions sampler = {}) {
    auto ids = engine_->submit({.prompt = prompt,
                                .generate = {.sampler = sampler, .tokens_max = count, .listener = &recorder_},
                                .samples = samples});
    EXPECT_TRUE(ids) << ids.error().message;
    return ids ? *ids : std::vector<SequenceId>();
  }

  void run() {
    for (std::size_t steps = 0; engine_->step(); ++steps) {
      engine_->check_invariants();
      ASSERT_LT(steps, 100'000U);
    }
  }

  VirtualClock clock_;
  std::unique_ptr<ScriptedRunner> runner_;
  Recorder recorder_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace plait::engine
