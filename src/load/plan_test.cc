// SPDX-License-Identifier: Apache-2.0
#include "load/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "load/samples.h"

namespace plait::load {
namespace {

using text::Json;

Json body_of(Conversation& conversation) { return *text::parse_json(conversation.next_body()); }

TEST(Samples, PercentilesAreByNearestRank) {
  EXPECT_EQ(Samples().distribution().count, 0U);
  Samples one;
  one.add(3);
  EXPECT_EQ(one.distribution().p50, 3);
  EXPECT_EQ(one.distribution().p99, 3);
  Samples many;
  for (int i = 100; i > 0; --i) many.add(i);
  const Distribution hundred = many.distribution();
  EXPECT_EQ(hundred.p50, 50);
  EXPECT_EQ(hundred.p90, 90);
  EXPECT_EQ(hundred.p99, 99);
  EXPECT_EQ(hundred.max, 100);
  EXPECT_DOUBLE_EQ(hundred.mean, 50.5);
  many.add(101);
  EXPECT_EQ(many.distribution().p50, 51);
  EXPECT_EQ(many.distribution().p99, 100);
}

TEST(Plan, ArrivalsFollowFromTheSeedAndAreExponential) {
  Samples gaps;
  double below_mean = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const double gap = exponential(7, i, 0.25);
    EXPECT_EQ(gap, exponential(7, i, 0.25));
    EXPECT_GE(gap, 0);
    gaps.add(gap);
    below_mean += gap < 0.25 ? 1 : 0;
  }
  EXPECT_NE(exponential(7, 0, 0.25), exponential(8, 0, 0.25));
  const Distribution all = gaps.distribution();
  EXPECT_NEAR(all.mean, 0.25, 0.25 * 3 / std::sqrt(20'000));
  EXPECT_NEAR(below_mean / 20'000, 1 - std::exp(-1), 0.011);  // three standard deviations
  EXPECT_NEAR(all.p50, 0.25 * std::log(2), 0.01);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_GE(pause_seconds(7, i, 2), 1);
    EXPECT_LT(pause_seconds(7, i, 2), 3);
  }
}

TEST(Plan, KindsHaveNames) {
  for (std::size_t i = 0; i < kLoadKinds; ++i) {
    const auto kind = static_cast<LoadKind>(i);
    EXPECT_EQ(load_kind(name(kind)), kind);
    EXPECT_TRUE(check(usual_options(kind))) << name(kind);
  }
  EXPECT_FALSE(load_kind("nothing"));
}

TEST(Plan, BadOptionsAreRefused) {
  const auto refused = [](auto change) {
    LoadOptions options;
    change(options);
    const auto done = check(options);
    return !done && done.error().code == base::ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(refused([](LoadOptions& options) { options.prompt = 0; }));
  EXPECT_TRUE(refused([](LoadOptions& options) { options.users = 0; }));
  EXPECT_TRUE(refused([](LoadOptions& options) { options.output = 2'000'000; }));
  EXPECT_TRUE(refused([](LoadOptions& options) { options.rate = NAN; }));
  EXPECT_TRUE(refused([](LoadOptions& options) { options.rate = -1; }));
  EXPECT_TRUE(refused([](LoadOptions& options) { options.pause = -1; }));
  EXPECT_TRUE(refused([](LoadOptions& options) { options.turns = 2; }));
  EXPECT_TRUE(refused([](LoadOptions& options) { options.ids_below = 3; }));
}

TEST(Plan, PromptsShareWhatIsSharedAndNothingElse) {
  LoadOptions options = usual_options(LoadKind::shared);
  options.shared = 50;
  options.prompt = 20;
  const std::vector<Source> from = sources(options);
  std::set<std::string> seen;
  std::set<Json> beginnings;
  for (std::size_t number = 0; number < 20; ++number) {
    Conversation first(options, from[0], 0, number);
    const Json body = body_of(first);
    EXPECT_EQ(body["prompt"].size(), 70U);
    for (const Json& id : body["prompt"]) EXPECT_TRUE(id >= 1024 && id < 8192);
    EXPECT_TRUE(seen.insert(body["prompt"].dump()).second);
    beginnings.insert(Json(body["prompt"].begin(), body["prompt"].begin() + 50));
    Conversation again(options, from[0], 0, number);
    EXPECT_EQ(body_of(again), body);
    EXPECT_EQ(body["max_tokens"], 64);
    EXPECT_EQ(body["ignore_eos"], true);
    EXPECT_EQ(body["temperature"], 0);
    EXPECT_EQ(first.turns_left(), 0U);
  }
  EXPECT_EQ(beginnings.size(), 1U);
  options.seed = 2;
  Conversation other(options, from[0], 0, 0);
  EXPECT_TRUE(seen.insert(body_of(other)["prompt"].dump()).second);
}

TEST(Plan, SessionsGoOnFromTheirAnswers) {
  LoadOptions options = usual_options(LoadKind::sessions);
  options.prompt = 5;
  options.turns = 2;
  options.turn_prompt = 3;
  const std::vector<Source> from = sources(options);
  Conversation session(options, from[0], 0, 0);
  const Json first = body_of(session);
  EXPECT_EQ(session.turn(), 0U);
  EXPECT_EQ(session.turns_left(), 1U);
  session.answer("well");
  const Json second = body_of(session);
  EXPECT_EQ(session.turn(), 1U);
  ASSERT_EQ(second["messages"].size(), 3U);
  EXPECT_EQ(second["messages"][0], first["messages"][0]);
  EXPECT_EQ(second["messages"][1], (Json{{"role", "assistant"}, {"content", "well"}}));
  const auto added = second["messages"][2]["content"].get<std::string>();
  EXPECT_EQ(std::ranges::count(added, ' '), 2);
  options.chat = false;
  Conversation text(options, from[0], 0, 0);
  const auto begin = body_of(text)["prompt"].get<std::string>();
  text.answer(" then");
  EXPECT_TRUE(body_of(text)["prompt"].get<std::string>().starts_with(begin + " then\n"));
}

TEST(Plan, AFairnessLoadHasTwoClients) {
  const LoadOptions options = usual_options(LoadKind::fairness);
  const std::vector<Source> from = sources(options);
  ASSERT_EQ(from.size(), 2U);
  EXPECT_FALSE(from[0].tasks);
  EXPECT_EQ(from[0].users, 24U);
  EXPECT_EQ(from[1].tasks, 20U);
  Conversation heavy(options, from[0], 0, 0);
  Conversation light(options, from[1], 1, 0);
  const Json of_heavy = body_of(heavy);
  const Json of_light = body_of(light);
  EXPECT_EQ(of_heavy["user"], "heavy");
  EXPECT_EQ(of_light["user"], "light");
  EXPECT_EQ(of_heavy["prompt"].size(), 300U);
  EXPECT_EQ(of_light["prompt"].size(), 32U);
  EXPECT_EQ(of_heavy["max_tokens"], 160);
}

}  // namespace
}  // namespace plait::load
