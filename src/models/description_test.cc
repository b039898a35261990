// SPDX-License-Identifier: Apache-2.0
#include "models/description.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "testing/bytes.h"
#include "testing/gguf_writer.h"
#include "testing/real_model.h"

namespace plait::models {
namespace {

using base::ErrorCode;
using testing::bytes_of;
using testing::GgufWriter;

TEST(Description, SumsAFileUp) {
  GgufWriter writer;
  writer.string("general.architecture", "qwen3").string("general.name", "Tiny").string("general.license", "mit");
  writer.string("general.size_label", "1K")
      .string("tokenizer.ggml.model", "gpt2")
      .string("tokenizer.ggml.pre", "qwen2");
  writer.string("tokenizer.chat_template", "{{ messages }}").strings("tokenizer.ggml.tokens", {"a", "b", "c"});
  writer.number<std::uint32_t>("qwen3.context_length", 512).number<std::uint32_t>("qwen3.block_count", 2);
  writer.number<std::uint32_t>("qwen3.embedding_length", 64)
      .numbers<std::uint32_t>("qwen3.feed_forward_length", {96, 128});
  writer.number<std::uint32_t>("qwen3.attention.head_count", 4);
  writer.zeros("a", tensor::Type::f32, {64})
      .zeros("b", tensor::Type::q8_0, {64, 100})
      .zeros("c", tensor::Type::f32, {8});
  const std::string bytes = writer.bytes();
  const ModelDescription model = describe(GgufFile::parse(bytes_of(bytes)).value()).value();
  EXPECT_EQ(model.architecture, "qwen3");
  EXPECT_EQ(model.name, "Tiny");
  EXPECT_EQ(model.licence, "mit");
  EXPECT_EQ(model.size_label, "1K");
  EXPECT_EQ(model.tokenizer, "gpt2");
  EXPECT_EQ(model.pre_tokenizer, "qwen2");
  EXPECT_EQ(model.chat_template, "{{ messages }}");
  EXPECT_EQ(model.vocabulary, 3U);
  EXPECT_EQ(model.context_length, 512U);
  EXPECT_EQ(model.layers, 2U);
  EXPECT_EQ(model.width, 64U);
  EXPECT_EQ(model.feed_forward, 128U);
  EXPECT_EQ(model.heads, 4U);
  EXPECT_EQ(model.kv_heads, 4U);
  EXPECT_EQ(model.parameters, 6472U);
  EXPECT_EQ(model.file_bytes, bytes.size());
  ASSERT_EQ(model.types.size(), 2U);
  EXPECT_EQ(model.types[0].type, tensor::Type::q8_0);
  EXPECT_EQ(model.types[0].bytes, 6800U);
  EXPECT_EQ(model.types[1].tensors, 2U);
  EXPECT_EQ(model.types[1].elements, 72U);
}

TEST(Description, ASilentFileIsDescribedAndAWrongKindIsNamed) {
  const std::string silent = GgufWriter(2).string("general.architecture", "llama").bytes();
  const ModelDescription model = describe(GgufFile::parse(bytes_of(silent)).value()).value();
  EXPECT_EQ(model.gguf_version, 2U);
  EXPECT_EQ(model.parameters, 0U);
  EXPECT_TRUE(model.chat_template.empty());
  const std::string none = GgufWriter().string("general.name", "x").bytes();
  EXPECT_EQ(describe(GgufFile::parse(bytes_of(none)).value()).error().code, ErrorCode::not_found);
  const std::string wrong = GgufWriter().string("general.architecture", "llama").number("general.name", 7).bytes();
  EXPECT_EQ(describe(GgufFile::parse(bytes_of(wrong)).value()).error().code, ErrorCode::invalid_data);
  const std::string negative = GgufWriter().string("general.architecture", "x").number("x.block_count", -1).bytes();
  EXPECT_EQ(describe(GgufFile::parse(bytes_of(negative)).value()).error().code, ErrorCode::invalid_data);
}

TEST(Description, OfTheDefaultModel) {
  const std::filesystem::path path = testing::real_model("smollm2-135m");
  if (path.empty()) GTEST_SKIP() << "smollm2-135m is not there";
  const ModelDescription model = describe(GgufFile::open(path).value()).value();
  EXPECT_EQ(model.architecture, "llama");
  EXPECT_EQ(model.vocabulary, 49152U);
  EXPECT_EQ(model.parameters, 134'515'008U);
  EXPECT_EQ(model.licence, "apache-2.0");
  EXPECT_EQ(model.pre_tokenizer, "smollm");
  EXPECT_EQ(model.types.front().type, tensor::Type::q4_1);
  EXPECT_EQ(model.types.front().tensors, 210U);
  EXPECT_EQ(model.file_bytes, 98'362'432U);
}

}  // namespace
}  // namespace plait::models
