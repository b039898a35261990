// SPDX-License-Identifier: Apache-2.0
#include "os/direct_io.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <iterator>
#include <map>

#include "base/random.h"
#include "os/page_buffer.h"
#include "testing/temp_dir.h"

namespace plait::os {
namespace {

using base::Bytes;
using base::ErrorCode;
using Completions = std::vector<AsyncFile::Completion>;
using namespace std::chrono_literals;

constexpr Bytes kBlock = kDirectAlignment;

struct Kind {
  bool use_io_uring;
  bool use_direct;
};

// Waits until nothing is in flight; the outcome of every token, each once.
std::map<std::uint64_t, base::Result<void>> finish(AsyncFile& file) {
  Completions done;
  while (file.in_flight() > 0) file.wait(done, 10s);
  std::map<std::uint64_t, base::Result<void>> outcomes;
  for (auto& completion : done) {
    EXPECT_TRUE(outcomes.emplace(completion.token, std::move(completion.result)).second) << completion.token;
  }
  return outcomes;
}

void fill(std::span<std::byte> bytes, std::uint64_t seed) {
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const std::uint64_t word = base::random_u64(seed, i);
    std::memcpy(bytes.data() + i, &word, 8);
  }
}

bool holds(std::span<const std::byte> bytes, std::uint64_t seed) {
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const std::uint64_t word = base::random_u64(seed, i);
    if (std::memcmp(bytes.data() + i, &word, 8) != 0) return false;
  }
  return true;
}

class DirectIo : public ::testing::TestWithParam<Kind> {
 protected:
  [[nodiscard]] static AsyncFileOptions options(unsigned depth = 64) {
    return {.depth = depth, .use_io_uring = GetParam().use_io_uring, .use_direct = GetParam().use_direct};
  }
  // A kernel that forbids io_uring gives the thread instead: then this kind is not tested here.
  [[nodiscard]] static bool as_wanted(const AsyncFile& file) {
    return (file.mode().engine == AsyncFileMode::Engine::io_uring) == GetParam().use_io_uring;
  }

  testing::TempDir folder_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, DirectIo,
                         ::testing::Values(Kind{true, true}, Kind{true, false}, Kind{false, true}, Kind{false, false}),
                         [](const auto& kind) {
                           return std::string(kind.param.use_io_uring ? "IoUring" : "Thread") +
                                  (kind.param.use_direct ? "Direct" : "Cached");
                         });

TEST_P(DirectIo, ReadsBackWhatWasWrittenAnywhere) {
  auto file = open_temporary_file(folder_.path(), options(4)).value();
  if (!as_wanted(*file)) GTEST_SKIP() << "the kernel refuses io_uring";
  EXPECT_TRUE(GetParam().use_direct || !file->mode().direct);
  constexpr std::size_t kBlocks = 96;
  PageBuffer memory(kBlocks * kBlock);
  std::vector<std::uint64_t> written(kBlocks, 0);  // the seed of each block; 0: never written
  std::uint64_t draw = 0;
  const auto below = [&](std::uint64_t n) { return static_cast<std::size_t>(base::random_u64(3, draw++) % n); };
  const auto block = [&](std::size_t index) { return std::span(memory.data() + index * kBlock, kBlock); };
  for (int round = 0; round < 12; ++round) {
    // Pieces of different lengths that do not overlap, more than the ring is deep.
    for (std::size_t first = below(4); first < kBlocks;) {
      const std::size_t count = std::min<std::size_t>(1 + below(7), kBlocks - first);
      for (std::size_t i = first; i < first + count; ++i) {
        written[i] = 1 + draw++;
        fill(block(i), written[i]);
      }
      file->submit_write({memory.data() + first * kBlock, count * kBlock}, first * kBlock, first);
      first += count + below(3);
    }
    for (const auto& [token, result] : finish(*file)) ASSERT_TRUE(result.has_value()) << token << result.error().text();
    std::memset(memory.data(), 0xab, memory.size());
    const auto last = static_cast<std::size_t>(
        std::find_if(written.rbegin(), written.rend(), [](std::uint64_t seed) { return seed != 0; }).base() -
        written.begin());
    for (std::size_t first = 0; first < last; first += 5) {
      const std::size_t count = std::min<std::size_t>(5, last - first);
      file->submit_read({memory.data() + first * kBlock, count * kBlock}, first * kBlock, first);
    }
    for (const auto& [token, result] : finish(*file)) ASSERT_TRUE(result.has_value()) << token << result.error().text();
    for (std::size_t i = 0; i < last; ++i) ASSERT_TRUE(written[i] == 0 || holds(block(i), written[i])) << i;
  }
}

TEST_P(DirectIo, PollDoesNotWaitAndWaitEnds) {
  auto file = open_temporary_file(folder_.path(), options()).value();
  Completions done;
  file->poll(done);
  file->wait(done, 1h);  // nothing in flight: returns at once
  EXPECT_TRUE(done.empty());
  PageBuffer memory(16 * kBlock);
  file->submit_write({memory.data(), 16 * kBlock}, 0, 5);
  EXPECT_EQ(file->in_flight(), 1U);
  file->wait(done, 10s);
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].token, 5U);
  EXPECT_TRUE(done[0].result.has_value());
  EXPECT_EQ(file->in_flight(), 0U);
}

TEST_P(DirectIo, TheEndOfTheFileIsAnError) {
  auto file = open_temporary_file(folder_.path(), options()).value();
  PageBuffer memory(8 * kBlock);
  fill({memory.data(), 8 * kBlock}, 1);
  file->submit_write({memory.data(), 3 * kBlock}, 0, 1);
  ASSERT_TRUE(finish(*file).at(1).has_value());
  file->submit_read({memory.data(), 8 * kBlock}, 0, 2);  // short, then nothing
  file->submit_read({memory.data(), 8 * kBlock}, 64 * kBlock, 3);
  const auto outcomes = finish(*file);
  EXPECT_EQ(outcomes.at(2).error().code, ErrorCode::io);
  EXPECT_EQ(outcomes.at(3).error().code, ErrorCode::io);
}

TEST_P(DirectIo, AFullDiskIsAnError) {
  PageBuffer memory(64 * kBlock);
  {
    auto file = open_async_file("/dev/full", options());
    if (file.has_value()) {
      (*file)->submit_write({memory.data(), kBlock}, 0, 1);
      EXPECT_EQ(finish(**file).at(1).error().code, ErrorCode::out_of_resources);
    }
  }
  // No file of this process may grow past this: the nearest thing to a disk that fills up in the middle of a write.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{10 * kBlock, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  {
    auto file = open_temporary_file(folder_.path(), options()).value();
    file->submit_write({memory.data(), 8 * kBlock}, 0, 1);
    file->submit_write({memory.data(), 64 * kBlock}, 0, 2);  // short at first
    file->submit_write({memory.data(), kBlock}, 32 * kBlock, 3);
    const auto outcomes = finish(*file);
    EXPECT_TRUE(outcomes.at(1).has_value());
    EXPECT_EQ(outcomes.at(2).error().code, ErrorCode::out_of_resources);
    EXPECT_EQ(outcomes.at(3).error().code, ErrorCode::out_of_resources);
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
}

TEST_P(DirectIo, ABrokenDeviceIsAnError) {
  // Page 0 of a process is not mapped: reading it from /proc/self/mem is EIO, as from a broken disk.
  auto file = open_async_file("/proc/self/mem", options());
  if (!file.has_value()) GTEST_SKIP() << "no /proc/self/mem";
  PageBuffer memory(kBlock);
  (*file)->submit_read({memory.data(), kBlock}, 0, 9);
  EXPECT_EQ(finish(**file).at(9).error().code, ErrorCode::io);
}

TEST_P(DirectIo, ATemporaryFileHasNoNameAndANamedOneStays) {
  PageBuffer memory(kBlock);
  fill({memory.data(), kBlock}, 4);
  {
    auto file = open_temporary_file(folder_.path(), options()).value();
    file->submit_write({memory.data(), kBlock}, 0, 1);
    EXPECT_EQ(folder_.entries(), 0U);
    auto named = open_async_file(folder_ / "a", options()).value();
    named->submit_write({memory.data(), kBlock}, 0, 1);
  }  // both still in flight: the destructors wait
  EXPECT_EQ(folder_.entries(), 1U);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "a"), kBlock);
  std::memset(memory.data(), 0, kBlock);
  auto again = open_async_file(folder_ / "a", options()).value();
  again->submit_read({memory.data(), kBlock}, 0, 1);
  ASSERT_TRUE(finish(*again).at(1).has_value());
  EXPECT_TRUE(holds({memory.data(), kBlock}, 4));
}

TEST_P(DirectIo, SpaceCanBeReserved) {
  AsyncFileOptions wanted = options();
  wanted.reserve_bytes = 16 * kBlock;
  auto file = open_async_file(folder_ / "a", wanted).value();
  EXPECT_EQ(std::filesystem::file_size(folder_ / "a"), 16 * kBlock);
  wanted.reserve_bytes = Bytes{1} << 60;  // more than any disk has
  const auto refused = open_temporary_file(folder_.path(), wanted);
  EXPECT_TRUE(refused.has_value() || refused.error().code == ErrorCode::out_of_resources);
}

TEST_P(DirectIo, SaysWhyItCannotOpen) {
  EXPECT_EQ(open_async_file(folder_ / "absent/a", options()).error().code, ErrorCode::not_found);
  EXPECT_EQ(open_temporary_file(folder_ / "absent", options()).error().code, ErrorCode::not_found);
  EXPECT_FALSE(open_async_file(folder_.path(), options()).has_value());
}

// The kernel refuses a ring for want of a file handle; the same path is taken where io_uring is forbidden.
TEST(DirectIoFallback, WithoutARingThereIsAThread) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP()
      << "the checks of undefined behaviour probe memory through a pipe, and this test leaves no handle for it";
#endif
  const testing::TempDir folder;
  const int next = dup(0);
  close(next);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit limit{static_cast<rlim_t>(next) + 1, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &limit);
  auto file = open_temporary_file(folder.path(), {});
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(file.has_value()) << file.error().text();
  EXPECT_EQ((*file)->mode().engine, AsyncFileMode::Engine::thread);
  PageBuffer memory(kBlock);
  (*file)->submit_write({memory.data(), kBlock}, 0, 1);
  EXPECT_TRUE(finish(**file).at(1).has_value());
}

TEST(DirectIoDeathTest, RefusesWhatIsNotAligned) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const testing::TempDir folder;
  auto file = open_temporary_file(folder.path(), {.use_io_uring = false}).value();
  PageBuffer memory(4 * kBlock);
  EXPECT_DEATH(file->submit_read({memory.data() + 512, kBlock}, 0, 1), "address");
  EXPECT_DEATH(file->submit_read({memory.data(), 512}, 0, 1), "size");
  EXPECT_DEATH(file->submit_write({memory.data(), kBlock}, 512, 1), "offset");
}

}  // namespace
}  // namespace plait::os
