// SPDX-License-Identifier: Apache-2.0
//
// Log-probabilities of prompts and pooled hidden states: on the script, in memories that are too small and with
// whatever others have computed, and on models, against a plain forward pass.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "engine/engine_test_fixture.h"
#include "testing/fake_tier.h"
#include "testing/tiny_model.h"

namespace plait::engine {
namespace {

constexpr int kTop = 3;

/// Keeps what prompts give.
class Outputs final : public Listener {
 public:
  struct One {
    std::size_t next = 0;  ///< Index of the next entry; 0: none yet.
    std::vector<models::Logprobs> logprobs = {};
    std::vector<TokenId> tokens = {};
    std::vector<float> pooled = {};
    std::optional<Ending> ending = {};
  };

  bool on_token(SequenceId id, const models::Sample& sample) override {
    all[id].tokens.push_back(sample.token);
    return true;
  }
  void on_prompt_logprobs(SequenceId id, std::size_t index, const models::Logprobs& logprobs) override {
    One& one = all[id];
    EXPECT_TRUE(one.tokens.empty() && !one.ending);
    EXPECT_TRUE(one.next == 0 || one.next == index) << index;
    one.next = index + 1;
    one.logprobs.push_back(logprobs);
    if (on_score) on_score(id, index);
  }
  void on_pooled(SequenceId id, std::span<const float> pooled) override {
    EXPECT_TRUE(all[id].pooled.empty());
    all[id].pooled.assign(pooled.begin(), pooled.end());
  }
  void on_end(SequenceId id, const Ending& ending) override { all[id].ending = ending; }

  std::map<SequenceId, One> all;
  std::function<void(SequenceId, std::size_t)> on_score;
};

bool same(const models::Logprobs& a, const models::Logprobs& b) {
  return a.chosen == b.chosen && std::ranges::equal(a.top, b.top, [](const auto& x, const auto& y) {
           return x.token == y.token && x.logprob == y.logprob;
         });
}

bool same(const std::vector<models::Logprobs>& a, const std::vector<models::Logprobs>& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) { return same(x, y); });
}

class PromptOutputs : public EngineTest {
 protected:
  SequenceId ask(const std::vector<TokenId>& prompt, GenerateOptions options) {
    options.listener = &outputs_;
    const auto ids = engine_->submit({.prompt = prompt, .generate = options});
    EXPECT_TRUE(ids) << ids.error().message;
    return ids->front();
  }
  SequenceId score(const std::vector<TokenId>& prompt, std::size_t first = 1, std::size_t tokens = 2) {
    return ask(prompt, {.tokens_max = tokens,
                        .prompt_only = tokens == 0,
                        .prompt_logprobs = PromptLogprobs{.first = first, .top = kTop}});
  }
  SequenceId pool(const std::vector<TokenId>& prompt, models::Pooling pooling) {
    return ask(prompt, {.prompt_only = true, .pooling = pooling});
  }
  /// What the script says.
  [[nodiscard]] std::vector<models::Logprobs> scores(std::span<const TokenId> prompt, std::size_t first = 1) const {
    std::vector<models::Logprobs> expected;
    for (std::size_t i = first; i < prompt.size(); ++i) {
      expected.push_back(*models::log_probabilities(runner_->logits(prompt.first(i)), prompt[i], kTop));
    }
    return expected;
  }
  [[nodiscard]] std::vector<float> mean(std::span<const TokenId> prompt) const {
    std::vector<double> sums(ScriptedRunner::kWidth);
    for (std::size_t i = 1; i <= prompt.size(); ++i) {
      const std::vector<float> state = runner_->hidden(prompt.first(i));
      for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += static_cast<double>(state[j]);
    }
    std::vector<float> mean;
    for (const double sum : sums) mean.push_back(static_cast<float>(sum / static_cast<double>(prompt.size())));
    return mean;
  }

  Outputs outputs_;
};

TEST_F(PromptOutputs, EveryTokenButTheFirstIsScored) {
  open(200);
  const std::vector<TokenId> prompt = random_tokens(1, 700);
  const SequenceId id = score(prompt);
  const SequenceId without = score(prompt, 1, 0);
  const SequenceId short_one = score({TokenId(3)});
  run();
  EXPECT_TRUE(same(outputs_.all[id].logprobs, scores(prompt)));
  EXPECT_EQ(outputs_.all[id].tokens, script(*runner_, prompt, 2));
  EXPECT_TRUE(same(outputs_.all[without].logprobs, scores(prompt)));
  EXPECT_EQ(outputs_.all[without].ending->reason, EndReason::length);
  EXPECT_TRUE(outputs_.all[without].tokens.empty());
  EXPECT_TRUE(outputs_.all[short_one].logprobs.empty());
  EXPECT_EQ(outputs_.all[short_one].tokens, script(*runner_, {TokenId(3)}, 2));
}

TEST_F(PromptOutputs, WhatOthersComputedIsTakenUpToTheFirstScoredToken) {
  open(200);
  const std::vector<TokenId> prompt = random_tokens(2, 320);
  submit(prompt, 1);
  run();
  const SequenceId all = score(prompt);
  run();
  EXPECT_EQ(outputs_.all[all].ending->usage.cached_tokens, 0U);
  EXPECT_TRUE(same(outputs_.all[all].logprobs, scores(prompt)));
  for (const std::size_t first : {200U, 209U, 319U, 320U}) {
    const SequenceId some = score(prompt, first);
    run();
    const Usage& usage = outputs_.all[some].ending->usage;
    EXPECT_GE(usage.cached_tokens, (first - 1) / 16 * 16) << first;
    EXPECT_LT(usage.cached_tokens, first) << first;
    EXPECT_EQ(usage.cached_tokens + usage.computed_tokens, prompt.size());
    EXPECT_TRUE(same(outputs_.all[some].logprobs, scores(prompt, first))) << first;
  }
}

TEST_F(PromptOutputs, OthersFindWhatAScoredPromptHasComputed) {
  open(200);
  const std::vector<TokenId> prompt = random_tokens(2, 320);
  score(prompt);
  run();
  const SequenceId after = submit(prompt, 3).front();
  run();
  EXPECT_EQ(recorder_.endings[after].usage.cached_tokens, 304U);
  EXPECT_EQ(recorder_.tokens[after], script(*runner_, prompt, 3));
}

// Of a prompt that is computed again the cache has a copy, and there is no room for both.
TEST_F(PromptOutputs, WhatTheCacheHasOfAPromptIsGivenUpForIt) {
  for (const std::size_t window : {0U, 40U}) {
    open(30, {.window = window});
    recorder_ = {};
    std::vector<TokenId> prompt = random_tokens(3, 300);
    submit(prompt, 1);
    run();
    for (const TokenId token : random_tokens(4, 100)) prompt.push_back(token);
    const SequenceId id = score(prompt);
    run();
    EXPECT_EQ(outputs_.all[id].ending->reason, EndReason::length);
    EXPECT_TRUE(same(outputs_.all[id].logprobs, scores(prompt)));
    outputs_.all.clear();
  }
}

TEST_F(PromptOutputs, StepsHaveNoMoreLogitsThanTheirMemory) {
  constexpr std::size_t kVocabulary = 400'000;
  open(200, {.vocabulary = kVocabulary});
  std::vector<SequenceId> ids;
  for (std::uint64_t i = 0; i < 60; ++i) ids.push_back(score(random_tokens(i, 3 + i % 5), 1, 0));
  run();
  EXPECT_LE(runner_->logits_most, (std::size_t{64} << 20U) / sizeof(float) / kVocabulary + 60);
  for (const SequenceId id : ids) EXPECT_EQ(outputs_.all[id].ending->reason, EndReason::length);
}

TEST_F(PromptOutputs, SamplesAreToldOnce) {
  open(200);
  const std::vector<TokenId> prompt = random_tokens(4, 100);
  const auto ids = engine_->submit(
      {.prompt = prompt,
       .generate = {.tokens_max = 4, .prompt_logprobs = PromptLogprobs{.top = kTop}, .listener = &outputs_},
       .samples = 3});
  ASSERT_TRUE(ids);
  run();
  EXPECT_TRUE(same(outputs_.all[(*ids)[0]].logprobs, scores(prompt)));
  for (std::size_t i = 1; i < 3; ++i) {
    EXPECT_TRUE(outputs_.all[(*ids)[i]].logprobs.empty());
    EXPECT_EQ(outputs_.all[(*ids)[i]].tokens, script(*runner_, prompt, 4));
  }
}

TEST_F(PromptOutputs, AKeptSequenceIsScoredWhereverItStands) {
  open(200);
  const std::vector<TokenId> text = random_tokens(5, 150);
  const SequenceId id = *engine_->create({});
  ASSERT_TRUE(engine_->append(id, text));
  ASSERT_TRUE(engine_->generate(id, {.prompt_only = true}));
  run();
  for (const std::size_t first : {140U, 1U}) {
    outputs_.all.clear();
    ASSERT_TRUE(engine_->generate(
        id, {.prompt_only = true, .prompt_logprobs = PromptLogprobs{first, kTop}, .listener = &outputs_}));
    run();
    EXPECT_TRUE(same(outputs_.all[id].logprobs, scores(text, first))) << first;
  }
}

TEST_F(PromptOutputs, ListenersMayEndAnythingWhileTheyAreTold) {
  open(200);
  const SequenceId first = score(random_tokens(6, 60));
  const SequenceId second = score(random_tokens(7, 60));
  outputs_.on_score = [&](SequenceId id, std::size_t index) {
    if (id == first && index == 20) engine_->close(second);
    if (id == first && index == 30) engine_->close(first);
  };
  run();
  EXPECT_EQ(outputs_.all[first].logprobs.size(), 30U);
  EXPECT_LE(outputs_.all[second].logprobs.size(), 59U);
  EXPECT_EQ(outputs_.all[first].ending->reason, EndReason::cancelled);
  EXPECT_FALSE(engine_->exists(second));
}

TEST_F(PromptOutputs, LogitsThatAreNoNumbersEndTheGeneration) {
  open(200);
  runner_->fails_on = 49;
  std::vector<TokenId> prompt(40, TokenId(7));
  prompt[20] = TokenId(49);
  const SequenceId id = score(prompt);
  run();
  EXPECT_EQ(outputs_.all[id].ending->reason, EndReason::failed);
  EXPECT_EQ(outputs_.all[id].logprobs.size(), 20U);
}

TEST_F(PromptOutputs, TheStopTokenIsToldWhereThatIsWanted) {
  open(200);
  const std::vector<TokenId> prompt = random_tokens(8, 20);
  const std::vector<TokenId> tokens = script(*runner_, prompt, 3);
  for (const bool told : {false, true}) {
    const SequenceId id = ask(prompt, {.tokens_max = 9, .stop = {tokens[1]}, .tell_stop = told});
    run();
    EXPECT_EQ(outputs_.all[id].ending->reason, EndReason::stop);
    EXPECT_EQ(outputs_.all[id].tokens.size(), told ? 2U : 1U);
    EXPECT_EQ(outputs_.all[id].ending->usage.generated_tokens, told ? 2U : 1U);
  }
}

TEST_F(PromptOutputs, HiddenStatesArePooled) {
  open(200);
  const std::vector<TokenId> prompt = random_tokens(9, 700);
  const SequenceId average = pool(prompt, models::Pooling::mean);
  run();
  const SequenceId last = pool(prompt, models::Pooling::last);
  const SequenceId again = pool(prompt, models::Pooling::mean);
  run();
  EXPECT_EQ(outputs_.all[average].pooled, mean(prompt));
  EXPECT_EQ(outputs_.all[again].pooled, mean(prompt));
  EXPECT_EQ(outputs_.all[last].pooled, runner_->hidden(prompt));
  EXPECT_EQ(outputs_.all[last].ending->usage.cached_tokens, 688U);
  EXPECT_EQ(outputs_.all[again].ending->usage.cached_tokens, 0U);
  EXPECT_EQ(outputs_.all[average].ending->reason, EndReason::length);
}

TEST_F(PromptOutputs, WhatCannotBeAskedIsRefused) {
  open(200);
  const auto refused = [&](const GenerateOptions& options) {
    const auto ids = engine_->submit({.prompt = random_tokens(1, 5), .generate = options});
    return !ids && ids.error().code == base::ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(refused({.prompt_logprobs = PromptLogprobs{.first = 0}}));
  EXPECT_TRUE(refused({.prompt_logprobs = PromptLogprobs{.first = 6}}));
  EXPECT_TRUE(refused({.prompt_logprobs = PromptLogprobs{.top = 129}}));
  EXPECT_TRUE(refused({.prompt_logprobs = PromptLogprobs{.top = -1}}));
  EXPECT_TRUE(refused({.pooling = models::Pooling::mean}));
  EXPECT_TRUE(refused({.prompt_only = true, .prompt_logprobs = PromptLogprobs{}, .pooling = models::Pooling::mean}));
  EXPECT_FALSE(refused({.prompt_only = true, .pooling = models::Pooling::last}));
}

/// Some of everything in a memory that holds a fraction of it: what each is told is what the script says.
class PromptOutputsCrowd : public PromptOutputs, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, PromptOutputsCrowd, ::testing::Range(0, 6));

TEST_P(PromptOutputsCrowd, PreemptionNeitherRepeatsNorLosesAnything) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  const bool swaps = seed % 2 == 1;
  constexpr std::size_t kPages = 60;
  EngineOptions options{.rows_max = 24};
  testing::ScriptOptions script_options{.window = seed % 3 == 2 ? 40U : 0U};
  ScriptedRunner shape(script_options, clock_);
  std::array<std::unique_ptr<testing::FakeTier>, kLayerGroups> tiers;
  if (swaps) {
    options.swap.choice = SwapChoice::swap;
    for (std::size_t group = 0; group < kLayerGroups; ++group) {
      if (shape.layout().page_bytes(group) == 0) continue;
      tiers[group] = std::make_unique<testing::FakeTier>(
          200, shape.layout().page_bytes(group), testing::FakeTierOptions{.seed = seed + group, .delay_ticks_max = 8});
      options.swap.tiers[group] = tiers[group].get();
    }
  }
  open(kPages, script_options, options);
  struct Asked {
    std::vector<TokenId> prompt;
    std::size_t first = 0;
    std::optional<models::Pooling> pooling;
  };
  std::map<SequenceId, Asked> asked;
  auto random = [&, draws = std::uint64_t{0}](std::uint64_t below) mutable {
    return base::random_u64(seed, draws++) % below;
  };
  for (int turn = 0; turn < 60; ++turn) {
    std::vector<TokenId> prompt = random_tokens(random(4), 20 + random(180));  // many begin alike
    Asked one{.prompt = prompt, .first = 1 + random(random(2) == 0 ? 1 : prompt.size()), .pooling = {}};
    switch (random(4)) {
      case 0:
        one.pooling = random(2) == 0 ? models::Pooling::mean : models::Pooling::last;
        asked[pool(prompt, *one.pooling)] = one;
        break;
      case 1:
        submit(prompt, 30);
        break;
      default:
        asked[score(prompt, one.first, random(40))] = one;
    }
    for (std::uint64_t steps = random(3); steps > 0; --steps) {
      for (const auto& tier : tiers) {
        if (tier) tier->advance(random(4));
      }
      engine_->step();
      engine_->check_invariants();
    }
  }
  run();
  std::size_t preempted = 0;
  for (const auto& [id, one] : asked) {
    const Outputs::One& got = outputs_.all[id];
    ASSERT_TRUE(got.ending && got.ending->reason == EndReason::length) << id.value();
    preempted += got.ending->usage.preemptions > 0 ? 1 : 0;
    if (one.pooling) {
      EXPECT_EQ(got.pooled, *one.pooling == models::Pooling::mean ? mean(one.prompt) : runner_->hidden(one.prompt));
    } else {
      EXPECT_TRUE(same(got.logprobs, scores(one.prompt, one.first))) << id.value();
      EXPECT_EQ(got.tokens, script(*runner_, one.prompt, got.tokens.size()));
    }
  }
  EXPECT_GE(preempted, 2U);
}

/// Of a text, by a plain forward pass of one sequence.
struct Plain {
  std::vector<models::Logprobs> scores;
  std::vector<float> mean;
  std::vector<float> last;
};

Plain plain(const models::Model& model, const std::vector<TokenId>& text) {
  parallel::Team team(1);
  models::Sequence sequence(model);
  models::Workspace workspace(model, team);
  std::vector<float> logits(text.size() * model.vocabulary());
  std::vector<float> hidden(text.size() * model.width());
  models::ViewEntry entry = sequence.reserve(text.size());
  const models::Rows rows{
      .tokens = text, .view = {&entry, 1}, .logits = models::Logits::all, .logits_first = 0, .hidden = hidden};
  EXPECT_TRUE(model.forward(std::span(&rows, 1), workspace, logits));
  Plain result;
  std::vector<double> sums(model.width());
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += static_cast<double>(hidden[i * sums.size() + j]);
    if (i + 1 == text.size()) break;
    const auto row = std::span(logits).subspan(i * model.vocabulary(), model.vocabulary());
    result.scores.push_back(*models::log_probabilities(row, text[i + 1], kTop));
  }
  for (const double sum : sums) result.mean.push_back(static_cast<float>(sum / static_cast<double>(text.size())));
  result.last.assign(hidden.end() - static_cast<std::ptrdiff_t>(model.width()), hidden.end());
  return result;
}

std::unique_ptr<models::Model> load(const std::vector<std::byte>& bytes, models::Arithmetic arithmetic) {
  parallel::Team team(1);
  return *models::Model::load(*models::GgufFile::parse(bytes), {.arithmetic = arithmetic, .context = 1024}, team);
}

std::vector<TokenId> text_of(std::uint64_t seed, std::size_t count) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i) {
    tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(seed, i) % testing::kTinyVocabulary));
  }
  return tokens;
}

class PromptOutputsModel : public ::testing::TestWithParam<testing::TinyModel> {};
INSTANTIATE_TEST_SUITE_P(Models, PromptOutputsModel,
                         ::testing::Values(testing::TinyModel{}, testing::TinyModel{"gemma3", tensor::Type::q8_0},
                                           testing::TinyModel{"qwen3", tensor::Type::q4_0, false, "caps"}),
                         [](const auto& param) { return param.param.architecture; });

TEST_P(PromptOutputsModel, AreTheBitsOfAPlainForwardPassInAnyCompanyOnAnyThreads) {
  const std::vector<std::byte> bytes = testing::make_tiny_model(GetParam());
  const auto model = load(bytes, models::Arithmetic::exact);
  const base::Bytes page = model->kv_layout().page_bytes(0) + model->kv_layout().page_bytes(1);
  std::vector<std::vector<TokenId>> texts;
  std::vector<Plain> expected;
  for (std::uint64_t i = 0; i < 8; ++i) {
    texts.push_back(text_of(i % 3, 30 + 90 * i));
    expected.push_back(plain(*model, texts.back()));
  }
  std::size_t preempted = 0;
  for (const int threads : {1, 2}) {
    parallel::Team team(threads);
    ModelRunner runner(*model, team);
    for (const std::size_t pages : {60U, 400U}) {
      StepBudgetOptions budget;
      budget.tokens_max = pages == 60 ? 37 : 512;
      const auto engine = *Engine::make(runner, {.kv_bytes = pages * page, .budget = budget});
      Outputs outputs;
      std::vector<SequenceId> scored, pooled, last;
      for (const std::vector<TokenId>& text : texts) {
        const auto ask = [&](const GenerateOptions& options) {
          return engine->submit({.prompt = text, .generate = options})->front();
        };
        scored.push_back(ask({.tokens_max = 40, .prompt_logprobs = PromptLogprobs{.top = kTop}, .listener = &outputs}));
        pooled.push_back(ask({.prompt_only = true, .pooling = models::Pooling::mean, .listener = &outputs}));
        last.push_back(ask({.prompt_only = true, .pooling = models::Pooling::last, .listener = &outputs}));
      }
      while (engine->step()) engine->check_invariants();
      preempted += engine->counters().preemptions;
      for (const auto& [id, one] : outputs.all) {
        EXPECT_EQ(one.ending->reason, EndReason::length) << (one.ending->error ? one.ending->error->message : "");
      }
      for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_TRUE(same(outputs.all[scored[i]].logprobs, expected[i].scores)) << i;
        EXPECT_EQ(outputs.all[pooled[i]].pooled, expected[i].mean) << i;
        EXPECT_EQ(outputs.all[last[i]].pooled, expected[i].last) << i;
      }
    }
  }
  EXPECT_GT(preempted, 0U);
}

TEST_P(PromptOutputsModel, AreCloseToTheReferenceArithmetic) {
  const std::vector<std::byte> bytes = testing::make_tiny_model(GetParam());
  const std::vector<TokenId> text = text_of(1, 100);
  const Plain fast = plain(*load(bytes, models::Arithmetic::exact), text);
  const Plain slow = plain(*load(bytes, models::Arithmetic::reference), text);
  const auto cosine = [](const std::vector<float>& a, const std::vector<float>& b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      ab += static_cast<double>(a[i]) * static_cast<double>(b[i]);
      aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
      bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
    }
    return ab / std::sqrt(aa * bb);
  };
  EXPECT_GT(cosine(fast.mean, slow.mean), 0.998);
  EXPECT_GT(cosine(fast.last, slow.last), 0.998);
  double away = 0;
  for (std::size_t i = 0; i < fast.scores.size(); ++i) away += std::abs(fast.scores[i].chosen - slow.scores[i].chosen);
  EXPECT_LT(away / static_cast<double>(fast.scores.size()), 0.1);
}

}  // namespace
}  // namespace plait::engine
