// SPDX-License-Identifier: Apache-2.0
//
// The production path gives the same bits however a sequence is cut, whoever shares its batch, on any number of threads
// and with every instruction set; and trimming leaves no trace.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/random.h"
#include "models/model.h"
#include "testing/real_model.h"
#include "testing/tiny_model.h"

namespace plait::models {
namespace {

using base::TokenId;
using testing::TinyModel;

std::vector<TokenId> random_prompt(std::uint64_t seed, std::size_t length, std::size_t vocabulary) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < length; ++i) {
    tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(seed, i) % vocabulary));
  }
  return tokens;
}

/// Logits of every token, the prompt fed in pieces.
std::vector<float> logits_in_pieces(const Model& model, std::span<const TokenId> tokens, std::size_t piece,
                                    parallel::Team& team) {
  Sequence sequence(model);
  Workspace workspace(model, team);
  std::vector<float> logits(tokens.size() * model.vocabulary());
  for (std::size_t at = 0; at < tokens.size(); at += piece) {
    const std::size_t here = std::min(piece, tokens.size() - at);
    const auto done = model.forward(sequence, tokens.subspan(at, here), Logits::all, workspace,
                                    std::span(logits).subspan(at * model.vocabulary(), here * model.vocabulary()));
    EXPECT_TRUE(done) << done.error().chain();
  }
  return logits;
}

::testing::AssertionResult same_bits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " and " << b.size() << " numbers";
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) {
      return ::testing::AssertionFailure() << "number " << i << ": " << a[i] << " and " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

std::unique_ptr<Model> load_tiny(std::span<const std::byte> bytes, LoadOptions options) {
  parallel::Team team(1);
  auto file = GgufFile::parse(bytes);
  EXPECT_TRUE(file) << file.error().chain();
  auto model = Model::load(*std::move(file), options, team);
  EXPECT_TRUE(model) << model.error().chain();
  return *std::move(model);
}

/// One small model of every architecture and the variants with other steps.
std::vector<TinyModel> small_zoo() {
  return {{"llama", tensor::Type::q4_1, true, "plain"},       {"llama", tensor::Type::q8_0, false, "bias"},
          {"qwen2", tensor::Type::q5_0, false, "mixed"},      {"qwen2", tensor::Type::f16, true, "partial"},
          {"qwen3", tensor::Type::q4_k, true, "yarn"},        {"gemma3", tensor::Type::q6_k, true, "plain"},
          {"gemma3", tensor::Type::q4_0, false, "caps"},      {"qwen2moe", tensor::Type::mxfp4, true, "mixed"},
          {"qwen3moe", tensor::Type::iq4_xs, false, "plain"}, {"qwen3moe", tensor::Type::f16, true, "plain"},
          {"gpt-oss", tensor::Type::mxfp4, true, "plain"}};
}

void check_batch(const TinyModel& tiny, const LoadOptions& options = {}) {
  const std::vector<std::byte> bytes = testing::make_tiny_model(tiny);
  const auto model = load_tiny(bytes, options);
  parallel::Team team(2);
  Workspace workspace(*model, team);
  // Enough rows for several chunks; prompts of different length beside single tokens.
  std::vector<std::vector<TokenId>> prompts;
  std::vector<Sequence> sequences;
  for (const std::size_t length : std::vector<std::size_t>{1, 200, 2, 64, 90, 180}) {
    prompts.push_back(random_prompt(length, length, testing::kTinyVocabulary));
    sequences.emplace_back(*model);
  }
  std::vector<SequenceRows> batch;
  std::vector<float> expected;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    batch.push_back({&sequences[i], prompts[i], i % 3 == 1 ? Logits::none : Logits::last});
    if (batch.back().logits == Logits::none) continue;
    const std::vector<float> alone = logits_in_pieces(*model, prompts[i], prompts[i].size(), team);
    expected.insert(expected.end(), alone.end() - static_cast<std::ptrdiff_t>(model->vocabulary()), alone.end());
  }
  std::vector<float> logits(expected.size());
  ASSERT_TRUE(model->forward(batch, workspace, logits));
  EXPECT_TRUE(same_bits(expected, logits));
}

class SameBits : public ::testing::TestWithParam<TinyModel> {
 protected:
  std::vector<std::byte> bytes_ = testing::make_tiny_model(GetParam());
  std::vector<TokenId> tokens_ = random_prompt(7, 80, testing::kTinyVocabulary);
};

TEST_P(SameBits, ForAnyThreadsAndPieces) {
  const auto model = load_tiny(bytes_, {});
  parallel::Team one(1);
  const std::vector<float> whole = logits_in_pieces(*model, tokens_, tokens_.size(), one);
  for (const int threads : {1, 2, 3}) {
    parallel::Team team(threads);
    for (const std::size_t piece : std::vector<std::size_t>{1, 7, 64}) {
      EXPECT_TRUE(same_bits(whole, logits_in_pieces(*model, tokens_, piece, team)))
          << threads << " threads, pieces of " << piece;
    }
  }
}

TEST_P(SameBits, ForEveryInstructionSet) {
  parallel::Team team(2);
  const auto generic = load_tiny(bytes_, {.isa = kernels::Isa::generic});
  const std::vector<float> expected = logits_in_pieces(*generic, tokens_, tokens_.size(), team);
  for (const kernels::Isa isa : kernels::usable_isas()) {
    const auto model = load_tiny(bytes_, {.isa = isa});
    EXPECT_TRUE(same_bits(expected, logits_in_pieces(*model, tokens_, tokens_.size(), team))) << kernels::name(isa);
    EXPECT_TRUE(same_bits(expected, logits_in_pieces(*model, tokens_, 1, team)))
        << kernels::name(isa) << ", one by one";
  }
}

TEST_P(SameBits, WithWeightsMadeAtLoad) {
  using kernels::Weights;
  parallel::Team team(2);
  const auto exact = load_tiny(bytes_, {});
  const std::vector<float> other = logits_in_pieces(*exact, tokens_, tokens_.size(), team);
  for (const Weights form : {Weights::int8, Weights::bf16}) {
    SCOPED_TRACE(kernels::name(form));
    const auto generic = load_tiny(bytes_, {.weights = form, .isa = kernels::Isa::generic});
    const std::vector<float> expected = logits_in_pieces(*generic, tokens_, tokens_.size(), team);
    EXPECT_FALSE(same_bits(expected, other));
    for (const kernels::Isa isa : kernels::usable_isas()) {
      const auto model = load_tiny(bytes_, {.weights = form, .isa = isa});
      EXPECT_TRUE(same_bits(expected, logits_in_pieces(*model, tokens_, tokens_.size(), team))) << kernels::name(isa);
      EXPECT_TRUE(same_bits(expected, logits_in_pieces(*model, tokens_, 5, team))) << kernels::name(isa) << ", by five";
    }
  }
}

// Products of tiles are summed in another order than those of vectors, so instruction sets are not compared.
TEST_P(SameBits, WithAttentionInBf16) {
  const auto exact = load_tiny(bytes_, {});
  parallel::Team one(1);
  const std::vector<float> other = logits_in_pieces(*exact, tokens_, tokens_.size(), one);
  for (const kernels::Isa isa : kernels::usable_isas()) {
    const auto model = load_tiny(bytes_, {.attention = kernels::AttentionArithmetic::bf16, .isa = isa});
    const std::vector<float> whole = logits_in_pieces(*model, tokens_, tokens_.size(), one);
    EXPECT_FALSE(same_bits(whole, other));
    for (const int threads : {1, 3}) {
      parallel::Team team(threads);
      for (const std::size_t piece : std::vector<std::size_t>{1, 7, 64}) {
        EXPECT_TRUE(same_bits(whole, logits_in_pieces(*model, tokens_, piece, team)))
            << kernels::name(isa) << ", " << threads << " threads, pieces of " << piece;
      }
    }
  }
}

TEST_P(SameBits, WithKeysAndValuesInInt8) {
  constexpr auto kInt8 = kernels::AttentionArithmetic::int8;
  parallel::Team one(1);
  const auto exact = load_tiny(bytes_, {});
  const std::vector<float> other = logits_in_pieces(*exact, tokens_, tokens_.size(), one);
  const auto generic = load_tiny(bytes_, {.attention = kInt8, .isa = kernels::Isa::generic});
  const std::vector<float> expected = logits_in_pieces(*generic, tokens_, tokens_.size(), one);
  EXPECT_FALSE(same_bits(expected, other));
  for (const kernels::Isa isa : kernels::usable_isas()) {
    if (isa == kernels::Isa::generic) continue;
    const auto model = load_tiny(bytes_, {.attention = kInt8, .isa = isa});
    for (const int threads : {1, 3}) {
      parallel::Team team(threads);
      for (const std::size_t piece : std::vector<std::size_t>{1, 7, 80}) {
        EXPECT_TRUE(same_bits(expected, logits_in_pieces(*model, tokens_, piece, team)))
            << kernels::name(isa) << ", " << threads << " threads, pieces of " << piece;
      }
    }
  }
}

TEST_P(SameBits, AfterTrimming) {
  const auto model = load_tiny(bytes_, {});
  parallel::Team team(2);
  const std::vector<float> expected = logits_in_pieces(*model, tokens_, tokens_.size(), team);
  Workspace workspace(*model, team);
  Sequence sequence(*model);
  ASSERT_TRUE(model->forward(sequence, tokens_, Logits::none, workspace, {}));
  ASSERT_TRUE(model->forward(sequence, tokens_, Logits::none, workspace, {}));
  sequence.trim(50);
  std::vector<float> logits((tokens_.size() - 50) * model->vocabulary());
  ASSERT_TRUE(model->forward(sequence, std::span(tokens_).subspan(50), Logits::all, workspace, logits));
  EXPECT_TRUE(same_bits(std::span(expected).subspan(50 * model->vocabulary()), logits));
}

std::string name_of(const ::testing::TestParamInfo<TinyModel>& info) {
  std::string name = info.param.name();
  std::ranges::replace(name, '/', '_');
  std::ranges::replace(name, '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Tiny, SameBits, ::testing::ValuesIn(small_zoo()), name_of);

TEST(SameBitsInABatch, OfManySequences) {
  check_batch({"llama", tensor::Type::q4_1, true, "plain"});
  check_batch({"gemma3", tensor::Type::q8_0, false, "plain"});
  check_batch({"qwen2moe", tensor::Type::q4_k, true, "plain"});
  check_batch({"qwen3moe", tensor::Type::mxfp4, false, "plain"});
  for (const kernels::Weights weights : {kernels::Weights::int8, kernels::Weights::bf16}) {
    check_batch({"llama", tensor::Type::q4_1, true, "plain"}, {.weights = weights});
    check_batch({"gemma3", tensor::Type::q6_k, false, "plain"}, {.weights = weights});
    check_batch({"qwen3moe", tensor::Type::q8_0, true, "plain"}, {.weights = weights});
  }
  for (const auto attention : {kernels::AttentionArithmetic::bf16, kernels::AttentionArithmetic::int8}) {
    check_batch({"llama", tensor::Type::q4_1, true, "plain"}, {.attention = attention});
    check_batch({"gemma3", tensor::Type::q8_0, false, "caps"}, {.attention = attention});
  }
}

TEST(SameBitsReal, SmolLm2) {
  const std::filesystem::path path = testing::real_model("smollm2-135m");
  if (path.empty()) GTEST_SKIP() << "the model smollm2-135m is not here";
  parallel::Team loader(2);
  std::vector<float> expected;
  for (const kernels::Isa isa : kernels::usable_isas()) {
    const auto model = Model::load(path, {.isa = isa}, loader);
    ASSERT_TRUE(model) << model.error().chain();
    const std::vector<TokenId> tokens = random_prompt(3, 16, (*model)->vocabulary());
    for (const int threads : {1, 2, 3}) {
      if (isa == kernels::Isa::generic && threads != 2) continue;  // portable code is slow
      parallel::Team team(threads);
      const std::size_t piece = threads == 1 ? tokens.size() : threads == 2 ? 7 : 1;
      const std::vector<float> logits = logits_in_pieces(**model, tokens, piece, team);
      if (expected.empty()) expected = logits;
      EXPECT_TRUE(same_bits(expected, logits)) << kernels::name(isa) << ", " << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace plait::models
