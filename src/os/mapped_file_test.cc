// SPDX-License-Identifier: Apache-2.0
#include "os/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "os/file.h"
#include "os/memory.h"
#include "testing/temp_dir.h"

namespace plait::os {
namespace {

using base::ErrorCode;

std::size_t sum_of(std::span<const std::byte> bytes) {
  std::size_t sum = 0;
  for (const std::byte byte : bytes) sum += std::to_integer<std::size_t>(byte);
  return sum;
}

class MappedFileTest : public ::testing::Test {
 protected:
  std::filesystem::path make(const std::string& name, std::size_t bytes) {
    EXPECT_TRUE(write_file_atomically(folder_ / name, std::string(bytes, '\1')));
    return folder_ / name;
  }
  testing::TempDir folder_;
};

TEST_F(MappedFileTest, ShowsTheBytesAndSurvivesMoves) {
  MappedFile file = MappedFile::open(make("a", 10'000)).value();
  const std::byte* const place = file.bytes().data();
  MappedFile moved = std::move(file);
  EXPECT_EQ(moved.bytes().data(), place);
  EXPECT_EQ(sum_of(moved.bytes()), 10'000U);
  moved = MappedFile::open(make("b", 5)).value();
  EXPECT_EQ(sum_of(moved.bytes()), 5U);
  EXPECT_TRUE(moved.check());
}

TEST_F(MappedFileTest, AnEmptyFileIsAnEmptySpan) {
  const MappedFile file = MappedFile::open(make("empty", 0)).value();
  EXPECT_TRUE(file.bytes().empty());
  EXPECT_TRUE(file.check());
  file.drop_pages(0, 0);
}

TEST_F(MappedFileTest, RefusesWhatIsNoRegularFile) {
  EXPECT_EQ(MappedFile::open(folder_ / "absent").error().code, ErrorCode::not_found);
  EXPECT_EQ(MappedFile::open(folder_.path()).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(MappedFile::open("/dev/null").error().code, ErrorCode::invalid_argument);
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(folder_ / "pipe").error().code, ErrorCode::invalid_argument);  // and does not wait
}

TEST_F(MappedFileTest, NoPermissionIsAnIoError) {
  const std::filesystem::path path = make("secret", 10);
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
  const bool was_root = geteuid() == 0;
  if (was_root && seteuid(65534) != 0) GTEST_SKIP() << "cannot become an ordinary user";
  const auto result = MappedFile::open(path);
  if (was_root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_EQ(result.error().code, ErrorCode::io);
}

TEST_F(MappedFileTest, AFileCutShortReadsAsZerosAndIsReported) {
  const std::filesystem::path path = make("a", 1'000'000);
  const MappedFile file = MappedFile::open(path).value();
  const MappedFile other = MappedFile::open(make("b", 1'000'000)).value();
  ASSERT_EQ(truncate(path.c_str(), 8192), 0);
  EXPECT_EQ(sum_of(file.bytes()), 8192U);
  EXPECT_EQ(file.check().error().code, ErrorCode::io);
  ASSERT_EQ(truncate(path.c_str(), 1'000'000), 0);  // the size is right again, the content is lost
  EXPECT_EQ(file.check().error().code, ErrorCode::io);
  EXPECT_TRUE(other.check());
  EXPECT_EQ(sum_of(other.bytes()), 1'000'000U);
}

TEST_F(MappedFileTest, AFileThatGrewIsReported) {
  const std::filesystem::path path = make("a", 5000);
  const MappedFile file = MappedFile::open(path).value();
  ASSERT_EQ(truncate(path.c_str(), 6000), 0);
  EXPECT_EQ(sum_of(file.bytes()), 5000U);
  EXPECT_EQ(file.check().error().code, ErrorCode::io);
}

TEST_F(MappedFileTest, ManyThreadsMayMeetTheLostPages) {
  const std::filesystem::path path = make("a", 4'000'000);
  const MappedFile file = MappedFile::open(path).value();
  ASSERT_EQ(truncate(path.c_str(), 0), 0);
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] { EXPECT_EQ(sum_of(file.bytes().subspan(i * 1'000'000)), 0U); });
  }
  threads.clear();
  EXPECT_FALSE(file.check());
}

TEST_F(MappedFileTest, AnOpenFileSurvivesBeingReplacedOrRemoved) {
  const std::filesystem::path path = make("a", 100'000);
  const MappedFile file = MappedFile::open(path).value();
  ASSERT_TRUE(write_file_atomically(path, "new"));
  EXPECT_EQ(sum_of(file.bytes()), 100'000U);
  std::filesystem::remove(path);
  EXPECT_TRUE(file.check());
}

TEST_F(MappedFileTest, DroppedPagesLeaveMemoryAndComeBack) {
  constexpr std::size_t kBytes = 64 << 20;
  const MappedFile file = MappedFile::open(make("a", kBytes)).value();
  ASSERT_EQ(sum_of(file.bytes()), kBytes);
  const base::Bytes full = resident_bytes();
  file.drop_pages(1, kBytes - 1);
  EXPECT_LT(resident_bytes() + kBytes / 2, full);
  EXPECT_EQ(sum_of(file.bytes()), kBytes);
}

TEST_F(MappedFileTest, TooManyMapsAreRefusedAndPlacesAreUsedAgain) {
  const std::filesystem::path path = make("a", 1);
  for (int round = 0; round < 2; ++round) {
    std::vector<MappedFile> files;
    ErrorCode code = ErrorCode::internal;
    for (int i = 0; i < 1100; ++i) {
      auto file = MappedFile::open(path);
      if (!file) code = file.error().code;
      if (!file) break;
      files.push_back(*std::move(file));
    }
    EXPECT_EQ(code, ErrorCode::out_of_resources);  // of places or of file handles
    EXPECT_GT(files.size(), 100U);
  }
}

TEST(MappedFileDeathTest, OtherBusErrorsStillEndTheProgram) {
  EXPECT_DEATH(
      {
        const testing::TempDir folder;
        EXPECT_TRUE(write_file_atomically(folder / "a", std::string(8192, '\1')));
        const MappedFile ours = MappedFile::open(folder / "a").value();
        std::signal(SIGSEGV, SIG_DFL);
        static_cast<void>(::raise(SIGBUS));
      },
      "");
}

TEST(Memory, IsPlausible) {
  const MemoryInfo memory = memory_info();
  EXPECT_GT(memory.total, 0U);
  EXPECT_LE(memory.available, memory.total);
  const base::Bytes before = resident_bytes();
  EXPECT_GT(before, 0U);
  const std::vector<char> block(64 << 20, 'x');
  EXPECT_GT(resident_bytes(), before + (32 << 20));
  EXPECT_EQ(std::ranges::count(block, 'x'), 64 << 20);
}

}  // namespace
}  // namespace plait::os
