// SPDX-License-Identifier: Apache-2.0
//
// The engine on a scripted model (testing/scripted_runner.h): what is generated is compared with the script followed by
// hand, and every page is counted after each step.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "engine/engine_test_fixture.h"
#include "os/memory.h"
#include "testing/environment.h"

namespace plait::engine {
namespace {

TEST_F(EngineTest, OneRequestFollowsTheScript) {
  for (const std::size_t window : {0U, 20U}) {
    open(100, {.window = window});
    for (const std::size_t length : {1U, 15U, 16U, 17U, 600U}) {
      const auto prompt = random_tokens(length, length);
      const auto ids = submit(prompt, 40);
      run();
      EXPECT_EQ(recorder_.tokens[ids[0]], script(*runner_, prompt, 40)) << length;
      EXPECT_EQ(recorder_.endings[ids[0]].reason, EndReason::length);
      EXPECT_EQ(recorder_.endings[ids[0]].usage.generated_tokens, 40U);
      EXPECT_FALSE(engine_->exists(ids[0]));
    }
    recorder_ = {};
  }
}

TEST_F(EngineTest, ManyRequestsOfManyLengthsGetWhatEachGetsAlone) {
  for (const std::size_t window : {0U, 50U}) {
    open(600, {.window = window});
    std::map<SequenceId, std::vector<TokenId>> expected;
    for (std::uint64_t i = 0; i < 64; ++i) {
      const models::SamplerOptions sampler{.temperature = i % 3 == 0 ? 0.0 : 1.0, .seed = i};
      const auto prompt = random_tokens(i / 2, 1 + base::random_u64(9, i / 2) % 200);  // in pairs
      expected[submit(prompt, 5 + i, 1, sampler)[0]] = script(*runner_, prompt, 5 + i, sampler);
    }
    run();
    for (const auto& [id, tokens] : expected) EXPECT_EQ(recorder_.tokens[id], tokens);
    EXPECT_EQ(recorder_.endings.size(), 64U);
    recorder_ = {};
  }
}

TEST_F(EngineTest, ATinyMemoryPreemptsAndChangesNothing) {
  for (const std::size_t window : {0U, 50U}) {
    open(40, {.window = window});
    std::map<SequenceId, std::vector<TokenId>> expected;
    for (std::uint64_t i = 0; i < 20; ++i) {
      const auto prompt = random_tokens(i, 20 + base::random_u64(3, i) % 100);
      expected[submit(prompt, 100)[0]] = script(*runner_, prompt, 100);
    }
    run();
    for (const auto& [id, tokens] : expected) ASSERT_EQ(recorder_.tokens[id], tokens);
    EXPECT_GT(engine_->counters().preemptions, 0U);
    recorder_ = {};
  }
}

TEST_F(EngineTest, ACommonPromptIsComputedOnce) {
  open(2000);
  auto prompt = random_tokens(1, 1000);
  for (std::int32_t i = 0; i < 16; ++i) {
    prompt.emplace_back(i);
    submit(prompt, 10);
    prompt.pop_back();
  }
  run();
  for (const auto& [id, ending] : recorder_.endings) EXPECT_EQ(ending.usage.prompt_tokens, 1001U);
  // What all have in common once; the last token of each prompt, and nine tokens of each that are fed again.
  EXPECT_EQ(runner_->rows, 1000U + 16 * (1 + 9));
  EXPECT_EQ(engine_->counters().prefixes.tokens_hit, 15 * 992U);
}

TEST_F(EngineTest, SaltsKeepTenantsApart) {
  open(500);
  const auto prompt = random_tokens(1, 160);
  for (const char* salt : {"a", "b", "a"}) {
    ASSERT_TRUE(engine_->submit(
        {.options = {.salt = salt}, .prompt = prompt, .generate = {.tokens_max = 1, .listener = &recorder_}}));
    run();
  }
  EXPECT_EQ(runner_->rows, 160U + 160 + 16);
}

TEST_F(EngineTest, SamplesShareTheirPromptAndDiffer) {
  open(500);
  const auto prompt = random_tokens(5, 300);
  const models::SamplerOptions sampler{.temperature = 1, .seed = 7};
  const auto ids = submit(prompt, 30, 8, sampler);
  run();
  EXPECT_EQ(runner_->rows, 300U + 8 * 29);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    models::SamplerOptions own = sampler;
    if (i > 0) own.seed = base::child_seed(7, i);
    EXPECT_EQ(recorder_.tokens[ids[i]], script(*runner_, prompt, 30, own)) << i;
  }
  EXPECT_NE(recorder_.tokens[ids[0]], recorder_.tokens[ids[1]]);
}

TEST_F(EngineTest, ForksGoOnFromTheMiddle) {
  open(500);
  const auto prompt = random_tokens(6, 40);
  const SequenceId root = *engine_->create({});
  ASSERT_TRUE(engine_->append(root, prompt));
  ASSERT_TRUE(engine_->generate(root, {.tokens_max = 50, .listener = &recorder_}));
  for (int i = 0; i < 20; ++i) engine_->step();
  const std::vector<TokenId> middle = engine_->tokens(root);
  const SequenceId child = *engine_->fork(root);
  ASSERT_TRUE(
      engine_->generate(child, {.sampler = {.temperature = 2, .seed = 3}, .tokens_max = 30, .listener = &recorder_}));
  run();
  EXPECT_EQ(recorder_.tokens[root], script(*runner_, prompt, 50));
  EXPECT_EQ(recorder_.tokens[child], script(*runner_, middle, 30, {.temperature = 2, .seed = 3}));
  // A turn more, behind what both have.
  for (const SequenceId id : {root, child}) {
    std::vector<TokenId> all = engine_->tokens(id);
    const auto turn = random_tokens(8, 25);
    all.insert(all.end(), turn.begin(), turn.end());
    recorder_ = {};
    ASSERT_TRUE(engine_->append(id, turn));
    ASSERT_TRUE(engine_->generate(id, {.tokens_max = 20, .listener = &recorder_}));
    run();
    EXPECT_EQ(recorder_.tokens[id], script(*runner_, all, 20));
  }
}

TEST_F(EngineTest, JoinedTextIsSeenAsIfItStoodThere) {
  // The script's hash knows positions and tokens only, so a joined span counts like the same tokens in one sequence.
  open(500);
  const SequenceId one = *engine_->create({});
  const SequenceId other = *engine_->create({});
  const auto first = random_tokens(1, 37);
  const auto second = random_tokens(2, 50);
  ASSERT_TRUE(engine_->append(one, first));
  ASSERT_TRUE(engine_->append(other, second));
  for (const SequenceId id : {one, other})
    ASSERT_TRUE(engine_->generate(id, {.prompt_only = true, .listener = &recorder_}));
  run();
  ASSERT_TRUE(engine_->join(one, other, 10));
  engine_->close(other);
  const auto third = random_tokens(3, 5);
  ASSERT_TRUE(engine_->append(one, third));
  recorder_ = {};
  ASSERT_TRUE(engine_->generate(one, {.tokens_max = 40, .listener = &recorder_}));
  std::vector<TokenId> all = first;
  all.insert(all.end(), second.begin() + 10, second.end());
  all.insert(all.end(), third.begin(), third.end());
  EXPECT_EQ(engine_->tokens(one), all);
  run();
  EXPECT_EQ(recorder_.tokens[one], script(*runner_, all, 40));
}

TEST_F(EngineTest, TrimmedSequencesForget) {
  for (const std::size_t window : {0U, 24U}) {
    open(500, {.window = window});
    const SequenceId id = *engine_->create({});
    const auto prompt = random_tokens(1, 150);
    ASSERT_TRUE(engine_->append(id, prompt));
    ASSERT_TRUE(engine_->generate(id, {.tokens_max = 10, .listener = &recorder_}));
    run();
    for (const std::size_t length : {155U, 149U, 64U, 33U, 16U}) {
      ASSERT_TRUE(engine_->trim(id, length));
      recorder_ = {};
      const std::vector<TokenId> rest = engine_->tokens(id);
      ASSERT_TRUE(engine_->generate(id, {.tokens_max = 3, .listener = &recorder_}));
      run();
      EXPECT_EQ(recorder_.tokens[id], script(*runner_, rest, 3)) << length;
    }
    recorder_ = {};
  }
}

TEST_F(EngineTest, GenerationsEndForEveryReason) {
  open(20);
  const auto prompt = random_tokens(1, 30);
  const auto tokens = script(*runner_, prompt, 20);
  const auto run_with = [&](GenerateOptions generate) {
    recorder_.tokens.clear();
    recorder_.endings.clear();
    generate.listener = &recorder_;
    EXPECT_TRUE(engine_->submit({.prompt = prompt, .generate = generate}));
    run();
    return recorder_.endings.begin()->second.reason;
  };
  EXPECT_EQ(run_with({.tokens_max = 5}), EndReason::length);
  EXPECT_EQ(run_with({.tokens_max = 20, .stop = {tokens[7]}}), EndReason::stop);
  const auto until = std::ranges::find(tokens, tokens[7]) - tokens.begin();
  EXPECT_EQ(recorder_.tokens.begin()->second, std::vector(tokens.begin(), tokens.begin() + until));
  recorder_.stop_after = 4;
  EXPECT_EQ(run_with({.tokens_max = 20}), EndReason::stop);
  recorder_.stop_after = 1000;
  EXPECT_EQ(run_with({.tokens_max = 200, .deadline = clock_.now() + 0.1}), EndReason::deadline);
  runner_->fails_on = prompt[3].value();
  EXPECT_EQ(run_with({.tokens_max = 20}), EndReason::failed);
  EXPECT_EQ(recorder_.endings.begin()->second.error->code, base::ErrorCode::invalid_data);
}

TEST_F(EngineTest, OneThatFailsLeavesTheOthersAlone) {
  open(100);
  auto bad = random_tokens(1, 30);
  for (TokenId& token : bad) token = TokenId(token.value() % 40);
  auto good = bad;
  bad[20] = TokenId(49);
  std::ranges::replace(good, TokenId(49), TokenId(1));
  runner_->fails_on = 49;
  const auto expected = script(*runner_, good, 10);
  const auto ids = std::vector{submit(bad, 10)[0], submit(good, 10)[0]};
  run();
  EXPECT_EQ(recorder_.endings[ids[0]].reason, EndReason::failed);
  const auto end = std::ranges::find(expected, TokenId(49));
  EXPECT_TRUE(std::equal(expected.begin(), end, recorder_.tokens[ids[1]].begin()));
}

TEST_F(EngineTest, AStepThatFailsLeavesNothingBehind) {
  open(100);
  const auto prompt = random_tokens(1, 64);
  const auto add = [&](SequenceId id, std::size_t first, std::size_t count) {
    ASSERT_TRUE(engine_->append(id, std::span(prompt).subspan(first, count)));
  };
  const SequenceId id = *engine_->create({});
  add(id, 0, 32);
  ASSERT_TRUE(engine_->generate(id, {.prompt_only = true}));
  run();
  const auto free = engine_->counters().pages_free;
  add(id, 32, 20);
  runner_->next_error = base::Error{base::ErrorCode::io, "asked for"};
  ASSERT_TRUE(engine_->generate(id, {.tokens_max = 10, .listener = &recorder_}));
  run();
  EXPECT_EQ(recorder_.endings[id].reason, EndReason::failed);
  EXPECT_EQ(recorder_.endings[id].error->code, base::ErrorCode::io);
  EXPECT_EQ(engine_->counters().pages_free, free);
  submit(prompt, 5);  // computes what the sequence needs next
  run();
  recorder_ = {};
  ASSERT_TRUE(engine_->generate(id, {.tokens_max = 10, .listener = &recorder_}));
  run();
  EXPECT_EQ(recorder_.tokens[id], script(*runner_, {prompt.begin(), prompt.begin() + 52}, 10));
}

TEST_F(EngineTest, WhatCannotWorkIsRefusedAtOnce) {
  open(10, {.context = 300});
  const auto code = [](const auto& result) { return result ? base::ErrorCode::internal : result.error().code; };
  const auto ask = [&](Request request) {
    request.generate.listener = &recorder_;
    return code(engine_->submit(request));
  };
  using enum base::ErrorCode;
  EXPECT_EQ(ask({.prompt = {}}), invalid_argument);
  EXPECT_EQ(ask({.prompt = random_tokens(1, 301)}), invalid_argument);
  EXPECT_EQ(ask({.prompt = {TokenId(50)}}), invalid_argument);
  EXPECT_EQ(ask({.prompt = {TokenId(-1)}}), invalid_argument);
  EXPECT_EQ(ask({.prompt = random_tokens(1, 170)}), out_of_resources);
  EXPECT_EQ(ask({.prompt = random_tokens(1, 20), .generate = {.tokens_max = 150}}), out_of_resources);
  EXPECT_EQ(ask({.prompt = {TokenId(1)}, .samples = 0}), invalid_argument);
  EXPECT_EQ(ask({.options = {.weight = 0}, .prompt = {TokenId(1)}}), invalid_argument);
  EXPECT_EQ(ask({.options = {.level = 99}, .prompt = {TokenId(1)}}), invalid_argument);
  EXPECT_EQ(ask({.prompt = {TokenId(1)}, .generate = {.sampler = {.temperature = -1}}}), invalid_argument);
  EXPECT_EQ(engine_->counters().sequences, 0U);
  EXPECT_EQ(code(engine_->append(SequenceId(99), {})), not_found);
  EXPECT_EQ(code(Engine::make(*runner_, {.kv_bytes = 100}, clock_)), out_of_resources);
}

TEST_F(EngineTest, CancelReachesForksAndFollowers) {
  open(300);
  const SequenceId root = *engine_->create({});
  ASSERT_TRUE(engine_->append(root, random_tokens(1, 100)));
  ASSERT_TRUE(engine_->generate(root, {.tokens_max = 1000, .listener = &recorder_}));
  for (int i = 0; i < 5; ++i) engine_->step();
  const SequenceId child = *engine_->fork(root);
  const SequenceId grandchild = *engine_->fork(child);
  ASSERT_TRUE(engine_->generate(grandchild, {.tokens_max = 1000, .listener = &recorder_}));
  const auto samples = submit(random_tokens(2, 400), 10, 3);
  engine_->step();
  engine_->cancel(samples[0]);  // the others take over its prompt
  engine_->cancel(root);
  EXPECT_EQ(recorder_.endings[root].reason, EndReason::cancelled);
  EXPECT_EQ(recorder_.endings[grandchild].reason, EndReason::cancelled);
  run();
  EXPECT_EQ(recorder_.endings[samples[0]].reason, EndReason::cancelled);
  EXPECT_EQ(recorder_.tokens[samples[1]], script(*runner_, random_tokens(2, 400), 10));
  EXPECT_EQ(recorder_.tokens[samples[2]].size(), 10U);
  EXPECT_EQ(engine_->counters().sequences, 3U);
}

TEST_F(EngineTest, ManyRequestsLeaveNothingBehind) {
  // 100,000 with PLAIT_LONG; the resident size may grow by what lists and caches have at first.
  const std::size_t requests = testing::setting("PLAIT_ENGINE_REQUESTS", testing::very_long_run() ? 100'000 : 4000);
  open(400);
  base::Bytes warm = 0;
  for (std::size_t i = 0; i < requests; ++i) {
    ASSERT_TRUE(engine_->submit({.options = {.client = std::to_string(i % 3000)},
                                 .prompt = random_tokens(i, 5 + i % 60),
                                 .generate = {.tokens_max = 1 + i % 12}}));
    if (i % 32 == 31) {
      while (engine_->step()) {
      }
      engine_->check_invariants();
      runner_->rows_of_step.clear();
    }
    if (i == requests / 4) warm = os::resident_bytes();
  }
  while (engine_->step()) {
  }
  EXPECT_EQ(engine_->counters().sequences, 0U);
  if (testing::kSanitized) GTEST_SKIP() << "all but the resident size held: sanitizers keep what is freed for a while";
  EXPECT_LE(os::resident_bytes(), warm + (4U << 20));
}

TEST_F(EngineTest, HalfFilledPagesAreFew) {
  // Chats of 100 to 1,500 tokens: the last page of each is half empty on average.
  open(20'000);
  std::size_t tokens = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const std::size_t length = 100 + base::random_u64(1, i) % 1400;
    const SequenceId id = *engine_->create({});
    ASSERT_TRUE(engine_->append(id, random_tokens(i + 10, length)));
    ASSERT_TRUE(engine_->generate(id, {.prompt_only = true}));
    tokens += length;
  }
  run();
  const EngineCounters counters = engine_->counters();
  const double pages = counters.pages - counters.pages_free;
  EXPECT_LE(pages * kPageTokens, 1.05 * static_cast<double>(tokens));
}

/// Allows only even tokens, and forces three tokens after every tenth.
class EvenGuide final : public Guide {
 public:
  base::Result<std::span<const std::uint64_t>> mask() override { return mask_; }
  std::span<const TokenId> accept(TokenId /*token*/) override {
    return ++count_ % 10 == 0 ? std::span<const TokenId>(forced_) : std::span<const TokenId>();
  }

 private:
  std::vector<std::uint64_t> mask_{0x5555555555555555ULL};
  std::vector<TokenId> forced_{TokenId(1), TokenId(3), TokenId(5)};
  int count_ = 0;
};

TEST_F(EngineTest, AGuideMasksAndForces) {
  open(100);
  EvenGuide guide;
  const auto prompt = random_tokens(1, 20);
  ASSERT_TRUE(
      engine_->submit({.prompt = prompt, .generate = {.tokens_max = 36, .guide = &guide, .listener = &recorder_}}));
  run();
  const auto& tokens = recorder_.tokens.begin()->second;
  ASSERT_EQ(tokens.size(), 36U);
  auto all = prompt;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i % 13 < 10) {
      auto logits = runner_->logits(all);
      for (std::size_t t = 1; t < logits.size(); t += 2) logits[t] = -1;
      EXPECT_EQ(tokens[i].value(), std::ranges::max_element(logits) - logits.begin()) << i;
    } else {
      EXPECT_EQ(tokens[i].value(), 2 * static_cast<int>(i % 13 - 10) + 1);
    }
    all.push_back(tokens[i]);
  }
  EXPECT_EQ(runner_->rows, 20U + 35);  // forced tokens go through the model once, as all others
}

TEST_F(EngineTest, ByArrivalWhoCameFirstIsServedFirst) {
  for (const Order order : {Order::fair, Order::arrival}) {
    open(40, {}, {.rows_max = 1, .order = order, .preempt_levels = true});
    std::vector<SequenceId> asked;
    for (const char* client : {"many", "many", "many", "few"}) {
      const int level = client[0] == 'f' ? 0 : 1;
      asked.push_back(engine_
                          ->submit({.options = {.client = client, .level = level},
                                    .prompt = random_tokens(asked.size(), 20),
                                    .generate = {.tokens_max = 5, .listener = &recorder_}})
                          ->front());
    }
    ASSERT_TRUE(engine_->set_level(asked.back(), 0));
    while (recorder_.endings.empty()) ASSERT_TRUE(engine_->step());
    EXPECT_EQ(recorder_.endings.begin()->first, order == Order::fair ? asked.back() : asked.front());
    run();
    EXPECT_EQ(recorder_.endings.size(), 4U);
    recorder_ = {};
  }
}

TEST_F(EngineTest, GroupPagesThatMakeNoSenseAreRefused) {
  open(4);
  for (const std::uint32_t pages : {0U, 1U << 17}) {
    const auto engine = Engine::make(*runner_, {.kv_bytes = 1 << 20, .group_pages = pages}, clock_);
    EXPECT_EQ(engine.error().code, base::ErrorCode::invalid_argument);
  }
}

TEST_F(EngineTest, RowsForNewcomersAreForThoseOfWhomNothingRuns) {
  open(100, {}, {.rows_max = 6, .rows_newcomers = 2});
  const auto ask = [&](const std::string& client, std::uint64_t seed) {
    return engine_->submit({.options = {.client = client},
                            .prompt = random_tokens(seed, 5),
                            .generate = {.tokens_max = 30, .listener = &recorder_}});
  };
  for (std::uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(ask("many", i));
  for (int i = 0; i < 3; ++i) engine_->step();
  EXPECT_EQ(engine_->counters().running, 4U);
  EXPECT_EQ(engine_->snapshot().rows_max, 4U);
  EXPECT_EQ(engine_->snapshot().rows_newcomers, 2U);
  const auto first = ask("one", 20);
  ASSERT_TRUE(ask("one", 21));  // its second one waits like the others
  const auto other = ask("other", 22);
  engine_->step();
  EXPECT_EQ(engine_->counters().running, 6U);
  EXPECT_EQ(recorder_.tokens[first->front()].size(), 1U);
  EXPECT_EQ(recorder_.tokens[other->front()].size(), 1U);
  run();
  EXPECT_EQ(recorder_.endings.size(), 13U);
  auto refused = Engine::make(*runner_, {.kv_bytes = 1 << 20, .rows_max = 2, .rows_newcomers = 2}, clock_);
  EXPECT_FALSE(refused);
}

}  // namespace
}  // namespace plait::engine
