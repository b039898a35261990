// SPDX-License-Identifier: Apache-2.0
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12, under address checks, about std::jthread's own code
#endif
#include "store/log.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/random.h"
#include "store/crash_test_driver.h"
#include "store/record.h"
#include "testing/bytes.h"
#include "testing/crash_disk.h"
#include "testing/temp_dir.h"

namespace plait::store {
namespace {

using base::ErrorCode;
using base::Result;
using testing::bytes_of;
using testing::CrashDisk;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<std::unique_ptr<Log>> open_log(FileLayer& layer, std::vector<std::string>& records,
                                      const std::filesystem::path& path = "log", LogOptions options = {}) {
  records.clear();
  const auto on_record = [&](std::span<const std::byte> record) {
    records.emplace_back(text_of(record));
    return Result<void>{};
  };
  return Log::open(layer, path, on_record, options);
}

// Empty, short, over several sectors; zeros, which look like space never written; the byte that heads begin with.
std::string any_record(std::uint64_t seed, std::uint64_t number) {
  const std::uint64_t bits = base::random_u64(base::child_seed(seed, 2), number);
  constexpr std::size_t kLengths[] = {0, 1, 9, 60, 300, 480, 700, 2500};
  std::string record(kLengths[bits % 8] + (bits >> 8) % 40 * (bits % 8), '\0');
  if ((bits >> 20) % 4 == 0) return record;
  if ((bits >> 20) % 4 == 1) return std::string(record.size(), static_cast<char>(kRecordFirstByte));
  for (std::size_t i = 0; i < record.size(); ++i) record[i] = static_cast<char>(base::random_u64(bits, i));
  return record;
}

CrashScenario log_scenario(CrashDisk::Lies lies = {}) {
  const auto open = [](FileLayer& layer,
                       const std::function<void(std::string_view)>& recovered) -> Result<CrashSubject> {
    const auto on_record = [&](std::span<const std::byte> record) {
      recovered(text_of(record));
      return Result<void>{};
    };
    // Little room, so that some appends commit.
    PLAIT_TRY(auto opened, Log::open(layer, "log", on_record, {.waiting_bytes_max = 8000}));
    const std::shared_ptr<Log> log = std::move(opened);
    return CrashSubject{.append = [log](std::string_view record) -> Result<void> {
                          PLAIT_TRY_VOID(log->append(bytes_of(record)));
                          return {};
                        },
                        .commit = [log] { return log->commit(); }};
  };
  return {.open = open, .record = any_record, .lies = lies};
}

TEST(Log, KeepsWhatWasCommittedThroughCrashes) {
  CrashCoverage coverage;
  EXPECT_EQ(find_violation(log_scenario(), 3000, coverage), "");
  EXPECT_GT(coverage.crashes, 3000U);
  EXPECT_GT(coverage.kills, 3000U);
  EXPECT_GT(coverage.crashes_in_open, 300U);
  EXPECT_GT(coverage.poisoned, 100U);
  EXPECT_GT(coverage.disk_full, 100U);
  EXPECT_GT(coverage.acknowledged, 10'000U);
  EXPECT_GT(coverage.survived_unasked, 1000U);
  EXPECT_GT(coverage.lost_rightly, 1000U);
}

TEST(Log, TheSameTestFindsADiskThatLies) {
  CrashCoverage ignored;
  EXPECT_NE(find_violation(log_scenario({.file_sync = true}), 300, ignored), "");
  EXPECT_NE(find_violation(log_scenario({.directory_sync = true}), 300, ignored), "");
}

TEST(Log, PositionsCountThroughReopening) {
  CrashDisk disk(1);
  std::vector<std::string> records;
  for (std::uint64_t round = 0; round < 3; ++round) {
    const auto log = open_log(disk, records).value();
    ASSERT_EQ(records.size(), 2 * round);
    EXPECT_EQ(log->recovery().records, 2 * round);
    EXPECT_EQ(log->append(bytes_of("a")), Position{2 * round});
    EXPECT_EQ(log->append(bytes_of("b")), Position{2 * round + 1});
    EXPECT_TRUE(log->commit_through(Position{2 * round}));
    EXPECT_TRUE(log->commit_through(Position{0}));
    EXPECT_TRUE(log->commit());
    EXPECT_EQ(open_log(disk, records).error().code, ErrorCode::busy);
  }
}

TEST(Log, RefusesLongRecordsAndTakesThemBack) {
  CrashDisk disk(1);
  std::vector<std::string> records;
  {
    const auto log = open_log(disk, records, "log", {.record_bytes_max = 10}).value();
    EXPECT_EQ(log->append(bytes_of("eleven byte")).error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(log->append(bytes_of("ten bytes.")));
    EXPECT_TRUE(log->commit());
  }
  ASSERT_TRUE(open_log(disk, records, "log", {.record_bytes_max = 5}));
  EXPECT_EQ(records, std::vector<std::string>{"ten bytes."});
}

TEST(Log, ARecordLargerThanTheRoomGoesThrough) {
  CrashDisk disk(1);
  std::vector<std::string> records;
  const std::string large(700'000, 'x');  // and larger than what recovery reads at once
  {
    const auto log = open_log(disk, records, "log", {.waiting_bytes_max = 100}).value();
    EXPECT_TRUE(log->append(bytes_of("small")));
    EXPECT_TRUE(log->append(bytes_of(large)));
    EXPECT_TRUE(log->append(bytes_of("small")));
    EXPECT_TRUE(log->commit());
  }
  ASSERT_TRUE(open_log(disk, records));
  EXPECT_EQ(records, (std::vector<std::string>{"small", large, "small"}));
}

TEST(Log, AnErrorOfTheCallerEndsRecovery) {
  CrashDisk disk(1);
  std::vector<std::string> records;
  {
    const auto log = open_log(disk, records).value();
    EXPECT_TRUE(log->append(bytes_of("a")));
    EXPECT_TRUE(log->commit());
  }
  const auto before = disk.content("log");
  const auto refuse = [](std::span<const std::byte>) -> Result<void> {
    return base::fail(ErrorCode::unsupported, "from a later version");
  };
  EXPECT_EQ(Log::open(disk, "log", refuse).error().code, ErrorCode::unsupported);
  EXPECT_EQ(disk.content("log"), before);
}

TEST(Log, ADiskThatFillsUpLosesNothing) {
  CrashDisk disk(3);
  std::vector<std::string> records;
  {
    const auto log = open_log(disk, records).value();
    EXPECT_TRUE(log->append(bytes_of(std::string(2000, 'a'))));
    disk.fill_up(2);
    EXPECT_EQ(log->commit().error().code, ErrorCode::out_of_resources);
    EXPECT_TRUE(log->append(bytes_of("b")));
    EXPECT_EQ(log->commit().error().code, ErrorCode::out_of_resources);
    EXPECT_TRUE(log->append(bytes_of("c")));
    EXPECT_TRUE(log->commit());
  }
  disk.crash();
  ASSERT_TRUE(open_log(disk, records));
  EXPECT_EQ(records, (std::vector<std::string>{std::string(2000, 'a'), "b", "c"}));
}

TEST(Log, AFailedSyncPoisons) {
  CrashDisk disk(1);
  std::vector<std::string> records;
  const auto log = open_log(disk, records).value();
  const Position durable = log->append(bytes_of("a")).value();
  EXPECT_TRUE(log->commit());
  EXPECT_TRUE(log->append(bytes_of("b")));
  disk.fail_next_sync();
  EXPECT_EQ(log->commit().error().code, ErrorCode::io);
  const std::uint64_t syncs = disk.file_syncs();
  EXPECT_EQ(log->commit().error().code, ErrorCode::io);
  EXPECT_EQ(log->append(bytes_of("c")).error().code, ErrorCode::io);
  EXPECT_TRUE(log->commit_through(durable));  // was durable before
  EXPECT_EQ(disk.file_syncs(), syncs);        // and nobody tried again
}

// A log of 3 groups of 3 records each, and where its records lie.
struct Sample {
  std::vector<std::byte> content;
  std::vector<std::size_t> heads;
  std::vector<std::string> records;
};

Sample sample(bool closed) {
  CrashDisk disk(1);
  Sample made;
  auto log = open_log(disk, made.records).value();
  std::size_t at = 16;
  for (std::size_t i = 0; i < 9; ++i) {
    made.records.push_back(std::string(20 + 7 * i, static_cast<char>('a' + i)));
    EXPECT_TRUE(log->append(bytes_of(made.records.back())));
    if (i % 3 == 2) {
      EXPECT_TRUE(log->commit());
    }
    made.heads.push_back(at);
    at += kRecordHeadBytes + made.records.back().size();
  }
  if (closed) {
    EXPECT_TRUE(Log::close(std::move(log)));
  }
  log.reset();
  made.content = disk.content("log");
  EXPECT_EQ(made.content.size(), at + (closed ? kRecordHeadBytes : 0));
  return made;
}

// Damage in any byte: never a record that was not written, never a silent loss of a group that a later one vouches for.
TEST(Log, EveryDamagedByteIsFound) {
  for (const bool closed : {false, true}) {
    const Sample whole = sample(closed);
    for (std::size_t at = 0; at < whole.content.size(); ++at) {
      CrashDisk disk(1);
      auto content = whole.content;
      content[at] ^= std::byte{0x10};
      disk.set_content("log", content);
      const auto damaged = static_cast<std::size_t>(std::ranges::upper_bound(whole.heads, at) - whole.heads.begin());
      std::vector<std::string> records;
      const auto log = open_log(disk, records);
      const std::size_t end = whole.heads.back() + kRecordHeadBytes + whole.records.back().size();
      const bool vouched = at < end && (closed || damaged <= 6);  // by the third group or by the mark
      ASSERT_EQ(log.has_value(), !vouched) << at;
      const std::size_t good = at < 16 ? 0 : at < end ? damaged - 1 : whole.records.size();
      ASSERT_EQ(records, std::vector(whole.records.begin(), whole.records.begin() + static_cast<std::ptrdiff_t>(good)));
      if (vouched) {
        ASSERT_EQ(log.error().code, ErrorCode::invalid_data);
        ASSERT_EQ(disk.content("log"), content);
      } else {
        const std::size_t cut = at < end ? whole.heads[good] : end;
        ASSERT_EQ((*log)->recovery().bytes_dropped, content.size() - cut);
        ASSERT_EQ(disk.content("log").size(), cut);
      }
    }
  }
}

TEST(Log, EveryCutIsATornEnd) {
  const Sample whole = sample(false);
  for (std::size_t size = 0; size < whole.content.size(); ++size) {
    CrashDisk disk(1);
    disk.set_content("log", std::span(whole.content).first(size));
    std::vector<std::string> records;
    {
      const auto log = open_log(disk, records);
      ASSERT_TRUE(log) << size;
      ASSERT_TRUE((*log)->append(bytes_of("more")));
      ASSERT_TRUE((*log)->commit());
    }
    std::size_t good = 0;
    while (whole.heads[good] + kRecordHeadBytes + whole.records[good].size() <= size) ++good;
    auto expected = std::vector(whole.records.begin(), whole.records.begin() + static_cast<std::ptrdiff_t>(good));
    ASSERT_EQ(records, expected) << size;
    expected.emplace_back("more");
    ASSERT_TRUE(open_log(disk, records));
    ASSERT_EQ(records, expected) << size;
  }
}

TEST(Log, ALogInsideARecordIsNotMistakenForTheLog) {
  const Sample inner = sample(true);
  CrashDisk disk(1);
  std::vector<std::string> records;
  {
    const auto log = open_log(disk, records).value();
    EXPECT_TRUE(log->append(inner.content));
    EXPECT_TRUE(log->commit());
  }
  auto content = disk.content("log");
  content[20] ^= std::byte{1};  // the head of the only record
  disk.set_content("log", content);
  ASSERT_TRUE(open_log(disk, records));
  EXPECT_TRUE(records.empty());
}

TEST(Log, OtherFilesAreLeftAlone) {
  for (const std::string_view text :
       {"hello", "a text that is longer than the title of a log", "plait log 2\n\0\0\0\0"}) {
    CrashDisk disk(1);
    disk.set_content("log", bytes_of(text));
    std::vector<std::string> records;
    EXPECT_EQ(open_log(disk, records).error().code, ErrorCode::invalid_data) << text;
    EXPECT_EQ(text_of(disk.content("log")), text);
  }
}

TEST(Log, ClosingAgainAddsNothing) {
  CrashDisk disk(1);
  std::vector<std::string> records;
  for (int round = 0; round < 3; ++round) ASSERT_TRUE(Log::close(open_log(disk, records).value()));
  EXPECT_EQ(disk.content("log").size(), 16U);
  auto log = open_log(disk, records).value();
  EXPECT_TRUE(log->append(bytes_of("a")));
  ASSERT_TRUE(Log::close(std::move(log)));
  const std::size_t size = disk.content("log").size();
  for (int round = 0; round < 3; ++round) ASSERT_TRUE(Log::close(open_log(disk, records).value()));
  EXPECT_EQ(disk.content("log").size(), size);
  EXPECT_EQ(records, std::vector<std::string>{"a"});
}

// The first commit is held in its sync until seven others have appended: one more sync must serve them all.
TEST(Log, ThreadsThatCommitTogetherShareOneSync) {
  CrashDisk disk(1);
  std::vector<std::string> records;
  auto log = open_log(disk, records).value();
  const std::uint64_t syncs_before = disk.file_syncs();
  std::mutex mutex;
  std::condition_variable changed;
  bool first_in_sync = false;
  int appended = 0;
  disk.before_sync([&] {
    std::unique_lock lock(mutex);
    if (std::exchange(first_in_sync, true)) return;
    changed.notify_all();
    changed.wait(lock, [&] { return appended == 7; });
  });
  {
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
      EXPECT_TRUE(log->append(bytes_of("first")));
      EXPECT_TRUE(log->commit());
    });
    for (int i = 0; i < 7; ++i) {
      threads.emplace_back([&] {
        {
          std::unique_lock lock(mutex);
          changed.wait(lock, [&] { return first_in_sync; });
        }
        EXPECT_TRUE(log->append(bytes_of("other")));
        {
          const std::lock_guard lock(mutex);
          ++appended;
        }
        changed.notify_all();
        EXPECT_TRUE(log->commit());
      });
    }
  }
  EXPECT_EQ(disk.file_syncs() - syncs_before, 2U);
  log.reset();
  disk.crash();
  ASSERT_TRUE(open_log(disk, records));
  EXPECT_EQ(records.size(), 8U);
}

// Records of one thread stay in order, and each commit covers the caller's own, whatever the others do.
TEST(Log, ManyThreadsOnARealFile) {
  constexpr std::uint64_t kThreads = 8;
  constexpr std::uint64_t kRecords = 40;
  const testing::TempDir folder;
  OsFileLayer layer;
  std::vector<std::string> records;
  {
    auto log = open_log(layer, records, folder / "log", {.waiting_bytes_max = 400}).value();
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint64_t i = 0; i < kRecords; ++i) {
          const auto position = log->append(bytes_of(fmt::format("{} {}", t, i)));
          ASSERT_TRUE(position);
          if (i % 3 == 0) {
            ASSERT_TRUE(log->commit_through(*position));
          }
        }
      });
    }
    threads.clear();
    ASSERT_TRUE(Log::close(std::move(log)));
  }
  ASSERT_TRUE(open_log(layer, records, folder / "log"));
  ASSERT_EQ(records.size(), kThreads * kRecords);
  std::vector<std::uint64_t> next(kThreads, 0);
  for (const std::string& record : records) {
    const auto thread = static_cast<std::size_t>(record[0] - '0');
    EXPECT_EQ(record, fmt::format("{} {}", thread, next[thread]++));
  }
}

TEST(Log, AFailureReachesEveryThread) {
  for (std::uint64_t round = 0; round < 20; ++round) {
    CrashDisk disk(round);
    std::vector<std::string> records;
    auto log = open_log(disk, records).value();
    std::atomic<std::uint64_t> acknowledged{0};
    disk.cut_power_after(10 + round);
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
          while (log->append(bytes_of("x")) && log->commit()) ++acknowledged;
        });
      }
    }
    log.reset();
    disk.crash();
    ASSERT_TRUE(open_log(disk, records));
    EXPECT_GE(records.size(), acknowledged);
    EXPECT_LE(records.size(), acknowledged + 4);
  }
}

}  // namespace
}  // namespace plait::store
