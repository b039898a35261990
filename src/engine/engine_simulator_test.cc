// SPDX-License-Identifier: Apache-2.0
//
// Random events on the real engine, with a scripted model and a virtual clock: submit, fork, join, trim, new turns,
// cancel, close, deadlines, changes of level, in memories that are far too small, with and without host tiers that are
// late, out of order, too small or broken. After each step every page is counted; at the end every generation is
// compared with the script followed by hand. A failing seed repeats: PLAIT_SIMULATOR_SEED=N. PLAIT_SIMULATOR_EVENTS
// sets how many events there are in all (default 20,000).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "testing/fake_tier.h"
#include "testing/scripted_runner.h"

namespace plait::engine {
namespace {

using base::TokenId;

constexpr std::size_t kVocabulary = 50;

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// What a generation must come to.
struct Expected {
  std::vector<TokenId> prompt;
  models::SamplerOptions sampler;
  std::vector<TokenId> got;
  bool over = false;
  bool whole = false;  ///< It ended by itself.
  std::size_t tokens_max = 0;
};

class Simulation final : public Listener {
 public:
  Simulation(std::uint64_t seed, std::size_t events) : seed_(seed), events_(events) {
    script_.vocabulary = kVocabulary;
    script_.context = 700;
    script_.window = seed % 3 == 0 ? 0 : 16 + random(100);
    runner_ = std::make_unique<testing::ScriptedRunner>(script_, clock_);
    EngineOptions options;
    const std::size_t pages = 30 + random(200);
    options.kv_bytes = pages * (runner_->layout().page_bytes(0) + runner_->layout().page_bytes(1));
    options.rows_max = 1 + random(24);
    options.cache = {.policy = kEvictionKinds[random(kEvictionKinds.size())], .seed = seed};
    options.share_prefixes = random(5) != 0;
    options.preempt_levels = random(3) == 0;
    if (random(4) != 0) add_tiers(options, pages);
    engine_ = *Engine::make(*runner_, options, clock_);
  }

  void run() {
    for (std::size_t event = 0; event < events_ && !::testing::Test::HasFailure(); ++event) {
      act();
      engine_->check_invariants();
    }
    for (std::size_t steps = 0; engine_->step(); ++steps) {
      engine_->check_invariants();
      ASSERT_LT(steps, 1'000'000U) << "it never ends";
    }
    for (const SequenceId id : known_) {
      engine_->close(id);
      engine_->check_invariants();
    }
    engine_.reset();  // waits for the tiers
    for (const auto& tier : tiers_) {
      if (tier == nullptr) continue;
      EXPECT_EQ(tier->conflicts(), 0);
      EXPECT_EQ(tier->in_flight(), 0U);
      EXPECT_EQ(tier->space().available(), tier->slots()) << "slots are leaked";
    }
    check();
  }

  bool on_token(SequenceId id, const models::Sample& sample) override {
    Expected& expected = *current_.at(id);
    EXPECT_FALSE(expected.over);
    expected.got.push_back(sample.token);
    return true;
  }
  void on_end(SequenceId id, const Ending& ending) override {
    Expected& expected = *current_.at(id);
    EXPECT_FALSE(expected.over);
    expected.over = true;
    expected.whole = ending.reason == EndReason::length;
    if (ending.reason == EndReason::failed) {
      EXPECT_EQ(ending.error->code, base::ErrorCode::out_of_resources);
    }
    if (random(20) == 0 && !known_.empty()) engine_->cancel(any());  // from within
  }

 private:
  void add_tiers(EngineOptions& options, std::size_t pages) {
    const double errors = random(3) == 0 ? 0.05 : 0;
    const auto slots = static_cast<std::uint32_t>(random(3) == 0 ? 1 + random(pages) : 20 * pages);
    for (std::size_t group = 0; group < kLayerGroups; ++group) {
      if (runner_->layout().page_bytes(group) == 0) continue;
      const base::Bytes bytes = runner_->layout().page_bytes(group) + 64 * random(2);
      tiers_[group] = std::make_unique<testing::FakeTier>(slots, bytes,
                                                          testing::FakeTierOptions{.seed = seed_ + group,
                                                                                   .delay_ticks_max = 1 + random(40),
                                                                                   .write_error_rate = errors,
                                                                                   .read_error_rate = errors});
      options.swap.tiers[group] = tiers_[group].get();
    }
    options.swap.choice = random(3) == 0 ? SwapChoice::cost : SwapChoice::swap;
    options.swap.wait = static_cast<SwapWait>(random(3));
    options.swap.wait_out = random(8) == 0;
    options.swap.manager.join_pages = random(4) != 0;
    options.swap.manager.reuse = random(4) != 0;
  }

  std::uint64_t random(std::uint64_t below) { return base::random_u64(seed_, draws_++) % below; }
  SequenceId any() { return known_[random(known_.size())]; }

  std::vector<TokenId> text() {
    // Few different texts, so that prompts begin alike.
    std::vector<TokenId> tokens;
    const std::uint64_t which = random(4);
    const std::size_t length = 1 + random(150);
    for (std::size_t i = 0; i < length; ++i) {
      tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(which, i) % kVocabulary));
    }
    if (random(2) == 0) tokens.back() = TokenId(static_cast<std::int32_t>(random(kVocabulary)));
    return tokens;
  }

  GenerateOptions how() {
    GenerateOptions options;
    options.tokens_max = 1 + random(60);
    options.sampler = {.temperature = random(2) == 0 ? 0.0 : 1.5, .seed = random(1000)};
    options.returns = random(2) == 0;
    options.listener = this;
    if (random(10) == 0) options.deadline = clock_.now() + static_cast<double>(random(100)) / 100;
    return options;
  }

  void expect(SequenceId id, std::vector<TokenId> prompt, const GenerateOptions& options) {
    expected_.push_back(
        std::make_unique<Expected>(Expected{std::move(prompt), options.sampler, {}, false, false, options.tokens_max}));
    current_[id] = expected_.back().get();
  }

  void submit() {
    Request request{.options = {.client = std::string(1, static_cast<char>('a' + random(4))),
                                .weight = 1 + static_cast<double>(random(3)),
                                .level = static_cast<int>(random(2))},
                    .prompt = text(),
                    .generate = how(),
                    .samples = random(6) == 0 ? 1 + random(5) : 1};
    const auto ids = engine_->submit(request);
    if (!ids) {
      EXPECT_EQ(ids.error().code, base::ErrorCode::out_of_resources);
      return;
    }
    for (std::size_t i = 0; i < ids->size(); ++i) {
      GenerateOptions options = request.generate;
      if (i > 0) options.sampler.seed = base::child_seed(request.generate.sampler.seed, i);
      expect((*ids)[i], request.prompt, options);
    }
  }

  void generate(SequenceId id) {
    const std::vector<TokenId> prompt = engine_->tokens(id);
    const GenerateOptions options = how();
    if (engine_->generate(id, options)) expect(id, prompt, options);
  }

  void act() {
    const std::uint64_t what = random(100);
    for (const auto& tier : tiers_) {
      if (tier != nullptr) tier->advance(random(6));
    }
    if (what < 69) {
      engine_->step();
    } else if (what < 70) {
      if (!known_.empty()) {
        EXPECT_TRUE(engine_->set_level(any(), static_cast<int>(random(4))));
      }
    } else if (what < 80) {
      submit();
    } else if (what < 83 || known_.empty()) {
      if (known_.size() < 12) known_.push_back(*engine_->create({}));
    } else if (what < 88) {
      (void)engine_->append(any(), text());
    } else if (what < 93) {
      generate(any());
    } else if (what < 95) {
      const auto child = engine_->fork(any());
      if (child && known_.size() < 12) {
        known_.push_back(*child);
      } else if (child) {
        engine_->close(*child);
      }
    } else if (what < 96) {
      const SequenceId id = any();
      (void)engine_->trim(id, random(engine_->tokens(id).size() + 2));
    } else if (what < 97) {
      (void)engine_->join(any(), any(), random(40));
    } else if (what < 98) {
      engine_->cancel(any());
    } else {
      const std::size_t at = random(known_.size());
      engine_->close(known_[at]);
      known_.erase(known_.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  void check() {
    for (const auto& expected : expected_) {
      ASSERT_TRUE(expected->over);
      auto sampler = models::Sampler::make(expected->sampler);
      std::vector<TokenId> tokens = expected->prompt;
      for (const TokenId token : expected->got) {
        const auto sample =
            sampler->sample(runner_->logits(tokens), {.tokens = tokens, .prompt_length = expected->prompt.size()});
        ASSERT_EQ(sample->token, token) << tokens.size();
        tokens.push_back(token);
      }
      if (!expected->whole) continue;
      ASSERT_EQ(tokens.size(), std::min(script_.context + 1, expected->prompt.size() + expected->tokens_max));
    }
  }

  std::uint64_t seed_;
  std::size_t events_;
  std::uint64_t draws_ = 0;
  testing::ScriptOptions script_;
  testing::VirtualClock clock_;
  std::unique_ptr<testing::ScriptedRunner> runner_;
  std::array<std::unique_ptr<testing::FakeTier>, kLayerGroups> tiers_;
  std::vector<std::unique_ptr<Expected>> expected_;
  std::map<SequenceId, Expected*> current_;
  std::vector<SequenceId> known_;
  std::unique_ptr<Engine> engine_;
};

TEST(EngineSimulator, RandomEventsBreakNothing) {
  constexpr std::size_t kEvents = 1000;  // of one seed
  const std::uint64_t first = setting("PLAIT_SIMULATOR_SEED", 0);
  const std::uint64_t seeds = std::max<std::uint64_t>(1, setting("PLAIT_SIMULATOR_EVENTS", 20'000) / kEvents);
  for (std::uint64_t seed = first; seed < first + seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE("PLAIT_SIMULATOR_SEED=" + std::to_string(seed));
    Simulation(seed, kEvents).run();
  }
}

}  // namespace
}  // namespace plait::engine
