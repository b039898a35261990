// SPDX-License-Identifier: Apache-2.0
//
// The experiment on trained models, with a random one in their place: it solves next to nothing, and what holds of any
// model holds of it.
#include "evaluation/experiments/learners.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "testing/temp_dir.h"
#include "testing/tiny_model.h"

namespace plait::evaluation {
namespace {

void write_tiny_model(const std::filesystem::path& file) {
  const auto bytes = testing::make_tiny_model({});
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

TEST(Learners, ControlsHoldOfARandomModel) {
  const testing::TempDir folder;
  for (const char* name : {"direct.gguf", "depth-first.gguf", "spawned.gguf"}) write_tiny_model(folder / name);
  const auto report = learners_experiment().run({.quick = true, .learners = folder.path()});
  ASSERT_TRUE(report) << report.error().chain();
  for (const Gate& gate : report->gates) EXPECT_TRUE(gate.holds() || !gate.exact) << gate.what << ' ' << gate.value;
  EXPECT_EQ(report->json["problems"], 4U);
  EXPECT_EQ(report->json["backtrack"].size(), 5U);
  EXPECT_EQ(report->json["outlines"].size(), 2U);
  EXPECT_EQ(report->json["children"].size(), 5U);
  EXPECT_EQ(report->chart.panels.size(), 2U);
  EXPECT_LE(report->json["backtrack"][0]["trace_tokens"].get<double>(),
            report->json["backtrack"][4]["trace_tokens"].get<double>());
}

TEST(Learners, TakeWhatIsThere) {
  const testing::TempDir folder;
  write_tiny_model(folder / "spawned.gguf");
  const auto report = learners_experiment().run({.quick = true, .learners = folder.path()});
  ASSERT_TRUE(report) << report.error().chain();
  EXPECT_FALSE(report->json.contains("outlines"));
  EXPECT_EQ(report->json["children"].size(), 5U);
}

TEST(Learners, SayWhatIsMissing) {
  const testing::TempDir folder;
  const auto none = learners_experiment().run({.quick = true});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, base::ErrorCode::invalid_argument);
  const auto empty = learners_experiment().run({.quick = true, .learners = folder.path()});
  ASSERT_FALSE(empty);
  EXPECT_NE(empty.error().message.find("direct.gguf"), std::string::npos);
}

}  // namespace
}  // namespace plait::evaluation
