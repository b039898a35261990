// SPDX-License-Identifier: Apache-2.0
#include "models/model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "testing/tiny_model.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using base::TokenId;

base::Result<std::unique_ptr<Model>> load(std::span<const std::byte> bytes, const LoadOptions& options = {}) {
  parallel::Team team(1);
  PLAIT_TRY(GgufFile file, GgufFile::parse(bytes));
  return Model::load(std::move(file), options, team);
}

/// The tiny file with the number that follows `key` (and its kind) replaced.
std::vector<std::byte> with_number(std::vector<std::byte> bytes, const std::string& key, std::uint32_t value) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t at = text.find(key);
  EXPECT_NE(at, std::string_view::npos) << key;
  std::memcpy(bytes.data() + at + key.size() + 4, &value, sizeof(value));
  return bytes;
}

std::vector<std::byte> with_text(std::vector<std::byte> bytes, const std::string& from, const std::string& to) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string_view::npos) << from;
  EXPECT_EQ(from.size(), to.size());
  std::memcpy(bytes.data() + at, to.data(), to.size());
  return bytes;
}

TEST(Model, OtherArchitecturesAreRefusedByName) {
  const auto model = load(with_text(testing::make_tiny_model({}), "llama", "mamba"));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::unsupported);
  EXPECT_NE(model.error().message.find("mamba"), std::string::npos);
}

TEST(Model, AbsurdSizesAreRefusedWithTheirKey) {
  const std::vector<std::byte> good = testing::make_tiny_model({"gemma3", tensor::Type::q4_0, true, "plain"});
  const std::vector<std::string> keys{"block_count",           "context_length",          "embedding_length",
                                      "feed_forward_length",   "attention.head_count_kv", "attention.key_length",
                                      "attention.value_length"};
  for (const std::string& suffix : keys) {
    for (const std::uint32_t value : {0U, 0xFFFFFFFFU, 0x7FFFFFFFU}) {
      const auto model = load(with_number(good, "gemma3." + suffix, value));
      ASSERT_FALSE(model) << suffix << " = " << value;
      EXPECT_NE(model.error().message.find(suffix), std::string::npos) << model.error().message;
    }
  }
  for (const std::uint32_t nonsense : {0x7F800000U, 0x7FC00000U, 0xBF800000U}) {  // infinity, NaN, -1
    const auto model = load(with_number(good, "gemma3.attention.layer_norm_rms_epsilon", nonsense));
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::invalid_data);
  }
}

TEST(Model, SizesThatDoNotFitTheTensorsAreRefused) {
  const std::vector<std::byte> good = testing::make_tiny_model({});
  for (const auto& [suffix, value] :
       {std::pair("block_count", 3U), std::pair("embedding_length", 512U), std::pair("feed_forward_length", 256U),
        std::pair("attention.head_count_kv", 4U)}) {
    const auto model = load(with_number(good, std::string("llama.") + suffix, value));
    EXPECT_FALSE(model) << suffix;
  }
  const auto fewer = load(with_number(good, "llama.block_count", 1));  // the second layer's tensors are left over
  ASSERT_FALSE(fewer);
  EXPECT_EQ(fewer.error().code, ErrorCode::unsupported);
}

TEST(Model, MixturesThatDoNotFitTheTensorsAreRefused) {
  const std::vector<std::byte> good = testing::make_tiny_model({"qwen2moe", tensor::Type::q4_0, true, "plain"});
  ASSERT_TRUE(load(good));
  for (const auto& [suffix, value] :
       {std::pair("expert_count", 0U), std::pair("expert_count", 5U), std::pair("expert_count", 1U << 20),
        std::pair("expert_used_count", 0U), std::pair("expert_used_count", 7U),
        std::pair("expert_feed_forward_length", 512U), std::pair("expert_shared_feed_forward_length", 256U)}) {
    const auto model = load(with_number(good, std::string("qwen2moe.") + suffix, value));
    ASSERT_FALSE(model) << suffix << " = " << value;
    EXPECT_EQ(model.error().code, ErrorCode::invalid_data) << model.error().message;
  }
}

TEST(Model, TooLargeForMemoryIsSaidBeforeLoading) {
  const std::vector<std::byte> bytes = testing::make_tiny_model({});
  const auto model = load(bytes, {.memory = 100'000});
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::out_of_resources);
  EXPECT_NE(model.error().message.find("97.7 KiB"), std::string::npos) << model.error().message;
}

TEST(Model, TheReferenceKeepsItsKeysAndValuesInFloats) {
  const std::vector<std::byte> bytes = testing::make_tiny_model({});
  using kernels::AttentionArithmetic;
  for (const auto attention : {AttentionArithmetic::bf16, AttentionArithmetic::int8}) {
    const auto model = load(bytes, {.arithmetic = Arithmetic::reference, .attention = attention});
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Model, ForwardRefusesForeignTokensAndLongContexts) {
  const std::vector<std::byte> bytes = testing::make_tiny_model({});
  const auto model = load(bytes, {.context = 8});
  ASSERT_TRUE(model);
  parallel::Team team(1);
  Workspace workspace(**model, team);
  Sequence sequence(**model);
  std::vector<float> logits((*model)->vocabulary());
  const std::vector<TokenId> prompt(6, TokenId(1));
  ASSERT_TRUE((*model)->forward(sequence, prompt, Logits::last, workspace, logits));
  for (const int token : {-1, 288, 1 << 30}) {
    const TokenId foreign(token);
    const auto failed = (*model)->forward(sequence, std::span(&foreign, 1), Logits::last, workspace, logits);
    EXPECT_EQ(failed.error().code, ErrorCode::invalid_argument);
  }
  const auto failed = (*model)->forward(sequence, std::span(prompt).first(3), Logits::last, workspace, logits);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("9 tokens"), std::string::npos) << failed.error().message;
  EXPECT_EQ(sequence.length(), 6U);
  EXPECT_TRUE((*model)->forward(sequence, std::span(prompt).first(2), Logits::last, workspace, logits));
  EXPECT_EQ(sequence.length(), 8U);
}

}  // namespace
}  // namespace plait::models
