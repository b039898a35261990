// SPDX-License-Identifier: Apache-2.0
#include "os/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include "testing/temp_dir.h"

namespace plait::os {
namespace {

using base::ErrorCode;

// No file of this process may grow past `bytes` while the object lives: the nearest thing to a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

// An ordinary user while the object lives, also when the tests run as root, whom permissions do not stop.
class OrdinaryUser {
 public:
  OrdinaryUser() : was_root_(geteuid() == 0) {
    if (was_root_) works_ = seteuid(65534) == 0;
  }
  ~OrdinaryUser() {
    if (was_root_ && seteuid(0) != 0) std::abort();
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;
  [[nodiscard]] bool works() const { return works_; }

 private:
  bool was_root_;
  bool works_ = true;
};

TEST(ReadFile, GivesTheContentUpToALimit) {
  const testing::TempDir folder;
  const std::string content(200'000, 'x');
  ASSERT_TRUE(write_file_atomically(folder / "a", content));
  EXPECT_EQ(read_file(folder / "a", content.size()).value(), content);
  EXPECT_EQ(read_file(folder / "a", content.size() - 1).error().code, ErrorCode::out_of_resources);
  EXPECT_EQ(read_file(folder / "a", 0).error().code, ErrorCode::out_of_resources);
  ASSERT_TRUE(write_file_atomically(folder / "empty", ""));
  EXPECT_EQ(read_file(folder / "empty", 0).value(), "");
  EXPECT_FALSE(read_file("/proc/self/status", 1 << 20).value().empty());  // a size of 0 according to stat
}

TEST(ReadFile, SaysWhatIsWrong) {
  const testing::TempDir folder;
  EXPECT_EQ(read_file(folder / "absent", 10).error().code, ErrorCode::not_found);
  EXPECT_EQ(read_file(folder / "absent/below", 10).error().code, ErrorCode::not_found);
  EXPECT_EQ(read_file(folder.path(), 10).error().code, ErrorCode::invalid_argument);
  EXPECT_NE(read_file(folder / "absent", 10).error().message.find("absent"), std::string::npos);
  EXPECT_EQ(read_file("/dev/zero", 1000).error().code, ErrorCode::out_of_resources);  // endless
}

TEST(WriteFileAtomically, ReplacesAndKeepsPermissions) {
  const testing::TempDir folder;
  ASSERT_TRUE(write_file_atomically(folder / "a", "one"));
  ASSERT_EQ(chmod((folder / "a").c_str(), 0600), 0);
  ASSERT_TRUE(write_file_atomically(folder / "a", "two"));
  EXPECT_EQ(read_file(folder / "a", 10).value(), "two");
  struct stat status{};
  ASSERT_EQ(stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  EXPECT_EQ(folder.entries(), 1U);
}

TEST(WriteFileAtomically, AFullDiskLeavesTheOldFileAndNothingElse) {
  const testing::TempDir folder;
  ASSERT_TRUE(write_file_atomically(folder / "a", "old"));
  {
    const FileSizeLimit limit(4096);
    EXPECT_EQ(write_file_atomically(folder / "a", std::string(10'000, 'x')).error().code, ErrorCode::out_of_resources);
    EXPECT_EQ(write_file_atomically(folder / "new", std::string(10'000, 'x')).error().code,
              ErrorCode::out_of_resources);
  }
  EXPECT_EQ(read_file(folder / "a", 10).value(), "old");
  EXPECT_EQ(folder.entries(), 1U);
}

TEST(WriteFileAtomically, AReadOnlyFolderIsAnErrorAndKeepsItsFiles) {
  const testing::TempDir folder;
  ASSERT_TRUE(write_file_atomically(folder / "a", "old"));
  ASSERT_EQ(chmod(folder.path().c_str(), 0555), 0);
  {
    const OrdinaryUser user;
    if (!user.works()) GTEST_SKIP() << "cannot become an ordinary user";
    EXPECT_EQ(write_file_atomically(folder / "a", "new").error().code, ErrorCode::io);
    EXPECT_EQ(write_file_atomically(folder / "b", "new").error().code, ErrorCode::io);
  }
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  EXPECT_EQ(read_file(folder / "a", 10).value(), "old");
  EXPECT_EQ(folder.entries(), 1U);
}

TEST(WriteFileAtomically, MissingFolderAndFolderInTheWay) {
  const testing::TempDir folder;
  EXPECT_EQ(write_file_atomically(folder / "absent/a", "x").error().code, ErrorCode::not_found);
  std::filesystem::create_directory(folder / "taken");
  EXPECT_EQ(write_file_atomically(folder / "taken", "x").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(folder.entries(), 1U);
}

TEST(WriteFileAtomically, AReaderSeesOneWholeVersion) {
  const testing::TempDir folder;
  const std::string one(100'000, '1');
  const std::string two(50'000, '2');
  ASSERT_TRUE(write_file_atomically(folder / "a", one));
  std::jthread writer([&](const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i)
      ASSERT_TRUE(write_file_atomically(folder / "a", i % 2 == 0 ? two : one));
  });
  for (int i = 0; i < 200; ++i) {
    const std::string seen = read_file(folder / "a", 1 << 20).value();
    ASSERT_TRUE(seen == one || seen == two);
  }
}

TEST(FreeSpace, IsKnownWhereThePathExists) {
  const testing::TempDir folder;
  EXPECT_GT(free_space(folder.path()).value(), 0U);
  EXPECT_EQ(free_space(folder / "absent").error().code, ErrorCode::not_found);
}

TEST(FileError, CodesFollowErrno) {
  EXPECT_EQ(file_error("x", "p", ENOSPC).code, ErrorCode::out_of_resources);
  EXPECT_EQ(file_error("x", "p", EDQUOT).code, ErrorCode::out_of_resources);
  EXPECT_EQ(file_error("x", "p", EACCES).code, ErrorCode::io);
  EXPECT_EQ(file_error("x", "p", EROFS).code, ErrorCode::io);
  EXPECT_EQ(file_error("x", "p", EIO).code, ErrorCode::io);
  EXPECT_EQ(file_error("x", "p", ENOTDIR).code, ErrorCode::not_found);
}

}  // namespace
}  // namespace plait::os
