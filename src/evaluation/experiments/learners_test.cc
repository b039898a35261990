// SPDX-License-Identifier: Apache-2.0
//
// The experiments on trained models, with a random one in their place: it solves next to nothing, and what holds of any
// model holds of it.
#include "evaluation/experiments/learners.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/experiment.h"
#include "evaluation/experiments/enumerations.h"
#include "evaluation/experiments/learner_drafts.h"
#include "evaluation/experiments/product_texts.h"
#include "evaluation/experiments/trace_command.h"
#include "reasoning/arithmetic.h"
#include "reasoning/outline_grammar.h"
#include "testing/temp_dir.h"
#include "testing/tiny_model.h"
#include "text/json.h"

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

TEST(ProductProblems, NoneIsInTwoParts) {
  const auto key = [](const ThreadTaskOptions& problem) {
    std::vector<std::string> products = product_task(problem, ProductForm::threads).outlines;
    std::ranges::sort(products);
    return products;
  };
  // Sums of one product: there are few enough of them to meet.
  std::set<std::vector<std::string>> training;
  for (const auto& problem : product_problems({.products = 1, .seed = 1}, 3000)) training.insert(key(problem));
  for (const auto part : {CountdownPart::validation, CountdownPart::test}) {
    for (const auto& problem : product_problems({.products = 1, .part = part, .seed = 2}, 300)) {
      EXPECT_FALSE(training.contains(key(problem)));
    }
  }
}

TEST(ProductProblems, MoreBeginAsFewer) {
  const auto few = product_problems({.part = CountdownPart::test, .seed = 3}, 10);
  const auto more = product_problems({.part = CountdownPart::test, .seed = 3}, 60);
  std::set<std::size_t> sizes;
  for (std::size_t i = 0; i < more.size(); ++i) {
    sizes.insert(more[i].products);
    if (i >= few.size()) continue;
    EXPECT_EQ(few[i].seed, more[i].seed);
  }
  EXPECT_EQ(sizes, (std::set<std::size_t>{3, 4, 5}));
}

TEST(ProductTexts, AreRightInEveryForm) {
  const ThreadTaskOptions problem{.products = 2, .in_steps = true, .seed = 8};
  const ThreadTask task = product_task(problem, ProductForm::threads);
  EXPECT_EQ(product_prompt(task, ProductForm::threads), task.question + "\nThreads:\n");
  for (const auto& one : product_problems({.seed = 4}, 50)) {
    for (const auto form : {ProductForm::sequential, ProductForm::threads, ProductForm::one_thread}) {
      const ThreadTask some = product_task(one, form);
      const std::string text = form == ProductForm::sequential ? some.sequential() : some.whole();
      EXPECT_TRUE(reasoning::check_trajectory(text)) << text;
      EXPECT_EQ(text.contains("<Parallel>"), form != ProductForm::sequential);
      EXPECT_TRUE(text.ends_with("\nAnswer: " + std::to_string(some.answer)));
      // Every equation in it holds.
      for (std::size_t at = text.find('='); at != std::string::npos; at = text.find('=', at + 1)) {
        const std::size_t begin = text.find_last_of(" \n:=", at - 1) + 1;
        const std::size_t end = std::min(text.find_first_of(",\n<=", at + 1), text.size());
        EXPECT_EQ(reasoning::evaluate(text.substr(begin, at - begin)).value().value,
                  reasoning::evaluate(text.substr(at + 1, end - at - 1)).value().value)
            << text.substr(begin, end - begin);
      }
    }
  }
}

TEST(ProductTexts, TakeAllForms) {
  std::map<std::string, std::size_t> forms;
  for (const auto& problem : product_problems({.seed = 5}, 400)) {
    const TrainingText text = product_text(problem);
    ++forms[text.prompt.substr(text.prompt.find('\n') + 1)];
  }
  ASSERT_EQ(forms.size(), 3U);
  EXPECT_NEAR(static_cast<double>(forms["One thread:\n"]), 40, 25);
  EXPECT_NEAR(static_cast<double>(forms["Threads:\n"]), 180, 40);
}

TEST(Traces, OfProductsAreLinesOfTheirTexts) {
  std::string lines;
  const auto write = [&](std::string_view line) { lines += line; };
  ASSERT_TRUE(write_traces({"products", "3", "--products", "4", "--seed", "6", "--part", "test"}, write));
  std::istringstream stream(lines);
  std::string line;
  for (const auto& problem : product_problems({.products = 4, .part = CountdownPart::test, .seed = 6}, 3)) {
    ASSERT_TRUE(std::getline(stream, line));
    const auto json = text::parse_json(line);
    ASSERT_TRUE(json);
    EXPECT_EQ((*json)["prompt"], product_text(problem).prompt);
    EXPECT_EQ((*json)["text"], product_text(problem).text);
  }
  EXPECT_FALSE(std::getline(stream, line));
  EXPECT_FALSE(write_traces({"products", "3", "--products", "10"}, write));
}

TEST(Learners, RunThreadsOfARandomModel) {
  const testing::TempDir folder;
  write_tiny_model(folder / "threads.gguf");
  const auto report = learners_experiment().run({.quick = true, .learners = folder.path()});
  ASSERT_TRUE(report) << report.error().chain();
  const auto& json = report->json["threads"];
  for (const char* form : {"sequential", "threads", "one thread", "vote"}) {
    EXPECT_EQ(json[form]["n"], 4U) << form;
    EXPECT_EQ(json[form]["solved"], 0) << form;
    EXPECT_GE(json[form]["total"].get<double>(), json[form]["critical"].get<double>()) << form;
  }
  EXPECT_EQ(json["p"], 1);
  EXPECT_EQ(report->chart.panels.size(), 1U);
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
