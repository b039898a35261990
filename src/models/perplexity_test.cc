// SPDX-License-Identifier: Apache-2.0
#include "models/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"
#include "testing/tiny_model.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::TokenId;

class Perplexity : public ::testing::Test {
 protected:
  std::unique_ptr<Model> load(Arithmetic arithmetic) {
    auto file = GgufFile::parse(bytes_);
    EXPECT_TRUE(file);
    auto model = Model::load(*std::move(file), {.arithmetic = arithmetic}, team_);
    EXPECT_TRUE(model);
    return *std::move(model);
  }

  std::vector<TokenId> text(std::size_t length) {
    std::vector<TokenId> tokens;
    for (std::size_t i = 0; i < length; ++i)
      tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(1, i) % 288));
    return tokens;
  }

  parallel::Team team_{2};
  std::vector<std::byte> bytes_ = testing::make_tiny_model({"llama", tensor::Type::q8_0, true, "plain"});
};

TEST_F(Perplexity, ScoresTheSecondHalfOfEveryWindow) {
  const auto model = load(Arithmetic::exact);
  const std::vector<TokenId> tokens = text(100);
  const auto scores = score_text(*model, nullptr, tokens, {.window = 32}, team_);
  ASSERT_TRUE(scores) << scores.error().message;
  ASSERT_EQ(scores->size(), 3U * 15U);
  // The same by hand for one position of the second window.
  Sequence sequence(*model);
  Workspace workspace(*model, team_);
  std::vector<float> logits(model->vocabulary());
  ASSERT_TRUE(model->forward(sequence, std::span(tokens).subspan(32, 20), Logits::last, workspace, logits));
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  const PositionScore& score = (*scores)[15 + 3];
  EXPECT_EQ(score.index, 52U);
  EXPECT_EQ(score.token, tokens[52]);
  EXPECT_NEAR(score.log_probability,
              static_cast<double>(logits[static_cast<std::size_t>(tokens[52].value())]) - std::log(sum), 1e-5);
}

TEST_F(Perplexity, AModelDoesNotDivergeFromItself) {
  const auto model = load(Arithmetic::exact);
  const auto scores = score_text(*model, model.get(), text(64), {.window = 64}, team_);
  ASSERT_TRUE(scores);
  const ScoreSummary summary = summarise(*scores);
  EXPECT_NEAR(summary.divergence.value, 0, 1e-9);
  EXPECT_EQ(summary.same_top.value, 1);
  EXPECT_EQ(summary.margin_max, 0);
  EXPECT_EQ(summary.perplexity.value, summary.base_perplexity.value);
}

TEST_F(Perplexity, QuantisedActivationsStayNearTheReference) {
  const auto model = load(Arithmetic::exact);
  const auto reference = load(Arithmetic::reference);
  const auto scores = score_text(*model, reference.get(), text(256), {.window = 128}, team_);
  ASSERT_TRUE(scores);
  const ScoreSummary summary = summarise(*scores);
  EXPECT_GT(summary.divergence.value, 0);
  EXPECT_LT(summary.divergence.value, 0.02);  // 8-bit activations through two layers of random weights
  EXPECT_GT(summary.same_top.value, 0.8);
  for (const PositionScore& score : *scores) {
    for (std::size_t i = 1; i < score.base_top.size(); ++i)
      EXPECT_GE(score.base_top[i - 1].logit, score.base_top[i].logit);
  }
}

TEST_F(Perplexity, RefusesTextsShorterThanAWindow) {
  const auto model = load(Arithmetic::exact);
  EXPECT_EQ(score_text(*model, nullptr, text(31), {.window = 32}, team_).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(score_text(*model, nullptr, text(31), {.window = 2}, team_).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(score_text(*model, nullptr, text(600), {.window = 600}, team_).error().code, ErrorCode::invalid_argument);
}

TEST_F(Perplexity, CanBeStopped) {
  const auto model = load(Arithmetic::exact);
  ScoreOptions options{.window = 32};
  options.progress = [](std::size_t done, std::size_t) { return done < 2; };
  EXPECT_EQ(score_text(*model, nullptr, text(200), options, team_).error().code, ErrorCode::interrupted);
}

}  // namespace
}  // namespace plait::models
