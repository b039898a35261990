// SPDX-License-Identifier: Apache-2.0
//
// Batches on a scripted model and a disk that forgets: whatever ends a run, all runs together give each request one
// result, with the text of a run that nothing disturbed.
#include "serving/batch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "serving/tiny_test_target.h"
#include "testing/crash_disk.h"
#include "testing/scripted_runner.h"

namespace plait::serving {
namespace {

using text::Json;

constexpr const char* kFile = "results";

std::string request_line(const std::string& id, Json more = Json::object()) {
  Json body{{"prompt", "text of " + id}, {"max_tokens", 8}};
  body.update(more);
  return Json{{"custom_id", id}, {"method", "POST"}, {"url", "/v1/completions"}, {"body", body}}.dump();
}

std::vector<std::string> some_requests(std::size_t count) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    const auto tokens = 1 + base::random_u64(1, i) % 30;
    lines.push_back(request_line(fmt::format("r{}", i), {{"max_tokens", tokens}, {"n", 1 + i % 3}}));
  }
  return lines;
}

/// One run of the program over `input`, until the end or as long as `steps` lasts.
class BatchRun {
 public:
  explicit BatchRun(testing::CrashDisk& disk, std::size_t rows = 4, BatchOptions options = {})
      : disk_(disk), rows_(rows), options_(std::move(options)) {}

  base::Result<BatchCounts> operator()(const std::vector<std::string>& input, std::size_t steps = 1'000'000) {
    testing::ScriptedRunner runner({.vocabulary = testing::kTinyVocabulary, .context = 256}, clock_);
    auto engine = *engine::Engine::make(
        runner, {.kv_bytes = 200 * (runner.layout().page_bytes(0) + runner.layout().page_bytes(1)), .rows_max = rows_},
        clock_);
    BatchDone done;
    PLAIT_TRY(const auto results,
              store::ResultFile::open(disk_, kFile, [&](std::string_view line) { return done.note(line); }));
    EngineAnswers answers(*engine, tiny_.target, rows_);
    Batch batch(answers, tiny_.target, *results, done, options_, clock_);
    std::size_t at = 0;
    const auto next = [&]() -> base::Result<std::optional<std::string>> {
      if (at == input.size()) return std::nullopt;
      return input[at++];
    };
    auto counts = batch.run(next, [&](const BatchCounts&) { return steps-- > 0; });
    rows_of_step = runner.rows_of_step;
    return counts;
  }

  std::vector<std::size_t> rows_of_step = {};  ///< Of the last run's forward passes.

 private:
  testing::CrashDisk& disk_;
  std::size_t rows_;
  BatchOptions options_;
  TinyTarget tiny_;
  testing::VirtualClock clock_;
};

std::vector<Json> results_on(const testing::CrashDisk& disk) {
  const auto bytes = disk.content(kFile);
  std::vector<Json> lines;
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    lines.push_back(*text::parse_json(rest.substr(0, end)));
    rest.remove_prefix(end + 1);
  }
  return lines;
}

/// custom_id to the texts of its choices; each may occur once.
std::map<std::string, std::vector<std::string>> texts_on(const testing::CrashDisk& disk) {
  std::map<std::string, std::vector<std::string>> texts;
  for (const Json& line : results_on(disk)) {
    std::vector<std::string> own;
    for (const Json& choice : line["response"]["body"]["choices"]) own.push_back(choice["text"].get<std::string>());
    EXPECT_TRUE(texts.emplace(line["custom_id"].get<std::string>(), own).second) << line;
  }
  return texts;
}

// Nobody watches the first answers come: prompts are not cut into pieces for their sake.
TEST(Batch, PromptsComeInWholeSteps) {
  testing::CrashDisk disk(0);
  std::vector<std::string> lines;
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    const std::string prompt = fmt::format("{} {}", i, std::string(100, 'a'));
    tokens += prompt.size();  // a token is a byte, but for what marks the beginning
    lines.push_back(request_line(fmt::format("r{}", i), {{"prompt", prompt}, {"max_tokens", 6}, {"ignore_eos", true}}));
  }
  BatchRun run(disk, 20);
  const auto counts = run(lines);
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(counts->answered, 20U);
  EXPECT_LE(run.rows_of_step.size(), tokens / models::kStepRows + 2 + 6);
}

TEST(Batch, AnswersEveryRequestInOpenAisShape) {
  testing::CrashDisk disk(0);
  const auto counts = BatchRun(disk)(some_requests(20));
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(counts->answered, 20U);
  EXPECT_EQ(counts->failed + counts->skipped, 0U);
  EXPECT_EQ(texts_on(disk).size(), 20U);
  for (const Json& line : results_on(disk)) {
    EXPECT_EQ(line["id"], "batch_req_" + std::to_string(std::stoi(line["custom_id"].get<std::string>().substr(1)) + 1));
    EXPECT_EQ(line["response"]["status_code"], 200);
    EXPECT_TRUE(line["response"]["request_id"].is_string());
    EXPECT_EQ(line["response"]["body"]["object"], "text_completion");
    EXPECT_EQ(line["error"], Json());
  }
}

TEST(Batch, TextsDoNotDependOnTheWidth) {
  std::map<std::string, std::vector<std::string>> expected;
  for (const std::size_t rows : {1U, 3U, 64U}) {
    testing::CrashDisk disk(0);
    ASSERT_TRUE(BatchRun(disk, rows)(some_requests(30)));
    if (expected.empty()) expected = texts_on(disk);
    EXPECT_EQ(texts_on(disk), expected);
  }
}

TEST(Batch, OrderedResultsFollowTheInput) {
  for (const std::size_t ahead : {1U, 5U, 4096U}) {
    testing::CrashDisk disk(0);
    auto input = some_requests(30);
    input.insert(input.begin() + 7, "no request");
    ASSERT_TRUE(BatchRun(disk, 8, {.ordered = true, .ahead_max = ahead})(input));
    std::vector<std::string> ids;
    for (const Json& line : results_on(disk)) ids.push_back(line["id"].get<std::string>());
    ASSERT_EQ(ids.size(), 31U);
    for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], batch_result_id(i + 1));
  }
}

TEST(Batch, WhatIsWrongIsReportedOnceAcrossRuns) {
  const std::vector<std::string> input{
      request_line("a"),
      "{",
      request_line("a", {{"max_tokens", 1}}),
      "",
      R"({"custom_id": 7})",
      R"({"custom_id": "b", "url": "/v1/nothing", "body": {}})",
      R"({"custom_id": "c", "method": "GET", "url": "/v1/completions", "body": {}})",
      R"({"custom_id": "d", "url": "/v1/completions"})",
      request_line("e", {{"temperature", -1}}),
      request_line("f", {{"nonsense", 1}, {"model", "other"}}),
      std::string(kBatchLineBytesMax + 1, ' ') + "x",
  };
  testing::CrashDisk disk(0);
  for (int turn = 0; turn < 2; ++turn) {
    const auto counts = BatchRun(disk)(input);
    ASSERT_TRUE(counts);
    EXPECT_EQ(counts->lines, 10U);
    EXPECT_EQ(counts->skipped, turn == 0 ? 0U : 10U);
    EXPECT_EQ(counts->answered, turn == 0 ? 2U : 0U);
    EXPECT_EQ(counts->failed, turn == 0 ? 8U : 0U);
    EXPECT_EQ(counts->warned, turn == 0 ? 1U : 0U);
    EXPECT_EQ(counts->other_model, turn == 0 ? 1U : 0U);
  }
  std::map<std::string, std::string> seen;  // id to what was said
  for (const Json& line : results_on(disk)) {
    const Json& response = line["response"];
    const std::string said = response.is_null()               ? line["error"]["code"].get<std::string>()
                             : response["status_code"] == 200 ? "answered"
                                                              : response["body"]["error"]["param"].get<std::string>();
    EXPECT_TRUE(seen.emplace(line["id"].get<std::string>(), said).second);
  }
  const std::map<std::string, std::string> expected{
      {"batch_req_1", "answered"},     {"batch_req_2", "invalid_line"}, {"batch_req_3", "duplicate_custom_id"},
      {"batch_req_5", "invalid_line"}, {"batch_req_6", "url"},          {"batch_req_7", "method"},
      {"batch_req_8", "body"},         {"batch_req_9", "temperature"},  {"batch_req_10", "answered"},
      {"batch_req_11", "invalid_line"}};
  EXPECT_EQ(seen, expected);
}

TEST(Batch, AFileThatHoldsNoResultsIsRefusedAndLeftAlone) {
  for (const std::string text : {"hello\n", "{}\n", "[1]\n", "{\"id\":\"a\",\"custom_id\":1,\"response\":{}}\n"}) {
    testing::CrashDisk disk(0);
    disk.set_content(kFile, std::as_bytes(std::span(text)));
    const auto counts = BatchRun(disk)(some_requests(2));
    ASSERT_FALSE(counts) << text;
    EXPECT_EQ(counts.error().code, base::ErrorCode::invalid_data);
    EXPECT_EQ(disk.content(kFile).size(), text.size());
  }
}

/// Ended at any step, by the caller or by a crash of disk or process, the runs that follow lose and repeat nothing.
TEST(Batch, RunsThatEndEarlyGoOn) {
  const auto input = some_requests(25);
  testing::CrashDisk whole(0);
  ASSERT_TRUE(BatchRun(whole)(input));
  const auto expected = texts_on(whole);
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    testing::CrashDisk disk(seed);
    const std::size_t rows = 1 + seed % 7;
    BatchOptions options{.ordered = seed % 2 == 1, .commit_seconds = 0.03, .commit_results = 3};
    std::size_t written = 0;
    for (std::uint64_t turn = 0;; ++turn) {
      const auto counts = BatchRun(disk, rows, options)(input, base::random_u64(seed, turn) % 40 + turn);
      ASSERT_TRUE(counts) << counts.error().message;
      const auto texts = texts_on(disk);
      EXPECT_GE(texts.size(), written);
      written = texts.size();
      for (const auto& [id, text] : texts) ASSERT_EQ(text, expected.at(id));
      if (!counts->ended_early) break;
    }
    EXPECT_EQ(written, expected.size());
  }
}

TEST(Batch, KilledRunsLoseAndRepeatNothing) {
  const auto input = some_requests(12);
  testing::CrashDisk whole(0);
  ASSERT_TRUE(BatchRun(whole)(input));
  const auto expected = texts_on(whole);
  std::size_t crashes = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    testing::CrashDisk disk(seed);
    const BatchOptions options{.ordered = seed % 2 == 1, .commit_seconds = 0.02, .commit_results = 2};
    for (std::uint64_t turn = 0;; ++turn) {
      disk.cut_power_after(3 + base::random_u64(seed, turn) % 20 + turn);
      const auto counts = BatchRun(disk, 3, options)(input);
      if (counts) break;
      ++crashes;
      if (base::random_u64(seed, 1000 + turn) % 2 == 0) {
        disk.crash();
      } else {
        disk.kill_process();
      }
    }
    EXPECT_EQ(texts_on(disk), expected) << seed;
  }
  EXPECT_GT(crashes, 30U);
}

}  // namespace
}  // namespace plait::serving
