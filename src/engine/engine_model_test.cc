// SPDX-License-Identifier: Apache-2.0
//
// The engine on models, one thing at a time. All of it at once is in engine_same_text_test.cc.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "testing/tiny_model.h"

namespace plait::engine {
namespace {

using base::TokenId;

std::vector<TokenId> random_tokens(std::uint64_t seed, std::size_t count) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i) {
    tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(seed, i) % testing::kTinyVocabulary));
  }
  return tokens;
}

class Recorder final : public Listener {
 public:
  bool on_token(SequenceId id, const models::Sample& sample) override {
    tokens[id].push_back(sample.token);
    return true;
  }
  void on_end(SequenceId id, const Ending& ending) override {
    EXPECT_EQ(ending.reason, EndReason::length) << id.value();
  }
  std::map<SequenceId, std::vector<TokenId>> tokens;
};

struct Plan {
  std::vector<TokenId> prompt;
  models::SamplerOptions sampler;
  std::size_t count = 0;
};

std::unique_ptr<models::Model> load(const std::vector<std::byte>& bytes, parallel::Team& team,
                                    kernels::AttentionArithmetic attention = kernels::AttentionArithmetic::exact) {
  auto file = models::GgufFile::parse(bytes);
  EXPECT_TRUE(file) << file.error().chain();
  auto model = models::Model::load(*std::move(file), {.attention = attention, .context = 1024}, team);
  EXPECT_TRUE(model) << model.error().chain();
  return *std::move(model);
}

/// A request with an engine, a model's workspace and all memory for itself.
std::vector<TokenId> alone(const models::Model& model, const Plan& plan) {
  parallel::Team team(1);
  ModelRunner runner(model, team);
  auto engine = *Engine::make(runner, {.kv_bytes = 64 << 20, .share_prefixes = false});
  Recorder recorder;
  const auto ids = engine->submit(
      {.prompt = plan.prompt, .generate = {.sampler = plan.sampler, .tokens_max = plan.count, .listener = &recorder}});
  EXPECT_TRUE(ids);
  while (engine->step()) {
  }
  return recorder.tokens[ids->front()];
}

class EngineModel : public ::testing::TestWithParam<kernels::AttentionArithmetic> {};
INSTANTIATE_TEST_SUITE_P(Pages, EngineModel,
                         ::testing::Values(kernels::AttentionArithmetic::exact, kernels::AttentionArithmetic::int8),
                         [](const auto& param) { return std::string(kernels::name(param.param)); });

TEST_P(EngineModel, AForkInTheMiddleGoesOnLikeTheWholeText) {
  const std::vector<std::byte> bytes = testing::make_tiny_model({"gemma3", tensor::Type::q4_0, true, "plain"});
  parallel::Team team(2);
  const auto model = load(bytes, team, GetParam());
  ModelRunner runner(*model, team);
  auto engine = *Engine::make(runner, {.kv_bytes = 16 << 20});
  Recorder recorder;
  const SequenceId root = *engine->create({});
  ASSERT_TRUE(engine->append(root, random_tokens(1, 300)));
  ASSERT_TRUE(engine->generate(root, {.tokens_max = 30, .listener = &recorder}));
  for (int i = 0; i < 12; ++i) engine->step();
  const std::vector<TokenId> middle = engine->tokens(root);
  const SequenceId child = *engine->fork(root);
  const models::SamplerOptions sampler{.temperature = 1, .seed = 5};
  ASSERT_TRUE(engine->generate(child, {.sampler = sampler, .tokens_max = 20, .listener = &recorder}));
  while (engine->step()) {
  }
  EXPECT_EQ(recorder.tokens[child], alone(*model, {middle, sampler, 20}));
}

TEST_P(EngineModel, AJoinIsCloseToTheSameTextInOneSequence) {
  // Keys of the joined span are rotated from its own beginning and never again; its tokens did not see what they now
  // stand behind. So only the ends must agree: no failure, and the same continuation every time.
  const std::vector<std::byte> bytes = testing::make_tiny_model({"llama", tensor::Type::q8_0, true, "plain"});
  parallel::Team team(1);
  const auto model = load(bytes, team, GetParam());
  std::vector<TokenId> first;
  for (int round = 0; round < 2; ++round) {
    ModelRunner runner(*model, team);
    auto engine = *Engine::make(runner, {.kv_bytes = 16 << 20});
    Recorder recorder;
    std::vector<SequenceId> ids;
    for (const std::uint64_t seed : {1U, 2U}) {
      ids.push_back(*engine->create({}));
      ASSERT_TRUE(engine->append(ids.back(), random_tokens(seed, 40)));
      ASSERT_TRUE(engine->generate(ids.back(), {.prompt_only = true, .listener = &recorder}));
    }
    while (engine->step()) {
    }
    ASSERT_TRUE(engine->join(ids[0], ids[1], 0));
    ASSERT_TRUE(engine->append(ids[0], random_tokens(3, 4)));
    recorder = {};
    ASSERT_TRUE(engine->generate(ids[0], {.tokens_max = 20, .listener = &recorder}));
    while (engine->step()) {
    }
    if (round == 0) first = recorder.tokens[ids[0]];
    EXPECT_EQ(recorder.tokens[ids[0]], first);
    EXPECT_EQ(first.size(), 20U);
  }
}

}  // namespace
}  // namespace plait::engine
