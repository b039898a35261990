// SPDX-License-Identifier: Apache-2.0
#include "engine/cost.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace plait::engine {
namespace {

using Rounds = std::vector<RoundCounters>;

// SmolLM2 with 135 million parameters, Q4_1.
constexpr ModelShape kSmollm2{.layers = 30,
                              .width = 576,
                              .kv_heads = 3,
                              .head_dim = 64,
                              .bytes_per_element = 2,
                              .parameters = 134.5e6,
                              .weight_bytes = 98e6};

HardwareProfile machine(double intensity) { return {.flops_per_second = intensity * 1e9, .bytes_per_second = 1e9}; }

Cost total(const Rounds& rounds, const CostRates& rates, CostLength length = CostLength::mean) {
  Cost sum;
  for (const RoundCounters& round : rounds) sum += round_cost(round, rates, length);
  return sum;
}

bool near(double a, double b, double tolerance = 1e-9) {
  return std::abs(a - b) <= tolerance * std::max({1.0, std::abs(a), std::abs(b)});
}

bool near(const Cost& a, const Cost& b, double tolerance = 1e-9) {
  return near(a.pte, b.pte, tolerance) && near(a.pte_cache, b.pte_cache, tolerance) &&
         near(a.pte_w, b.pte_w, tolerance) && near(a.pte_latency, b.pte_latency, tolerance);
}

rc::Gen<RoundCounters> any_round() {
  return rc::gen::exec([] {
    RoundCounters round;
    round.start(*rc::gen::inRange<std::uint64_t>(0, 4000));
    round.add_prefill(*rc::gen::inRange<std::uint64_t>(0, 4000));
    const auto steps = *rc::gen::inRange(0, 50);
    for (int i = 0; i < steps; ++i) round.add_decode(*rc::gen::inRange<std::uint64_t>(1, 65));
    return round;
  });
}

rc::Gen<ModelShape> any_shape() {
  return rc::gen::exec([] {
    ModelShape shape;
    shape.layers = *rc::gen::inRange(1, 100);
    shape.kv_heads = *rc::gen::inRange(1, 17);
    shape.head_dim = 16.0 * *rc::gen::inRange(1, 17);
    shape.width = shape.kv_heads * shape.head_dim * *rc::gen::inRange(1, 9);  // query heads share a key head
    shape.parameters = 1e6 * *rc::gen::inRange(10, 100'000);
    shape.weight_bytes = shape.parameters * *rc::gen::inRange(1, 5) / 2;
    return shape;
  });
}

TEST(Cost, GoldenValues) {
  struct Golden {
    double intensity, gamma, gamma_cache, pte, nothing_cached, cached_900, weights, pte_w;
  };
  for (const Golden& golden : {Golden{15, 0.003854, 0.001285, 1848, 1283, 383, 5.46, 2376},
                               Golden{250, 0.06424, 0.02141, 15132, 5711, 4811, 91.1, 23926}}) {
    const CostRates rates = cost_rates(kSmollm2, machine(golden.intensity));
    EXPECT_NEAR(rates.gamma, golden.gamma, 5e-4 * golden.gamma);
    EXPECT_NEAR(rates.gamma_cache, golden.gamma_cache, 5e-4 * golden.gamma_cache);
    EXPECT_NEAR(rates.weights, golden.weights, 1e-3 * golden.weights);
    RoundCounters round{.context = 1000, .cached = 0, .prefilled = 1000, .decoded = 200, .weight_reads = 200};
    EXPECT_NEAR(round_cost(round, rates).pte, golden.pte, 0.6);
    EXPECT_NEAR(round_cost(round, rates).pte_cache, golden.nothing_cached, 0.6);
    EXPECT_NEAR(round_cost(round, rates).pte_w, golden.pte_w, 1);
    round.cached = 900;
    round.prefilled = 100;
    EXPECT_NEAR(round_cost(round, rates).pte, golden.pte, 0.6);
    EXPECT_NEAR(round_cost(round, rates).pte_cache, golden.cached_900, 0.6);
  }
}

TEST(Cost, KeysAndValuesCatchUpWithTheWeightsWhereTheyShould) {
  // A decode step of one row reads as many bytes of keys and values as of weights at some 4,250 tokens of context.
  const CostRates rates = cost_rates(kSmollm2, machine(15));
  EXPECT_NEAR(rates.weights / rates.gamma_cache, 4250, 10);
}

TEST(Cost, LengthOfARound) {
  const CostRates rates{.gamma = 1, .gamma_cache = 1, .weights = 0};
  const RoundCounters round{.context = 10, .cached = 10, .decoded = 4};
  EXPECT_DOUBLE_EQ(round_cost(round, rates, CostLength::start).pte_cache, 4 * 10);
  EXPECT_DOUBLE_EQ(round_cost(round, rates, CostLength::mean).pte_cache, 4 * 12);
  EXPECT_DOUBLE_EQ(round_cost(round, rates, CostLength::end).pte_cache, 4 * 14);
}

TEST(Cost, AdditiveOverRoundsInAnyOrder) {
  EXPECT_TRUE(rc::check([] {
    const CostRates rates = cost_rates(*any_shape(), machine(*rc::gen::inRange(1, 400)));
    Rounds rounds = *rc::gen::container<Rounds>(any_round());
    const auto cut = *rc::gen::inRange<std::size_t>(0, rounds.size() + 1);
    const auto at = rounds.begin() + static_cast<std::ptrdiff_t>(cut);
    const Cost whole = total(rounds, rates);
    RC_ASSERT(near(whole, total({rounds.begin(), at}, rates) + total({at, rounds.end()}, rates)));
    std::ranges::reverse(rounds);
    RC_ASSERT(near(whole, total(rounds, rates)));
  }));
}

TEST(Cost, TheCacheOnlySaves) {
  EXPECT_TRUE(rc::check([] {
    const ModelShape shape = *any_shape();
    CostRates rates = cost_rates(shape, machine(*rc::gen::inRange(1, 400)));
    rates.gamma = rates.gamma_cache;  // the published sum with the real size of keys and values
    const Rounds rounds = *rc::gen::container<Rounds>(any_round());
    const Cost cost = total(rounds, rates);
    RC_ASSERT(cost.pte_cache <= cost.pte * (1 + 1e-12));
    RC_ASSERT(cost.pte_w >= cost.pte_cache);
  }));
}

TEST(Cost, ThePublishedGammaIsTheCaseOfAsManyKeyHeads) {
  EXPECT_TRUE(rc::check([] {
    ModelShape shape = *any_shape();
    const HardwareProfile profile = machine(*rc::gen::inRange(1, 400));
    RC_ASSERT(cost_rates(shape, profile).gamma >= cost_rates(shape, profile).gamma_cache * (1 - 1e-12));
    shape.kv_heads = shape.width / shape.head_dim;
    RC_ASSERT(near(cost_rates(shape, profile).gamma, cost_rates(shape, profile).gamma_cache));
  }));
}

TEST(Cost, OneRoundWithNothingCachedHasEqualPromptTerms) {
  EXPECT_TRUE(rc::check([] {
    RoundCounters round = *any_round();
    round.cached = 0;
    round.prefilled = round.context;
    const Cost cost = round_cost(round, {});  // only the prompt terms are left
    RC_ASSERT(cost.pte == cost.pte_cache);
    RC_ASSERT(cost.pte == cost.pte_w);
  }));
}

TEST(Cost, APauseCostsExactlyTheContextThatIsPrefilledAgain) {
  EXPECT_TRUE(rc::check([] {
    const CostRates rates = cost_rates(*any_shape(), machine(*rc::gen::inRange(1, 400)));
    RoundCounters whole;
    whole.start(0);
    whole.add_prefill(*rc::gen::inRange<std::uint64_t>(0, 4000));
    RoundCounters before = whole;
    const auto first = *rc::gen::inRange<std::uint64_t>(0, 300);
    const auto second = *rc::gen::inRange<std::uint64_t>(0, 300);
    for (std::uint64_t i = 0; i < first; ++i) before.add_decode(3);
    for (std::uint64_t i = 0; i < first + second; ++i) whole.add_decode(3);
    const auto again = static_cast<std::uint64_t>(before.context + before.decoded);
    const bool evicted = *rc::gen::arbitrary<bool>();
    RoundCounters after;
    after.start(evicted ? 0 : again);
    after.add_prefill(evicted ? again : 0);
    for (std::uint64_t i = 0; i < second; ++i) after.add_decode(3);
    const Cost raise = total({before, after}, rates);
    const Cost once = round_cost(whole, rates);
    // The published form takes the eviction for granted, the others only pay for one that happened.
    RC_ASSERT(near(raise.pte, once.pte + static_cast<double>(again)));
    const double paid = evicted ? static_cast<double>(again) : 0;
    RC_ASSERT(near(raise.pte_cache, once.pte_cache + paid));
    RC_ASSERT(near(raise.pte_w, once.pte_w + paid));
  }));
}

TEST(Cost, LinearInTheIntensityButForThePrompt) {
  EXPECT_TRUE(rc::check([] {
    const ModelShape shape = *any_shape();
    const double intensity = *rc::gen::inRange(1, 400);
    const RoundCounters round = *any_round();
    const auto length = *rc::gen::element(CostLength::start, CostLength::mean, CostLength::end);
    const Cost prompt = round_cost(round, {}, length);
    const Cost once = round_cost(round, cost_rates(shape, machine(intensity)), length);
    const Cost thrice = round_cost(round, cost_rates(shape, machine(3 * intensity)), length);
    RC_ASSERT(near(thrice.pte - prompt.pte, 3 * (once.pte - prompt.pte)));
    RC_ASSERT(near(thrice.pte_cache - prompt.pte_cache, 3 * (once.pte_cache - prompt.pte_cache)));
    RC_ASSERT(near(thrice.pte_w - prompt.pte_w, 3 * (once.pte_w - prompt.pte_w)));
  }));
}

TEST(Cost, TheChargesOfTheStepsAddUpToTheRound) {
  EXPECT_TRUE(rc::check([] {
    const CostRates rates = cost_rates(*any_shape(), machine(*rc::gen::inRange(1, 400)));
    const auto found = *rc::gen::inRange<std::uint64_t>(0, 2000);
    RoundCounters round;
    round.start(found);
    double charged = 0;
    double tokens = 0;
    std::uint64_t context = found;
    StepWork work;
    for (int piece = *rc::gen::inRange(0, 4); piece > 0; --piece) {
      const StepShare share{.prefilled = *rc::gen::inRange<std::uint64_t>(1, 600)};
      round.add_prefill(share.prefilled);
      context += share.prefilled;
      work += step_work(share);
      charged += step_charge(share, rates);
      tokens += step_charge(share, rates, ChargeUnit::tokens);
    }
    for (int step = *rc::gen::inRange(0, 100); step > 0; --step) {
      const StepShare share{.decoded = 1, .context = context++, .rows = *rc::gen::inRange<std::uint64_t>(1, 65)};
      round.add_decode(share.rows);
      work += step_work(share);
      work.weight_reads += 1 / static_cast<double>(share.rows);
      charged += step_charge(share, rates);
      tokens += step_charge(share, rates, ChargeUnit::tokens);
    }
    RC_ASSERT(near(charged, round_cost(round, rates).pte_w));
    round.meanwhile = work;  // as if nobody else had been there
    RC_ASSERT(near(round_cost(round, rates).pte_latency, charged));
    RC_ASSERT(tokens == round.computed());
  }));
}

TEST(Cost, AWideStepReadsOnceAndComputesTheRest) {
  const CostRates rates = cost_rates(kSmollm2, machine(15));
  const double narrow = step_charge({.decoded = 1, .context = 500, .rows = 4}, rates);
  EXPECT_DOUBLE_EQ(step_charge({.decoded = 6, .context = 500, .rows = 4}, rates), narrow + 5);
  RoundCounters round;
  round.start(500);
  round.add_decode(4, 6);
  EXPECT_NEAR(round_cost(round, rates).pte_w, narrow + 5, 1e-9);
  EXPECT_EQ(round.computed(), 6);
}

TEST(Cost, WhatARowWaitsForIsTheWorkOfAll) {
  const CostRates rates = cost_rates(kSmollm2, machine(15));
  StepWork before;
  before += step_work({.prefilled = 70});
  StepWork step = step_work({.decoded = 1, .context = 500, .rows = 3});
  step += step_work({.decoded = 4, .context = 100, .rows = 3});
  step += step_work({.prefilled = 32, .rows = 3});
  step.weight_reads += 1;
  StepWork after = before;
  after += step;
  RoundCounters round;
  round.meanwhile = after - before;
  EXPECT_NEAR(round_cost(round, rates).pte_latency, 32 + 3 + rates.weights + 601 * rates.gamma_cache, 1e-9);
  EXPECT_EQ(round_cost(round, rates).pte_w, 0);
}

TEST(Cost, RecomputedTokensAreNotTheRowsOwn) {
  RoundCounters round;
  round.start(100);
  round.add_prefill(50);
  const Cost before = round_cost(round, {});
  round.add_prefill(150, true);
  EXPECT_TRUE(near(round_cost(round, {}), before));
  EXPECT_EQ(round.computed(), 200);
}

TEST(Cost, ProfilesAreFoundByName) {
  ASSERT_NE(find_profile("cpu-fp32"), nullptr);
  EXPECT_DOUBLE_EQ(find_profile("cpu-fp32")->intensity(), 15);
  EXPECT_DOUBLE_EQ(find_profile("cpu-amx")->intensity(), 250);
  EXPECT_NEAR(find_profile("h100")->intensity(), 295, 0.5);
  EXPECT_EQ(find_profile("abacus"), nullptr);
  for (const HardwareProfile& profile : named_profiles()) EXPECT_EQ(find_profile(profile.name), &profile);
}

}  // namespace
}  // namespace plait::engine
