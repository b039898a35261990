// SPDX-License-Identifier: Apache-2.0
//
// Preemption by swap, on a scripted model and a tier that takes its time: what is generated is compared with the script
// followed by hand, and every page is counted after each step.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "engine/engine_test_fixture.h"
#include "testing/fake_tier.h"

namespace plait::engine {
namespace {

/// With a host tier in memory whose operations take some ticks.
class SwapTest : public EngineTest {
 protected:
  void open_with_tier(std::size_t pages, std::size_t window, EngineOptions options = {}, std::uint32_t slots = 4000,
                      testing::FakeTierOptions tier_options = {}) {
    engine_.reset();
    const ScriptedRunner layout({.window = window}, clock_);
    for (std::size_t group = 0; group < kLayerGroups; ++group) {
      const base::Bytes bytes = layout.layout().page_bytes(group);
      tiers_[group] = bytes == 0 ? nullptr : std::make_unique<testing::FakeTier>(slots, bytes, tier_options);
      options.swap.tiers[group] = tiers_[group].get();
    }
    open(pages, {.window = window}, options);
  }
  ~SwapTest() override { engine_.reset(); }

  /// Sequences that generate, more than there is memory for.
  std::map<SequenceId, std::vector<TokenId>> crowd(std::size_t count) {
    std::map<SequenceId, std::vector<TokenId>> expected;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto prompt = random_tokens(100 + i, 20 + base::random_u64(3, i) % 100);
      expected[submit(prompt, 100)[0]] = script(*runner_, prompt, 100);
    }
    return expected;
  }
  /// An idle sequence that has computed its prompt and is swapped out by others, which run to their end unless
  /// `keep_crowd`.
  SequenceId swapped(const std::vector<TokenId>& prompt) {
    const SequenceId id = *engine_->create({});
    EXPECT_TRUE(engine_->append(id, prompt));
    EXPECT_TRUE(engine_->generate(id, {.prompt_only = true, .listener = &recorder_}));
    run();
    recorder_ = {};
    crowd(8);
    while (engine_->counters().swap.swap_outs == 0 && engine_->step()) engine_->check_invariants();
    EXPECT_GT(engine_->counters().swap.swap_outs, 0U);
    return id;
  }
  /// What a sequence generates from here on is what the script makes of all its tokens.
  void expect_goes_on(SequenceId id) {
    const std::vector<TokenId> all = engine_->tokens(id);
    ASSERT_TRUE(engine_->generate(id, {.tokens_max = 20, .listener = &recorder_}));
    run();
    EXPECT_EQ(recorder_.tokens[id], script(*runner_, all, 20));
  }

  std::array<std::unique_ptr<testing::FakeTier>, kLayerGroups> tiers_;
};

TEST_F(SwapTest, PreemptedSequencesComeBackAndNothingIsComputedTwice) {
  for (const std::size_t window : {0U, 50U}) {
    for (const auto wait : {SwapWait::adaptive, SwapWait::always, SwapWait::never}) {
      open_with_tier(40, window, {.swap = {.choice = SwapChoice::swap, .wait = wait}});
      const auto expected = crowd(20);
      std::size_t tokens = 0;
      run();
      for (const auto& [id, got] : expected) {
        ASSERT_EQ(recorder_.tokens[id], got);
        tokens += recorder_.endings[id].usage.prompt_tokens + got.size() - 1;
      }
      const EngineCounters counters = engine_->counters();
      EXPECT_GT(counters.preemptions, 0U);
      EXPECT_GT(counters.swap.swap_ins, 0U);
      EXPECT_EQ(runner_->rows, tokens) << window;
      recorder_ = {};
    }
  }
}

TEST_F(SwapTest, EveryChoiceGivesTheSameTokens) {
  std::map<SwapChoice, std::size_t> rows;
  for (const auto choice : {SwapChoice::swap, SwapChoice::recompute, SwapChoice::cost}) {
    open_with_tier(40, 0, {.swap = {.choice = choice}});
    const auto expected = crowd(20);
    run();
    for (const auto& [id, got] : expected) ASSERT_EQ(recorder_.tokens[id], got);
    rows[choice] = runner_->rows;
    EXPECT_EQ(engine_->counters().swap.swap_outs > 0, choice != SwapChoice::recompute);
    recorder_ = {};
  }
  EXPECT_LT(rows[SwapChoice::swap], rows[SwapChoice::recompute]);
}

TEST_F(SwapTest, TheSecondTimeOnlyWhatIsNewIsWritten) {
  base::Bytes bytes[2] = {};
  for (const bool reuse : {false, true}) {
    open_with_tier(30, 0, {.swap = {.choice = SwapChoice::swap, .manager = {.reuse = reuse}}});
    const auto expected = crowd(20);
    run();
    for (const auto& [id, got] : expected) ASSERT_EQ(recorder_.tokens[id], got);
    bytes[reuse ? 1 : 0] = engine_->counters().swap.bytes_out;
    recorder_ = {};
  }
  EXPECT_LT(bytes[1], bytes[0]);
}

TEST_F(SwapTest, ErrorsOfTheTierCostOnlyTime) {
  for (const std::size_t window : {0U, 50U}) {
    for (const testing::FakeTierOptions& errors :
         {testing::FakeTierOptions{.write_error_rate = 1}, testing::FakeTierOptions{.read_error_rate = 1},
          testing::FakeTierOptions{.write_error_rate = 0.1, .read_error_rate = 0.2}}) {
      open_with_tier(40, window, {.swap = {.choice = SwapChoice::swap}}, 4000, errors);
      const auto expected = crowd(20);
      run();
      for (const auto& [id, got] : expected) ASSERT_EQ(recorder_.tokens[id], got);
      EXPECT_GT(engine_->counters().swap.recomputes, 0U);
      recorder_ = {};
    }
  }
}

TEST_F(SwapTest, OneGroupThatFailsTakesTheOtherAlong) {
  for (const std::size_t broken : {0U, 1U}) {
    open_with_tier(40, 50, {.swap = {.choice = SwapChoice::swap, .wait = SwapWait::always}});
    tiers_[broken]->set_error_rates(0, 1);
    const auto expected = crowd(20);
    run();
    for (const auto& [id, got] : expected) ASSERT_EQ(recorder_.tokens[id], got) << broken;
    EXPECT_GT(engine_->counters().swap.recomputes, 0U);
    recorder_ = {};
  }
}

TEST_F(SwapTest, AFullTierMeansRecompute) {
  open_with_tier(40, 0, {.swap = {.choice = SwapChoice::swap}}, 3);
  const auto expected = crowd(20);
  run();
  for (const auto& [id, got] : expected) ASSERT_EQ(recorder_.tokens[id], got);
}

TEST_F(SwapTest, AnIdleSequenceComesBackWhenItIsUsed) {
  for (const std::size_t window : {0U, 50U}) {
    open_with_tier(40, window, {.swap = {.choice = SwapChoice::swap}});
    const auto prompt = random_tokens(1, 150);
    const SequenceId id = swapped(prompt);
    ASSERT_TRUE(engine_->append(id, random_tokens(2, 10)));
    const std::size_t rows = runner_->rows;
    expect_goes_on(id);
    EXPECT_LT(runner_->rows - rows, 3000U);
    EXPECT_GT(engine_->counters().swap.swap_ins, 0U);
    EXPECT_EQ(recorder_.endings[id].usage.computed_tokens, 10U) << window;
    recorder_ = {};
  }
}

TEST_F(SwapTest, ForkTrimJoinAndCloseOfASwappedSequence) {
  for (const std::size_t window : {0U, 50U}) {
    for (const int what : {0, 1, 2, 3, 4, 5}) {
      open_with_tier(40, window, {.swap = {.choice = SwapChoice::swap}});
      const auto prompt = random_tokens(1, 150);
      const SequenceId id = swapped(prompt);
      for (int steps = 0; steps < what; ++steps) engine_->step();
      if (what == 0) engine_->close(id);
      if (what == 1) expect_goes_on(*engine_->fork(id));
      if (what == 2) {
        ASSERT_TRUE(engine_->trim(id, 149));
        ASSERT_TRUE(engine_->append(id, random_tokens(7, 20)));
      }
      if (what == 3) {
        ASSERT_TRUE(engine_->trim(id, 33));
      }
      run();
      if (what == 4) {
        ASSERT_TRUE(engine_->join(id, id, 16));
        ASSERT_TRUE(engine_->append(id, random_tokens(8, 3)));
      }
      if (what == 5) {
        ASSERT_TRUE(engine_->generate(id, {.tokens_max = 20, .listener = &recorder_}));
        engine_->step();
        engine_->cancel(id);
        recorder_.endings.erase(id);
        recorder_.tokens.erase(id);
      }
      if (what > 0) expect_goes_on(id);
      run();
      recorder_ = {};
    }
  }
}

TEST_F(SwapTest, WhatOthersHaveIsNotWritten) {
  open_with_tier(60, 0, {.swap = {.choice = SwapChoice::swap}});
  const auto prompt = random_tokens(1, 320);
  submit(prompt, 200, 4, {.temperature = 1, .seed = 3});
  run();
  const EngineCounters counters = engine_->counters();
  EXPECT_GT(counters.swap.swap_outs, 0U);
  // Each had at most 13 pages of its own.
  EXPECT_LE(counters.swap.bytes_out, counters.swap.swap_outs * 13 * runner_->layout().page_bytes(0));
  for (const auto& [id, ending] : recorder_.endings) EXPECT_EQ(ending.reason, EndReason::length);
}

TEST_F(SwapTest, AnUrgentRequestTakesThePlaceOfAnother) {
  open_with_tier(20, 0, {.rows_max = 1, .swap = {.choice = SwapChoice::swap}, .preempt_levels = true});
  const auto ask = [&](const char* client, int level, std::uint64_t seed) {
    return engine_
        ->submit({.options = {.client = client, .level = level},
                  .prompt = random_tokens(seed, 60),
                  .generate = {.tokens_max = 40, .listener = &recorder_}})
        ->front();
  };
  const SequenceId slow = ask("a", 3, 1);
  for (int i = 0; i < 5; ++i) engine_->step();
  const SequenceId urgent = ask("b", 1, 2);
  while (!recorder_.endings.contains(urgent)) engine_->step();
  EXPECT_LT(recorder_.tokens[slow].size(), 8U);
  // And the other way round, by a change of level.
  const SequenceId third = ask("c", 5, 3);
  for (int i = 0; i < 5; ++i) engine_->step();
  ASSERT_TRUE(engine_->set_level(third, 0));
  while (!recorder_.endings.contains(third)) engine_->step();
  EXPECT_FALSE(recorder_.endings.contains(slow));
  run();
  EXPECT_EQ(recorder_.tokens[slow], script(*runner_, random_tokens(1, 60), 40));
  EXPECT_EQ(recorder_.endings[slow].usage.preemptions, 2U);
  EXPECT_GE(recorder_.endings[slow].usage.preempted_at[1], recorder_.endings[slow].usage.preempted_at[0]);
  EXPECT_EQ(recorder_.endings[slow].usage.computed_tokens, 60U);
}

TEST_F(SwapTest, IdleSequencesGiveWayToWhoWaits) {
  for (const SwapChoice choice : {SwapChoice::swap, SwapChoice::recompute}) {
    open_with_tier(20, 0, {.swap = {.choice = choice}});
    const auto chat = random_tokens(1, 200);  // 13 pages
    const SequenceId idle = *engine_->create({});
    ASSERT_TRUE(engine_->append(idle, chat));
    ASSERT_TRUE(engine_->generate(idle, {.prompt_only = true, .listener = &recorder_}));
    run();
    recorder_ = {};
    const SequenceId first = submit(random_tokens(2, 20), 60)[0];
    engine_->step();
    const SequenceId second = submit(random_tokens(3, 100), 5)[0];
    while (!recorder_.endings.contains(second)) {
      ASSERT_TRUE(engine_->step());
      tiers_[0]->advance(5);
    }
    EXPECT_FALSE(recorder_.endings.contains(first)) << "nobody had to wait for it";
    EXPECT_EQ(engine_->counters().preemptions, 0U);
    run();
    recorder_ = {};
    expect_goes_on(idle);
    recorder_ = {};
  }
}

// Sequences that grow side by side: with groups each lies in few pieces and is written by few operations.
TEST_F(SwapTest, GroupsMakeFewerOperations) {
  std::map<std::uint32_t, double> pages_by_operation;
  for (const std::uint32_t group : {1U, 12U}) {
    open_with_tier(60, 0, {.swap = {.choice = SwapChoice::swap}, .group_pages = group});
    for (std::uint64_t i = 0; i < 8; ++i) submit(random_tokens(i, 40), 120);
    run();
    const SwapCounters swap = engine_->counters().swap;
    ASSERT_GT(swap.swap_outs, 0U);
    pages_by_operation[group] = static_cast<double>(swap.bytes_out) /
                                static_cast<double>(runner_->layout().page_bytes(0) * swap.operations_out);
    for (const auto& [id, ending] : recorder_.endings) EXPECT_EQ(ending.reason, EndReason::length);
    EXPECT_EQ(recorder_.endings.size(), 8U);
    recorder_ = {};
  }
  EXPECT_GT(pages_by_operation[12], 1.5 * pages_by_operation[1]);
}

TEST_F(SwapTest, TiersThatDoNotFitAreRefused) {
  runner_ = std::make_unique<ScriptedRunner>(testing::ScriptOptions{.window = 20}, clock_);
  testing::FakeTier tier(4, runner_->layout().page_bytes(0));
  testing::FakeTier small(4, runner_->layout().page_bytes(1) / 2);
  const auto code = [&](HostTier* first, HostTier* second) {
    return Engine::make(*runner_, {.kv_bytes = 1 << 20, .swap = {.tiers = {first, second}}}, clock_).error().code;
  };
  EXPECT_EQ(code(&tier, nullptr), base::ErrorCode::invalid_argument);
  EXPECT_EQ(code(&tier, &small), base::ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace plait::engine
