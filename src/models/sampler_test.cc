// SPDX-License-Identifier: Apache-2.0
#include "models/sampler.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "base/random.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::TokenId;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_logits(std::size_t n, std::uint64_t seed, double spread) {
  std::vector<float> logits(n);
  for (std::size_t i = 0; i < n; ++i) logits[i] = static_cast<float>((base::random_unit(seed, i) - 0.5) * spread);
  return logits;
}

TokenId pick(SamplerOptions options, const std::vector<float>& logits, SampleContext context = {}) {
  auto sampler = Sampler::make(std::move(options));
  return sampler.value().sample(logits, context).value().token;
}

// Everything a sampler ever draws over `draws` positions.
std::set<int> support(SamplerOptions options, const std::vector<float>& logits, std::size_t draws) {
  auto sampler = Sampler::make(std::move(options));
  std::vector<TokenId> history;
  std::set<int> seen;
  for (std::size_t i = 0; i < draws; ++i) {
    const TokenId token = sampler.value().sample(logits, {history, 0}).value().token;
    seen.insert(token.value());
    history.push_back(TokenId{0});
  }
  return seen;
}

// The cuts, written down naively with full sorts, in double.
std::set<int> kept_by_reference(const SamplerOptions& options, const std::vector<float>& logits) {
  struct Item {
    int id;
    double x, w;
  };
  std::vector<Item> items;
  const double high = *std::ranges::max_element(logits);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double x = (static_cast<double>(logits[i]) - high) / options.temperature;
    items.push_back({static_cast<int>(i), x, std::exp(x)});
  }
  const auto likely = [](const Item& a, const Item& b) { return a.x != b.x ? a.x > b.x : a.id < b.id; };
  const auto total = [&] {
    return std::accumulate(items.begin(), items.end(), 0.0, [](double s, const Item& item) { return s + item.w; });
  };
  const auto cut = [&](double mass) {
    double sum = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if ((sum += items[i].w) >= mass) return items.resize(i + 1);
    }
  };
  std::ranges::sort(items, likely);
  if (options.top_k > 0) items.resize(std::min(items.size(), static_cast<std::size_t>(options.top_k)));
  if (options.typical_p < 1) {
    const double z = total();
    double entropy = 0;
    for (const Item& item : items) entropy -= item.w / z * std::log(item.w / z);
    std::ranges::stable_sort(items, {}, [&](const Item& item) { return std::abs(-std::log(item.w / z) - entropy); });
    cut(options.typical_p * z);
    std::ranges::sort(items, likely);
  }
  if (options.top_p < 1) cut(options.top_p * total());
  std::set<int> kept;
  for (const Item& item : items) {
    if (item.w >= options.min_p * items.front().w) kept.insert(item.id);
  }
  return kept;
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowestIdOfEquals) {
  EXPECT_EQ(pick({}, {1, 3, 3, 2}), TokenId{1});
  EXPECT_EQ(pick({}, {-kInf, -5, -kInf}), TokenId{1});
  EXPECT_EQ(pick({.temperature = 1, .top_k = 1}, {1, 3, 3, 2}), TokenId{1});
}

TEST(Sampler, DrawsFollowTheProbabilities) {
  const std::vector<float> logits = {0, std::log(2.0F), std::log(5.0F), -kInf};
  auto sampler = Sampler::make({.temperature = 1, .seed = 7});
  std::vector<TokenId> history;
  std::vector<int> counts(4);
  constexpr int kDraws = 8000;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[static_cast<std::size_t>(sampler->sample(logits, {history, 0})->token.value())];
    history.push_back(TokenId{0});
  }
  // Five standard deviations of a binomial count.
  for (const auto& [index, p] : {std::pair{0, 0.125}, std::pair{1, 0.25}, std::pair{2, 0.625}}) {
    EXPECT_NEAR(counts[static_cast<std::size_t>(index)], kDraws * p, 5 * std::sqrt(kDraws * p * (1 - p)));
  }
  EXPECT_EQ(counts[3], 0);
}

TEST(Sampler, ADrawDependsOnSeedAndPositionOnly) {
  const std::vector<float> logits = random_logits(1000, 3, 4);
  const std::vector<TokenId> a(5, TokenId{1});
  const std::vector<TokenId> b(9, TokenId{2});
  const SamplerOptions options = {.temperature = 1, .seed = 11};
  EXPECT_EQ(pick(options, logits, {a, 2}), pick(options, logits, {b, 6}));
  int same = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    same += pick({.temperature = 1, .seed = seed}, logits) == pick(options, logits) ? 1 : 0;
  }
  EXPECT_LT(same, 10);
}

TEST(Sampler, CutsEqualTheReference) {
  EXPECT_TRUE(rc::check([] {
    SamplerOptions options;
    options.temperature = *rc::gen::element(0.5, 1.0, 1.7);
    options.top_k = *rc::gen::element(0, 1, 3, 20);
    options.top_p = *rc::gen::element(1.0, 0.9, 0.4);
    options.min_p = *rc::gen::element(0.0, 0.05, 0.5);
    options.typical_p = *rc::gen::element(1.0, 0.95, 0.5);
    const auto logits = random_logits(*rc::gen::inRange<std::size_t>(1, 30), *rc::gen::arbitrary<std::uint64_t>(), 5);
    const std::set<int> kept = kept_by_reference(options, logits);
    const std::set<int> drawn = support(options, logits, 600);
    RC_ASSERT(std::ranges::includes(kept, drawn));
    if (kept.size() <= 4) RC_ASSERT(drawn == kept || options.min_p < 0.5);
  }));
}

TEST(Sampler, LargeVocabularyWithFlatAndPeakedLogits) {
  for (const double spread : {0.001, 60.0}) {
    const auto logits = random_logits(262'144, 5, spread);
    for (const SamplerOptions& options :
         {SamplerOptions{.temperature = 0.8, .top_p = 0.95}, SamplerOptions{.temperature = 1, .typical_p = 0.9},
          SamplerOptions{.temperature = 1, .top_k = 50, .top_p = 0.9, .min_p = 0.01}}) {
      const TokenId token = pick(options, logits);
      EXPECT_TRUE(kept_by_reference(options, logits).contains(token.value()));
    }
  }
}

TEST(Sampler, RepetitionPenaltySeesPromptAndWindow) {
  const std::vector<TokenId> tokens = {TokenId{0}, TokenId{1}, TokenId{1}};
  const std::vector<float> logits = {2.0F, 1.9F, 1.5F};
  EXPECT_EQ(pick({.repetition_penalty = 1.2}, logits, {tokens, 3}), TokenId{0});  // 1.67, 1.58, 1.5
  EXPECT_EQ(pick({.repetition_penalty = 1.5}, logits, {tokens, 3}), TokenId{2});  // 1.33, 1.27, 1.5
  EXPECT_EQ(pick({.repetition_penalty = 1.5, .penalty_window = 2}, logits, {tokens, 3}), TokenId{0});
  EXPECT_EQ(pick({.repetition_penalty = 2}, {-1.0F, -1.5F, -1.6F}, {tokens, 0}), TokenId{2});
}

TEST(Sampler, PresenceAndFrequencyCountGeneratedTokensOnly) {
  const std::vector<TokenId> tokens = {TokenId{0}, TokenId{1}, TokenId{1}, TokenId{2}};
  const std::vector<float> logits = {3.0F, 2.9F, 2.8F};
  EXPECT_EQ(pick({.presence_penalty = 0.5}, logits, {tokens, 4}), TokenId{0});
  EXPECT_EQ(pick({.presence_penalty = 0.5}, logits, {tokens, 0}), TokenId{0});
  EXPECT_EQ(pick({.presence_penalty = 0.15}, {2.8F, 2.9F, 2.8F}, {tokens, 1}), TokenId{0});
  EXPECT_EQ(pick({.frequency_penalty = 0.08}, {2.7F, 2.9F, 2.85F}, {tokens, 1}), TokenId{2});  // 2.7, 2.74, 2.77
  EXPECT_EQ(pick({.frequency_penalty = 0.08, .penalty_window = 1}, {2.7F, 2.9F, 2.85F}, {tokens, 1}), TokenId{1});
}

TEST(Sampler, LogitBias) {
  EXPECT_EQ(pick({.logit_bias = {{TokenId{2}, 5}}}, {1, 2, 0}), TokenId{2});
  EXPECT_EQ(pick({.logit_bias = {{TokenId{1}, -kInf}}}, {1, 2, 0}), TokenId{0});
  auto sampler = Sampler::make({.logit_bias = {{TokenId{3}, 1}}});
  EXPECT_EQ(sampler->sample(std::vector<float>{1, 2, 0}).error().code, ErrorCode::invalid_argument);
}

TEST(Sampler, LogprobsComeFromTheRawDistribution) {
  const std::vector<float> logits = {std::log(1.0F), std::log(2.0F), std::log(5.0F), std::log(2.0F)};
  auto sampler = Sampler::make({.logit_bias = {{TokenId{2}, -kInf}}, .top_logprobs = 3});
  const Sample sample = sampler->sample(logits).value();
  EXPECT_EQ(sample.token, TokenId{1});
  EXPECT_NEAR(sample.logprobs->chosen, std::log(0.2), 1e-6);
  ASSERT_EQ(sample.logprobs->top.size(), 3U);
  EXPECT_EQ(sample.logprobs->top[0].token, TokenId{2});
  EXPECT_EQ(sample.logprobs->top[1].token, TokenId{1});
  EXPECT_EQ(sample.logprobs->top[2].token, TokenId{3});
  EXPECT_EQ(sample.logprobs->top[1].logprob, sample.logprobs->chosen);
  EXPECT_NEAR(sample.logprobs->top[0].logprob, std::log(0.5), 1e-6);
}

TEST(Sampler, DamagedLogitsAreAnError) {
  for (const double temperature : {0.0, 1.0}) {
    auto sampler = Sampler::make({.temperature = temperature, .top_p = 0.9});
    for (const std::vector<float>& logits :
         {std::vector<float>{1, kNan, 2}, {kNan}, {1, kInf}, {-kInf, -kInf}, std::vector<float>{}}) {
      const auto sample = sampler->sample(logits);
      ASSERT_FALSE(sample.has_value());
      EXPECT_EQ(sample.error().code, ErrorCode::invalid_data);
    }
  }
}

TEST(Sampler, BadOptionsAreNamed) {
  const double nan = std::nan("");
  const std::vector<std::pair<std::string, SamplerOptions>> cases = {
      {"temperature", {.temperature = nan}},
      {"temperature", {.temperature = -0.1}},
      {"temperature", {.temperature = 1e9}},
      {"top_k", {.top_k = -1}},
      {"top_p", {.top_p = 0}},
      {"top_p", {.top_p = 1.01}},
      {"top_p", {.top_p = nan}},
      {"min_p", {.min_p = -1}},
      {"typical_p", {.typical_p = 0}},
      {"repetition_penalty", {.repetition_penalty = 0}},
      {"repetition_penalty", {.repetition_penalty = nan}},
      {"presence_penalty", {.presence_penalty = 1e300}},
      {"frequency_penalty", {.frequency_penalty = -kInf}},
      {"penalty_window", {.penalty_window = -5}},
      {"top_logprobs", {.top_logprobs = -1}},
      {"top_logprobs", {.top_logprobs = 1'000'000}},
      {"logit_bias", {.logit_bias = {{TokenId{-1}, 0}}}},
      {"logit_bias", {.logit_bias = {{TokenId{1}, nan}}}},
      {"logit_bias", {.logit_bias = {{TokenId{1}, kInf}}}},
  };
  for (const auto& [field, options] : cases) {
    const auto sampler = Sampler::make(options);
    ASSERT_FALSE(sampler.has_value()) << field;
    EXPECT_EQ(sampler.error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(sampler.error().message.starts_with(field)) << sampler.error().message;
  }
}

}  // namespace
}  // namespace plait::models
