// SPDX-License-Identifier: Apache-2.0
//
// The experiments on trained models, with a random one in their place: it solves next to nothing, and what holds of any
// model holds of it.
#include "evaluation/experiments/learners.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/experiment.h"
#include "evaluation/experiments/enumerations.h"
#include "evaluation/experiments/learner_drafts.h"
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
  for (const char* name : {"direct.gguf", "depth-first.gguf", "refined.gguf", "spawned.gguf"})
    write_tiny_model(folder / name);
  const auto report = learners_experiment().run({.quick = true, .learners = folder.path()});
  ASSERT_TRUE(report) << report.error().chain();
  for (const Gate& gate : report->gates) EXPECT_TRUE(gate.holds() || !gate.exact) << gate.what << ' ' << gate.value;
  EXPECT_EQ(report->json["problems"], 4U);
  EXPECT_EQ(report->json["backtrack"].size(), 5U);
  EXPECT_EQ(report->json["outlines"].size(), 2U);
  EXPECT_EQ(report->json["children"].size(), 5U);
  EXPECT_EQ(report->json["refining"].size(), 6U);
  EXPECT_EQ(report->chart.panels.size(), 2U);
  EXPECT_LE(report->json["backtrack"][0]["trace_tokens"].get<double>(),
            report->json["backtrack"][4]["trace_tokens"].get<double>());
}

const CountdownProblem kProblem{{3, 5, 9}, 24};

std::string answer(std::string_view steps) {
  std::string text = "Current state: 24 from [3,5,9], operations []\n";
  for (std::size_t begin = 0; begin < steps.size();) {
    const std::size_t end = std::min(steps.find(' ', begin), steps.size());
    text += "Exploring operation: " + std::string(steps.substr(begin, end - begin)) + ", resulting numbers [1]\n";
    begin = end + 1;
  }
  return text;
}

TEST(LearnerDrafts, AreReadWithTheValuesTheyHave) {
  const auto right = read_draft(kProblem, answer("5*3=15 15+9=24"));
  ASSERT_TRUE(right);
  EXPECT_TRUE(right->right);
  EXPECT_EQ(right->value, 24);
  const auto wrong = read_draft(kProblem, answer("3*5=16 9+16=24"));  // the result is taken for what it is
  ASSERT_TRUE(wrong);
  EXPECT_FALSE(wrong->right);
  EXPECT_EQ(wrong->value, 24);
  EXPECT_EQ(workspace_text(std::vector{*wrong}), "Workspace:\nDraft: 5*3=15,15+9=24\n");
  EXPECT_EQ(workspace_text({}), "");
  for (const char* bad : {"", "5*3=15", "5*4=20 20+9=29", "9/5=1 3+1=4", "5*3=15 15+9=24 24-24=0", "5*3=15 15+8=23"}) {
    EXPECT_FALSE(read_draft(kProblem, answer(bad))) << bad;
  }
}

TEST(LearnerDrafts, KeepThoseThatEndNearest) {
  std::vector<LearnerDraft> drafts;
  for (const char* steps : {"9+5=14 14+3=17", "9+5=14 14+3=17", "5*3=15 15+9=24", "9*3=27 27-5=22"}) {
    drafts.push_back(*read_draft(kProblem, answer(steps)));
  }
  const auto kept = nearest_drafts(kProblem, drafts, 2);
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[0].value, 24);
  EXPECT_EQ(kept[1].value, 22);
  EXPECT_EQ(nearest_drafts(kProblem, drafts, 9).size(), 3U);
  EXPECT_TRUE(nearest_drafts(kProblem, {}, 2).empty());
}

TEST(Coverage, OfARandomModelIsCounted) {
  const testing::TempDir folder;
  write_tiny_model(folder / "tiny.gguf");
  const auto report = coverage_experiment().run({.quick = true, .model = folder / "tiny.gguf"});
  ASSERT_TRUE(report) << report.error().chain();
  EXPECT_TRUE(passes(*report, true));
  ASSERT_EQ(report->json["arms"].size(), 7U);
  for (const auto& arm : report->json["arms"]) {
    EXPECT_EQ(arm["lists"], 2U);
    EXPECT_LE(arm["coverage"].get<double>(), 1);
  }
  EXPECT_FALSE(coverage_experiment().run({.quick = true}));
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
