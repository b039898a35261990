// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/fastswitch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <numeric>
#include <set>

#include "evaluation/experiments/fastswitch_measure.h"
#include "evaluation/experiments/fastswitch_tier.h"
#include "testing/fake_tier.h"
#include "testing/scripted_runner.h"
#include "testing/temp_dir.h"
#include "testing/tiny_model.h"

namespace plait::evaluation {
namespace {

using testing::FakeTier;
using testing::ScriptedRunner;
using testing::VirtualClock;

// ------------------------------------------------------------------------------------------------------- the trace

TEST(ChatTrace, HasTheShapeThatItPromises) {
  const ChatTraceOptions options{.chats = 2000, .prompt_mean = 25, .answer_mean = 50, .pause_mean = 2, .seed = 3};
  const std::vector<Chat> chats = chat_trace(options);
  ASSERT_EQ(chats.size(), 2000U);
  double turns = 0;
  double prompt = 0;
  double answer = 0;
  double pause = 0;
  for (std::size_t i = 0; i < chats.size(); ++i) {
    if (i > 0) {
      ASSERT_GE(chats[i].arrival, chats[i - 1].arrival);
    }
    ASSERT_TRUE(!chats[i].turns.empty() && chats[i].turns.size() <= 10);
    turns += static_cast<double>(chats[i].turns.size());
    for (const ChatTurn& turn : chats[i].turns) {
      ASSERT_TRUE(turn.prompt >= 1 && turn.prompt <= 150 && turn.answer >= 1 && turn.answer <= 300);
      prompt += static_cast<double>(turn.prompt);
      answer += static_cast<double>(turn.answer);
      pause += turn.pause;
    }
  }
  EXPECT_EQ(turns / 2000, 5.5);
  EXPECT_NEAR(chats.back().arrival / 2000, 1, 0.1);
  EXPECT_NEAR(prompt / turns, 25, 2);
  EXPECT_NEAR(answer / turns, 50, 3);
  EXPECT_NEAR(pause / (turns - 2000), 2, 0.15);  // none before the first turn
}

TEST(ChatTrace, TheSeedSaysAll) {
  const auto same = [](const std::vector<Chat>& a, const std::vector<Chat>& b) {
    return std::ranges::equal(a, b, [](const Chat& x, const Chat& y) {
      return x.arrival == y.arrival && x.tokens() == y.tokens() && x.turns.size() == y.turns.size();
    });
  };
  EXPECT_TRUE(same(chat_trace({.seed = 5}), chat_trace({.seed = 5})));
  EXPECT_FALSE(same(chat_trace({.seed = 5}), chat_trace({.seed = 6})));
}

TEST(PriorityTrace, HalfAreFavouredAndOnlyMarkovRemembers) {
  constexpr std::size_t kPeriods = 20'000;
  for (const PriorityPattern pattern : {PriorityPattern::random, PriorityPattern::markov}) {
    PriorityTrace trace(pattern, 7);
    PriorityTrace again(pattern, 7);
    std::vector<double> favoured;
    for (std::size_t i = 0; i < kPeriods; ++i) {
      favoured.push_back(trace.next() ? 1 : 0);
      ASSERT_EQ(again.next(), favoured.back() == 1);
    }
    const double share = std::accumulate(favoured.begin(), favoured.end(), 0.0) / kPeriods;
    double covariance = 0;
    double variance = 0;
    for (std::size_t i = 0; i < kPeriods; ++i) {
      variance += (favoured[i] - share) * (favoured[i] - share);
      if (i > 0) covariance += (favoured[i] - share) * (favoured[i - 1] - share);
    }
    EXPECT_NEAR(share, 0.5, 0.05);
    EXPECT_NEAR(covariance / variance, pattern == PriorityPattern::markov ? 0.8 : 0, 0.05);
  }
}

// -------------------------------------------------------------------------------------------------------- the tier

TEST(PiecewiseTier, MovesTheSameBytesInPieces) {
  constexpr base::Bytes kBlock = 16;
  constexpr std::uint32_t kPageBlocks = 9;
  constexpr base::Bytes kPage = kPageBlocks * kBlock;
  for (const std::uint32_t pieces : {1U, 4U, 6U, 9U}) {
    PiecewiseTier tier(std::make_unique<FakeTier>(10 * kPageBlocks, kBlock), kPage, pieces);
    ASSERT_EQ(tier.slots(), 10U);
    std::vector<std::byte> written(3 * kPage);
    for (std::size_t i = 0; i < written.size(); ++i) written[i] = static_cast<std::byte>(i * 7 + pieces);
    std::vector<PiecewiseTier::Completion> done;
    const auto finish = [&](std::size_t count) {
      done.clear();
      while (tier.in_flight() > 0) tier.wait(done, std::chrono::seconds(1));
      ASSERT_EQ(done.size(), count);
      for (const auto& one : done) EXPECT_TRUE(one.result);
    };
    tier.write(std::span(written).first(2 * kPage), 4, 11);
    tier.write(std::span(written).subspan(2 * kPage), 1, 12);
    EXPECT_EQ(tier.in_flight(), 2U);
    finish(2);
    EXPECT_EQ(tier.operations(), 3 * pieces);
    std::vector<std::byte> read(3 * kPage);
    tier.read(std::span(read).first(2 * kPage), 4, 13);
    tier.read(std::span(read).subspan(2 * kPage), 1, 14);
    finish(2);
    EXPECT_EQ(read, written);
    EXPECT_EQ(tier.operations(), 6 * pieces);
  }
}

TEST(PiecewiseTier, OneFailedPieceFailsTheWhole) {
  auto blocks = std::make_unique<FakeTier>(40, 16, testing::FakeTierOptions{.seed = 1, .write_error_rate = 0.3});
  PiecewiseTier tier(std::move(blocks), 64, 4);
  std::vector<std::byte> bytes(64);
  int failed = 0;
  for (std::uint64_t i = 0; i < 50; ++i) {
    std::vector<PiecewiseTier::Completion> done;
    tier.write(bytes, static_cast<std::uint32_t>(i % 10), i);
    while (tier.in_flight() > 0) tier.wait(done, std::chrono::seconds(1));
    ASSERT_EQ(done.size(), 1U);
    EXPECT_EQ(done[0].token, i);
    failed += done[0].result ? 0 : 1;
  }
  EXPECT_GT(failed, 20);  // 1 - 0.7^4 of them
  EXPECT_LT(failed, 50);
}

// ------------------------------------------------------------------------------------------------------ the replay

class ChatReplay : public ::testing::Test {
 protected:
  [[nodiscard]] ChatReplayOptions options(std::size_t pages) {
    ChatReplayOptions options{.rate = 2, .period_steps = 6, .sleep_until = [this](double seconds) {
                                clock_.advance(seconds - clock_.now());
                              }};
    options.engine = {.kv_bytes = pages * runner_.layout().page_bytes(0), .share_prefixes = false};
    options.engine.fairness.ageing = 0;
    return options;
  }
  ChatRun replay(const ChatReplayOptions& options) {
    auto run = replay_chats(runner_, chats_, options, clock_);
    EXPECT_TRUE(run) << run.error().chain();
    return run ? *std::move(run) : ChatRun();
  }

  std::vector<Chat> chats_ = chat_trace({.chats = 20, .prompt_mean = 20, .answer_mean = 15, .seed = 2});
  VirtualClock clock_;
  ScriptedRunner runner_{{}, clock_};
};

TEST_F(ChatReplay, EveryTokenIsTimedAndComputedOnce) {
  const ChatRun run = replay(options(4000));
  std::size_t turns = 0;
  std::size_t answers = 0;
  std::size_t tokens = 0;
  for (const Chat& chat : chats_) {
    turns += chat.turns.size();
    tokens += chat.tokens();
    for (const ChatTurn& turn : chat.turns) answers += turn.answer;
  }
  EXPECT_EQ(run.first_tokens.size(), turns);
  EXPECT_EQ(run.gaps.size(), answers - turns);
  EXPECT_EQ(run.choices.size(), answers);
  EXPECT_EQ(run.tokens, static_cast<double>(tokens));
  EXPECT_EQ(run.counters.prompt_rows + run.counters.decode_rows, tokens - chats_.size());  // the last one is not fed
  EXPECT_EQ(run.counters.preemptions, 0U);
  EXPECT_EQ(run.pages_leaked, 0U);
  EXPECT_GE(std::ranges::min(run.first_tokens), 0.01);  // a step
  EXPECT_GT(run.live_tokens, 0);
}

TEST_F(ChatReplay, PreemptionChangesNothingButTheTime) {
  const ChatRun calm = replay(options(4000));
  for (const bool swaps : {false, true}) {
    for (const PriorityPattern pattern : {PriorityPattern::random, PriorityPattern::markov}) {
      FakeTier tier(3000, runner_.layout().page_bytes(0));
      ChatReplayOptions tight = options(50);
      tight.priorities = pattern;
      tight.engine.preempt_levels = true;
      tight.engine.swap = {.tiers = {swaps ? &tier : nullptr}, .choice = engine::SwapChoice::swap};
      const ChatRun run = replay(tight);
      EXPECT_GT(run.counters.preemptions, 0U);
      EXPECT_EQ(run.counters.swap.swap_outs > 0, swaps);
      EXPECT_EQ(choices_apart(run.choices, calm.choices), 0U);
      EXPECT_EQ(run.pages_leaked, 0U);
      EXPECT_EQ(tier.conflicts(), 0);
      EXPECT_GT(run.seconds, calm.seconds);
      EXPECT_EQ(run.first_tokens.size(), calm.first_tokens.size());
      EXPECT_EQ(run.gaps.size(), calm.gaps.size());
    }
  }
}

TEST_F(ChatReplay, ADifferentTextIsSeen) {
  ChatReplayOptions other = options(4000);
  other.seed = 9;
  const ChatRun run = replay(options(4000));
  EXPECT_EQ(choices_apart(run.choices, replay(other).choices), 2 * run.choices.size());
}

TEST_F(ChatReplay, AChatBeyondTheMemoryIsAnError) {
  const auto run = replay_chats(runner_, chats_, options(3), clock_);
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, base::ErrorCode::out_of_resources);
}

// -------------------------------------------------------------------------------------------------- the experiment

TEST(FastSwitch, WithoutAModelItSaysSo) {
  const auto report = fastswitch_experiment().run({.quick = true});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, base::ErrorCode::invalid_argument);
}

TEST(FastSwitch, AQuickRunHoldsWhatDoesNotDependOnSpeed) {
  const testing::TempDir dir;
  const auto bytes = testing::make_tiny_model({});
  std::ofstream(dir / "tiny.gguf", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const auto report = fastswitch_experiment().run({.quick = true, .model = dir / "tiny.gguf"});
  ASSERT_TRUE(report) << report.error().chain();
  std::size_t exact = 0;
  for (const Gate& gate : report->gates) {
    if (!gate.exact) continue;
    ++exact;
    EXPECT_TRUE(gate.holds()) << gate.what << ": " << gate.value;
  }
  EXPECT_EQ(exact, 3U);
  EXPECT_EQ(report->json["ways"].size(), 2 * kSwapWays.size() + kGroupWays.size());
  for (const SwapWay& way : kSwapWays) EXPECT_NE(report->text.find(way.about), std::string::npos);
  EXPECT_EQ(report->chart.panels.size(), 4U);
}

}  // namespace
}  // namespace plait::evaluation
