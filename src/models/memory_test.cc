// SPDX-License-Identifier: Apache-2.0
//
// What a model costs in memory, and that a step allocates nothing once everything has grown to its size.
#include "os/memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "models/model.h"
#include "testing/allocation_count.h"
#include "testing/real_model.h"
#include "testing/tiny_model.h"

namespace plait::models {
namespace {

using base::Bytes;
using base::TokenId;
using base::operator""_MiB;

TEST(Allocations, NoneInTheSteadyState) {
  for (const char* architecture : {"llama", "gemma3"}) {
    parallel::Team team(2);
    const std::vector<std::byte> bytes = testing::make_tiny_model({architecture, tensor::Type::q4_1, true, "plain"});
    auto file = GgufFile::parse(bytes);
    ASSERT_TRUE(file);
    const auto model = Model::load(*std::move(file), {}, team);
    ASSERT_TRUE(model);
    Workspace workspace(**model, team);
    Sequence sequence(**model);
    std::vector<float> logits((*model)->vocabulary());
    const std::vector<TokenId> prompt(100, TokenId(5));
    ASSERT_TRUE((*model)->forward(sequence, prompt, Logits::last, workspace, logits));
    sequence.trim(50);
    const std::size_t before = testing::allocation_count();
    for (int step = 0; step < 40; ++step) {
      ASSERT_TRUE((*model)->forward(sequence, std::span(prompt).first(1), Logits::last, workspace, logits));
    }
    EXPECT_EQ(testing::allocation_count() - before, 0U) << architecture;
  }
}

class RealModelMemory : public ::testing::TestWithParam<std::string> {};

TEST_P(RealModelMemory, IsNearTheFileSize) {
  const std::filesystem::path path = testing::real_model(GetParam());
  if (path.empty()) GTEST_SKIP() << "the model " << GetParam() << " is not here";
  parallel::Team team(2);
  const Bytes before = os::resident_bytes();
  const auto model = Model::load(path, {}, team);
  ASSERT_TRUE(model) << model.error().chain();
  const Bytes file = (*model)->file().file_bytes();
  const Bytes grown = os::resident_bytes() - before;
  RecordProperty("resident_mib", std::to_string(grown >> 20));
  EXPECT_LE(grown, file + file / 4 + 20_MiB);
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name;
  for (const char c : info.param) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(Real, RealModelMemory,
                         ::testing::Values("smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"),
                         test_name);

}  // namespace
}  // namespace plait::models
