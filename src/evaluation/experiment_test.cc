// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiment.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "evaluation/experiments/index.h"
#include "evaluation/experiments/paging.h"

namespace plait::evaluation {
namespace {

TEST(Experiment, TheRegistryFindsByName) {
  ExperimentRegistry registry;
  registry.add({.name = "one", .about = "", .run = {}});
  registry.add(paging_experiment());
  EXPECT_EQ(registry.find("paging")->name, "paging");
  EXPECT_EQ(registry.find("none"), nullptr);
  EXPECT_EQ(registry.all().size(), 2U);
}

TEST(Experiment, GatesKnowTheirSide) {
  EXPECT_TRUE((Gate{"", 1, 1, true}.holds()));
  EXPECT_FALSE((Gate{"", 1.1, 1, true}.holds()));
  EXPECT_TRUE((Gate{"", 1.1, 1, false}.holds()));
  EXPECT_EQ(gates_json({{"w", 2, 1, true}})[0]["holds"], false);
}

TEST(Experiment, AQuickRunIsHeldToExactGatesOnly) {
  ExperimentReport report;
  report.gates = {{"exact", 1, 1, true, true}, {"measured", 2, 1}};
  EXPECT_TRUE(passes(report, true));
  EXPECT_FALSE(passes(report, false));
  report.gates[0].value = 2;
  EXPECT_FALSE(passes(report, true));
}

TEST(Experiment, TheSummaryHasALineForEachGateAndEachFailure) {
  std::vector<ExperimentRun> runs;
  ExperimentReport report;
  report.gates = {{"first", 1, 2}, {"second", 3, 4, false}};
  runs.push_back({"one", report});
  runs.push_back({"two", base::fail(base::ErrorCode::invalid_argument, "no model")});
  const std::string text = summary_text(runs);
  EXPECT_EQ(std::ranges::count(text, '\n'), 4);
  EXPECT_NE(text.find("second"), std::string::npos);
  EXPECT_NE(text.find("NO"), std::string::npos);
  EXPECT_NE(text.find("no model"), std::string::npos);
}

// What holds for traces of any length holds for short ones too: right bits are exact and no bound is broken.
TEST(Experiment, PagingRuns) {
  const auto report = paging_experiment().run({.quick = true});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->json["cells"].size(), 3U * 2 * 5 * 6);
  EXPECT_EQ(report->chart.panels.size(), 6U);
  EXPECT_EQ(report->gates[0].value, 1);
  for (const Gate& gate : report->gates) {
    EXPECT_TRUE(!gate.what.starts_with("bounds") || gate.value == 0);
  }
  EXPECT_NE(report->text.find("mark_predict"), std::string::npos);
}

TEST(Experiment, IndexRunsWithEveryMapThatIsThere) {
  const auto report = index_experiment().run({.quick = true});
  ASSERT_TRUE(report);
  const text::Json& cells = report->json["cells"];
  EXPECT_GE(cells.size(), 2U * 9 * 2);  // threads, loads, maps
  for (const text::Json& cell : cells) {
    EXPECT_GT(cell["operations_per_us"], 0);
    EXPECT_TRUE(cell["map"] != "plait" || cell["ratio"] == 1);
  }
  EXPECT_EQ(report->chart.panels.size(), 2U);
}

}  // namespace
}  // namespace plait::evaluation
