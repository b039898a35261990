// SPDX-License-Identifier: Apache-2.0
#include "parallel/task_group.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace plait::parallel {
namespace {

TEST(Executor, RunsEverythingInOrderBeforeItEnds) {
  std::vector<int> order;
  {
    Executor executor(1);
    for (int i = 0; i < 100; ++i) executor.submit([&, i] { order.push_back(i); });
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(order.size(), 100);
}

TEST(TaskGroup, JoinWaitsForAllAndSeesTheirWrites) {
  Executor executor(3);
  for (int round = 0; round < 100; ++round) {
    std::vector<int> calls(20, 0);
    TaskGroup group(executor);
    for (int& count : calls) group.start([&](const CancellationToken&) { ++count; });
    group.join();
    EXPECT_EQ(calls, std::vector<int>(20, 1));
    group.start([&](const CancellationToken&) { ++calls[0]; });  // and again
    group.join();
    EXPECT_EQ(calls[0], 2);
  }
}

TEST(TaskGroup, TasksMayStartTasks) {
  Executor executor(2);
  TaskGroup group(executor);
  std::atomic<int> leaves{0};
  std::function<void(int)> grow = [&](int depth) {
    if (depth == 0) {
      ++leaves;
      return;
    }
    for (int i = 0; i < 2; ++i) group.start([&, depth](const CancellationToken&) { grow(depth - 1); });
  };
  grow(8);
  group.join();
  EXPECT_EQ(leaves, 256);
}

int fibonacci(Executor& executor, int n) {
  if (n < 2) return n;
  int first = 0;
  int second = 0;
  TaskGroup group(executor);
  group.start([&](const CancellationToken&) { first = fibonacci(executor, n - 1); });
  group.start([&](const CancellationToken&) { second = fibonacci(executor, n - 2); });
  group.join();
  return first + second;
}

TEST(TaskGroup, NestedGroupsOnOneThreadDoNotLock) {
  for (const int threads : {1, 3}) {
    Executor executor(threads);
    EXPECT_EQ(fibonacci(executor, 12), 144);
  }
}

TEST(TaskGroup, TheFirstExceptionInOrderOfStartIsRethrown) {
  Executor executor(3);
  for (int round = 0; round < 30; ++round) {
    TaskGroup group(executor);
    std::binary_semaphore third_threw(0);
    group.start([](const CancellationToken&) {});
    group.start([&](const CancellationToken&) {
      third_threw.acquire();
      throw std::runtime_error("second");
    });
    group.start([&](const CancellationToken&) {
      third_threw.release();
      throw std::runtime_error("third");
    });
    try {
      group.join();
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "second");
    }
    EXPECT_TRUE(group.token().stop_requested());
    group.join();  // thrown once only
  }
}

TEST(TaskGroup, CancellationReachesTasksAndDropsThoseThatHaveNotBegun) {
  Executor executor(2);
  Cancellation parent;
  std::atomic<int> begun{0};
  const auto held = std::make_shared<int>(0);
  TaskGroup group(executor, parent.token());
  for (int i = 0; i < 20; ++i) {
    group.start([&begun, &parent, held](const CancellationToken& stop) {
      if (++begun == 2) parent.cancel();
      while (!stop.stop_requested()) std::this_thread::yield();
    });
  }
  group.join();
  EXPECT_LE(begun, 3);  // two threads of the executor and this one: nobody ends before the second has cancelled
  EXPECT_EQ(held.use_count(), 1);
}

TEST(TaskGroup, TheDestructorCancelsAndWaits) {
  Executor executor(2);
  std::atomic<bool> ended{false};
  {
    std::binary_semaphore running(0);
    TaskGroup group(executor);
    group.start([&](const CancellationToken& stop) {
      running.release();
      while (!stop.stop_requested()) std::this_thread::yield();
      ended = true;
      throw std::runtime_error("lost");
    });
    running.acquire();
  }
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace plait::parallel
