// SPDX-License-Identifier: Apache-2.0
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12, under address checks, about std::jthread's own code
#endif
#include "store/result_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "store/crash_test_driver.h"
#include "testing/bytes.h"
#include "testing/crash_disk.h"
#include "testing/temp_dir.h"

namespace plait::store {
namespace {

using base::ErrorCode;
using base::Result;
using testing::bytes_of;
using testing::CrashDisk;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// As far as a caller can tell: whole, and nothing strange inside.
bool is_result(std::string_view line) {
  return line.starts_with("{\"id\":") && line.ends_with('}') && line.find('\0') == std::string_view::npos;
}

Result<std::unique_ptr<ResultFile>> open_results(FileLayer& layer, std::vector<std::string>& lines,
                                                 const std::filesystem::path& path = "results.jsonl",
                                                 ResultFileOptions options = {}) {
  lines.clear();
  const auto on_line = [&](std::string_view line) {
    lines.emplace_back(line);
    return is_result(line);
  };
  return ResultFile::open(layer, path, on_line, options);
}

std::string any_line(std::uint64_t seed, std::uint64_t number) {
  const std::uint64_t bits = base::random_u64(base::child_seed(seed, 2), number);
  constexpr std::size_t kLengths[] = {0, 30, 200, 495, 496, 497, 1000, 3000};
  const std::string text(kLengths[bits % 8] + (bits >> 8) % 20, static_cast<char>('a' + bits % 26));
  return fmt::format(R"({{"id":{},"text":"{}"}})", number, text);
}

CrashScenario results_scenario(CrashDisk::Lies lies = {}) {
  const auto open = [](FileLayer& layer,
                       const std::function<void(std::string_view)>& recovered) -> Result<CrashSubject> {
    const auto on_line = [&](std::string_view line) {
      recovered(line);
      return is_result(line);
    };
    PLAIT_TRY(auto opened, ResultFile::open(layer, "results.jsonl", on_line, {.waiting_bytes_max = 8000}));
    const std::shared_ptr<ResultFile> results = std::move(opened);
    return CrashSubject{.append = [results](std::string_view line) { return results->append(line); },
                        .commit = [results] { return results->commit(); }};
  };
  return {.open = open, .record = any_line, .lies = lies};
}

TEST(ResultFile, KeepsWhatWasCommittedThroughCrashes) {
  CrashCoverage coverage;
  EXPECT_EQ(find_violation(results_scenario(), 3000, coverage), "");
  EXPECT_GT(coverage.crashes, 3000U);
  EXPECT_GT(coverage.kills, 3000U);
  EXPECT_GT(coverage.crashes_in_open, 300U);
  EXPECT_GT(coverage.poisoned, 100U);
  EXPECT_GT(coverage.disk_full, 100U);
  EXPECT_GT(coverage.acknowledged, 10'000U);
  EXPECT_GT(coverage.survived_unasked, 100U);  // a crash between the last write of a group and its sync
  EXPECT_GT(coverage.lost_rightly, 1000U);
}

TEST(ResultFile, TheSameTestFindsADiskThatLies) {
  CrashCoverage ignored;
  EXPECT_NE(find_violation(results_scenario({.file_sync = true}), 300, ignored), "");
  EXPECT_NE(find_violation(results_scenario({.directory_sync = true}), 300, ignored), "");
}

TEST(ResultFile, IsPlainLines) {
  CrashDisk disk(1);
  std::vector<std::string> lines;
  const auto results = open_results(disk, lines).value();
  ASSERT_TRUE(results->append(R"({"id":"a"})"));
  ASSERT_TRUE(results->append(R"({"id":"b"})"));
  EXPECT_EQ(text_of(disk.content("results.jsonl")), "");  // not seen before the commit
  ASSERT_TRUE(results->commit());
  ASSERT_TRUE(results->append(R"({"id":"c"})"));
  ASSERT_TRUE(results->commit());
  EXPECT_EQ(text_of(disk.content("results.jsonl")), "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n");
  EXPECT_EQ(open_results(disk, lines).error().code, ErrorCode::busy);
}

struct Existing {
  std::string content;
  std::string kept;
};

TEST(ResultFile, CutsOffWhatWasNotFinished) {
  using namespace std::string_literals;
  const std::string a = "{\"id\":1}\n";
  const std::vector<Existing> cases = {
      {"", ""},
      {a, a},
      {a + a, a + a},
      {"{\"id\":", ""},
      {a + "{\"id\":2", a},
      {a + "{\"id\":2}", a},                   // no newline: nobody knows whether it is whole
      {a + "\0\"id\":2}\n{\"id\":3}\n"s, a},   // a group that was written and not shown
      {a + "\0\0\0\0\n\0\0{\"id\":3}\n"s, a},  // and torn
      {"\0"s, ""},
  };
  for (const auto& [content, kept] : cases) {
    CrashDisk disk(1);
    disk.set_content("results.jsonl", bytes_of(content));
    std::vector<std::string> lines;
    const auto results = open_results(disk, lines).value();
    EXPECT_EQ(text_of(disk.content("results.jsonl")), kept);
    EXPECT_EQ(results->recovery().bytes_dropped, content.size() - kept.size());
    EXPECT_EQ(results->recovery().lines, lines.size());
    EXPECT_EQ(lines.size(), kept.size() / a.size());
    ASSERT_TRUE(results->append("{\"id\":9}"));
    ASSERT_TRUE(results->commit());
    EXPECT_EQ(text_of(disk.content("results.jsonl")), kept + "{\"id\":9}\n");
  }
}

TEST(ResultFile, ADamagedLineIsNamedAndNothingIsTouched) {
  const std::string content = "{\"id\":1}\n{\"id\":2}\nrubbish\n{\"id\":4}\n{\"id";
  CrashDisk disk(1);
  disk.set_content("results.jsonl", bytes_of(content));
  std::vector<std::string> lines;
  const auto results = open_results(disk, lines);
  ASSERT_FALSE(results);
  EXPECT_EQ(results.error().code, ErrorCode::invalid_data);
  EXPECT_NE(results.error().message.find("line 3"), std::string::npos) << results.error().message;
  EXPECT_EQ(text_of(disk.content("results.jsonl")), content);
}

TEST(ResultFile, LinesHaveALimit) {
  const ResultFileOptions options = {.line_bytes_max = 20};
  const std::string fits = "{\"id\":34567890123456}";
  ASSERT_EQ(fits.size(), 21U);
  CrashDisk disk(1);
  std::vector<std::string> lines;
  {
    const auto results = open_results(disk, lines, "results.jsonl", options).value();
    EXPECT_EQ(results->append(fits).error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(results->append("{\"id\":3456789012345}"));
    EXPECT_TRUE(results->commit());
  }
  EXPECT_TRUE(open_results(disk, lines, "results.jsonl", options));
  EXPECT_EQ(open_results(disk, lines, "results.jsonl", {.line_bytes_max = 19}).error().code, ErrorCode::invalid_data);
  disk.set_content("results.jsonl", bytes_of(std::string(600'000, 'x')));
  EXPECT_EQ(open_results(disk, lines, "results.jsonl", options).error().code, ErrorCode::invalid_data);
}

TEST(ResultFile, RefusesWhatIsNoLine) {
  using namespace std::string_view_literals;
  CrashDisk disk(1);
  std::vector<std::string> lines;
  const auto results = open_results(disk, lines).value();
  for (const auto line : {""sv, "a\nb"sv, "\n"sv, "a\n"sv, "\0a"sv}) {
    EXPECT_EQ(results->append(line).error().code, ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(results->commit());
  EXPECT_TRUE(disk.content("results.jsonl").empty());
}

TEST(ResultFile, LongLinesAndManyOfThem) {
  CrashDisk disk(1);
  std::vector<std::string> lines;
  std::vector<std::string> expected;
  {
    const auto results = open_results(disk, lines).value();
    for (std::uint64_t i = 0; i < 400; ++i) {
      expected.push_back(fmt::format(R"({{"id":{},"t":"{}"}})", i, std::string(i == 7 ? 900'000 : 10 * i, 'y')));
      ASSERT_TRUE(results->append(expected.back()));
    }
    ASSERT_TRUE(results->commit());
  }
  ASSERT_TRUE(open_results(disk, lines));
  EXPECT_EQ(lines, expected);
}

TEST(ResultFile, ThreadsShareTheFile) {
  constexpr std::uint64_t kThreads = 6;
  constexpr std::uint64_t kLines = 30;
  const testing::TempDir folder;
  OsFileLayer layer;
  std::vector<std::string> lines;
  {
    const auto results = open_results(layer, lines, folder / "results.jsonl").value();
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint64_t i = 0; i < kLines; ++i) {
          ASSERT_TRUE(results->append(fmt::format(R"({{"id":{}}})", t * kLines + i)));
          ASSERT_TRUE(results->commit());
        }
      });
    }
  }
  ASSERT_TRUE(open_results(layer, lines, folder / "results.jsonl"));
  EXPECT_EQ(lines.size(), kThreads * kLines);
  EXPECT_EQ(std::set<std::string>(lines.begin(), lines.end()).size(), lines.size());
}

// Writes results until it is killed; says on `tell` which ones are committed. Skips what is done, as a batch does.
[[noreturn]] void write_results(const std::filesystem::path& path, int tell) {
  OsFileLayer layer;
  std::set<std::string> done;
  const auto on_line = [&](std::string_view line) { return is_result(line) && done.emplace(line).second; };
  const auto results = ResultFile::open(layer, path, on_line);
  if (!results) _exit(1);
  for (std::uint32_t i = 0;; ++i) {
    const std::string line = fmt::format(R"({{"id":{},"text":"{}"}})", i, std::string(i % 700, 'z'));
    if (done.contains(line)) continue;
    if (!(*results)->append(line)) _exit(2);
    if (i % 3 != 2) continue;
    if (!(*results)->commit() || write(tell, &i, sizeof i) != sizeof i) _exit(3);
  }
}

TEST(ResultFile, GoesOnAfterKill) {
  const testing::TempDir folder;
  const auto path = folder / "results.jsonl";
  for (std::uint32_t round = 0; round < 8; ++round) {
    std::array<int, 2> tell{};
    ASSERT_EQ(pipe(tell.data()), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_results(path, tell[1]);
    close(tell[1]);
    // Kills it after some commits, and hears of those that it made meanwhile.
    std::uint32_t last = 0;
    std::uint32_t heard = 0;
    for (std::uint32_t i = 0; read(tell[0], &i, sizeof i) == sizeof i; last = i) {
      if (++heard == 2 + 3 * round) kill(child, SIGKILL);
    }
    close(tell[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    OsFileLayer layer;
    std::vector<std::string> lines;
    ASSERT_TRUE(open_results(layer, lines, path));
    ASSERT_GT(lines.size(), last);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      ASSERT_TRUE(lines[i].starts_with(fmt::format(R"({{"id":{},)", i))) << lines[i];
    }
  }
}

}  // namespace
}  // namespace plait::store
