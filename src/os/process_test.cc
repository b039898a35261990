// SPDX-License-Identifier: Apache-2.0
#include "os/process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>
#include <optional>
#include <thread>

#include "os/file.h"
#include "os/file_lock.h"
#include "os/growing_file.h"
#include "os/interrupt.h"
#include "os/paths.h"
#include "testing/scoped_variable.h"
#include "testing/temp_dir.h"

namespace plait::os {
namespace {

using base::ErrorCode;
using testing::TempDir;

TEST(Process, OutputErrorsAndExitCode) {
  const auto result = run_process({.arguments = {"sh", "-c", "echo out; echo err >&2; exit 7"}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 7);
  EXPECT_EQ(result->output, "out\n");
  EXPECT_EQ(result->errors, "err\n");
}

TEST(Process, ArgumentsAreNotForAShell) {
  const auto result = run_process({.arguments = {"printf", "%s", "$HOME; `id` \"x y\""}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output, "$HOME; `id` \"x y\"");
}

TEST(Process, EnvironmentAndFolder) {
  const TempDir dir;
  const auto result = run_process(
      {.arguments = {"sh", "-c", "pwd; echo $PLAIT_X"}, .environment = {{"PLAIT_X", "a b"}}, .folder = dir.path()});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output, dir.path().string() + "\na b\n");
}

TEST(Process, InputIsEmpty) {
  const auto result = run_process({.arguments = {"cat"}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output, "");
}

TEST(Process, NoSuchProgram) {
  EXPECT_EQ(run_process({.arguments = {"plait-no-such-program"}}).error().code, ErrorCode::not_found);
  EXPECT_EQ(run_process({}).error().code, ErrorCode::invalid_argument);
}

TEST(Process, LongOutputIsKeptInPart) {
  const auto result = run_process({.arguments = {"sh", "-c", "head -c 1000000 /dev/zero"}, .output_bytes_max = 1000});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_EQ(result->output.size(), 1000U);
}

TEST(Process, TimeoutEndsTheWholeGroup) {
  const auto result =
      run_process({.arguments = {"sh", "-c", "sleep 100 & sleep 100"}, .timeout = std::chrono::milliseconds(100)});
  EXPECT_EQ(result.error().code, ErrorCode::interrupted);
}

TEST(Process, AStubbornProgramIsKilled) {
  const auto result = run_process(
      {.arguments = {"sh", "-c", "trap '' TERM; while :; do sleep 1; done"}, .keep_going = [] { return false; }});
  EXPECT_EQ(result.error().code, ErrorCode::interrupted);
}

TEST(Process, ProgramsLeftBehindDoNotHoldUs) {
  const auto result = run_process({.arguments = {"sh", "-c", "sleep 100 & echo done"}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output, "done\n");
}

TEST(Process, ASignalIsAnExitCode) {
  const auto result = run_process({.arguments = {"sh", "-c", "kill -9 $$"}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 128 + SIGKILL);
}

TEST(FileLock, OneHolderAtATime) {
  const TempDir dir;
  const auto path = dir / "lock";
  {
    const auto first = FileLock::try_acquire(path);
    ASSERT_TRUE(first);
    EXPECT_EQ(FileLock::try_acquire(path).error().code, ErrorCode::busy);
    EXPECT_EQ(FileLock::acquire(path, [] { return false; }).error().code, ErrorCode::interrupted);
  }
  EXPECT_TRUE(FileLock::try_acquire(path));
  EXPECT_FALSE(FileLock::try_acquire(dir / "no-such-folder" / "lock"));
}

TEST(FileLock, TheSecondGetsItWhenTheFirstLetsGo) {
  const TempDir dir;
  auto first = FileLock::try_acquire(dir / "lock");
  ASSERT_TRUE(first);
  std::optional<FileLock> held(std::move(*first));
  std::thread second([&] { EXPECT_TRUE(FileLock::acquire(dir / "lock", [] { return true; })); });
  held.reset();
  second.join();
}

TEST(GrowingFile, GrowsIsCutAndRenamed) {
  const TempDir dir;
  const auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  {
    auto file = GrowingFile::open(dir / "part");
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->append(bytes("hello world")));
  }
  auto file = GrowingFile::open(dir / "part");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->size(), 11U);
  ASSERT_TRUE(file->truncate(6));
  ASSERT_TRUE(file->append(bytes("moon")));
  ASSERT_TRUE(file->rename_to(dir / "whole"));
  EXPECT_EQ(read_file(dir / "whole", 100), "hello moon");
  EXPECT_FALSE(std::filesystem::exists(dir / "part"));
  std::string read;
  ASSERT_TRUE(read_in_pieces(dir / "whole", [&](std::span<const std::byte> piece) -> base::Result<void> {
    read.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return {};
  }));
  EXPECT_EQ(read, "hello moon");
}

TEST(GrowingFile, RefusesWhatIsNoOrdinaryFile) {
  const TempDir dir;
  std::filesystem::create_symlink("/dev/null", dir / "link");
  EXPECT_FALSE(GrowingFile::open(dir / "link"));
  EXPECT_FALSE(GrowingFile::open(dir.path()));
  EXPECT_FALSE(GrowingFile::open("/dev/null"));
  EXPECT_EQ(read_in_pieces(dir / "absent", {}).error().code, ErrorCode::not_found);
}

TEST(GrowingFile, AFullDiskIsOutOfResources) {
  // RLIMIT_FSIZE would raise a signal; /dev/full is no ordinary file. The mapping of errno to a code is what matters
  // here.
  EXPECT_EQ(file_error("cannot write", "x", ENOSPC).code, ErrorCode::out_of_resources);
}

TEST(Interrupt, FirstSetsTheFlagSecondEndsTheProgram) {
  {
    const InterruptGuard guard;
    EXPECT_FALSE(interrupt_requested());
    raise(SIGINT);
    EXPECT_TRUE(interrupt_requested());
    clear_interrupt();
    EXPECT_FALSE(interrupt_requested());
  }
  const auto twice = [] {
    const InterruptGuard guard;
    raise(SIGINT);
    raise(SIGINT);
  };
  EXPECT_EXIT(twice(), ::testing::ExitedWithCode(130), "");
}

TEST(Interrupt, HangupIsTakenOnce) {
  const HangupGuard guard;
  EXPECT_FALSE(take_hangup());
  raise(SIGHUP);
  raise(SIGHUP);
  EXPECT_TRUE(take_hangup());
  EXPECT_FALSE(take_hangup());
}

TEST(Paths, FollowTheEnvironment) {
  const testing::ScopedVariable cache("XDG_CACHE_HOME", "/x/cache");
  const testing::ScopedVariable config("XDG_CONFIG_HOME", "relative");
  const testing::ScopedVariable state("XDG_STATE_HOME", "/x/state");
  const testing::ScopedVariable home("HOME", "/home/me");
  EXPECT_EQ(cache_dir(), "/x/cache/plait");
  EXPECT_EQ(state_dir(), "/x/state/plait");
  EXPECT_EQ(config_dir(), "/home/me/.config/plait");  // a relative value is ignored
  EXPECT_EQ(config_files().front(), "plait.toml");
}

}  // namespace
}  // namespace plait::os
