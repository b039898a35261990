// SPDX-License-Identifier: Apache-2.0
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12, under address checks, about std::jthread's own code
#endif
#include "parallel/channel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace plait::parallel {
namespace {

using namespace std::chrono_literals;

template <class Result>
void expect_error(const Result& result, ChannelError error) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), error);
}

TEST(Channel, FirstInFirstOut) {
  Channel<int> channel(3);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(channel.send(i, WaitLimit::none()));
  expect_error(channel.send(3, WaitLimit::none()), ChannelError::timed_out);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(channel.receive(WaitLimit::none()), i);
  expect_error(channel.receive(WaitLimit::none()), ChannelError::timed_out);
}

TEST(Channel, ClosedGivesWhatIsInside) {
  Channel<std::unique_ptr<int>> channel(3);
  ASSERT_TRUE(channel.send(std::make_unique<int>(7)));
  channel.close();
  channel.close();
  auto refused = std::make_unique<int>(8);
  expect_error(channel.send(std::move(refused)), ChannelError::closed);
  EXPECT_EQ(*refused, 8);  // NOLINT(bugprone-use-after-move): what was not sent stays with the sender
  EXPECT_EQ(**channel.receive(), 7);
  expect_error(channel.receive(), ChannelError::closed);
}

TEST(Channel, ADeadlineEndsWaiting) {
  Channel<int> channel(1);
  expect_error(channel.receive(WaitLimit::within(1ms)), ChannelError::timed_out);
  ASSERT_TRUE(channel.send(1));
  expect_error(channel.send(2, WaitLimit::within(1ms)), ChannelError::timed_out);
}

TEST(Channel, ClosingAndCancellingWakeThoseWhoWait) {
  for (int round = 0; round < 50; ++round) {
    Channel<int> empty(1);
    Channel<int> full(1);
    ASSERT_TRUE(full.send(0));
    Cancellation cancellation;
    std::vector<std::jthread> threads;
    threads.emplace_back([&] { expect_error(empty.receive(), ChannelError::closed); });
    threads.emplace_back([&] { expect_error(full.send(1), ChannelError::closed); });
    threads.emplace_back([&] {
      Channel<int> other(1);
      expect_error(other.receive({.token = cancellation.token()}), ChannelError::cancelled);
      expect_error(other.receive(WaitLimit::within(1h, cancellation.token())), ChannelError::cancelled);
    });
    if (round % 2 == 0) std::this_thread::yield();
    empty.close();
    full.close();
    cancellation.cancel();
  }
}

TEST(Channel, ManySendersAndReceiversLoseNothing) {
  constexpr int kThreads = 3;
  constexpr int kValues = 3000;
  for (const std::size_t capacity : {std::size_t{1}, std::size_t{7}, Channel<int>::kUnbounded}) {
    Channel<int> channel(capacity);
    std::vector<std::vector<int>> received(kThreads);
    {
      std::vector<std::jthread> receivers;
      for (int r = 0; r < kThreads; ++r) {
        receivers.emplace_back([&, r] {
          while (const auto value = channel.receive()) received[static_cast<std::size_t>(r)].push_back(*value);
        });
      }
      {
        std::vector<std::jthread> senders;
        for (int s = 0; s < kThreads; ++s) {
          senders.emplace_back([&, s] {
            for (int i = 0; i < kValues; ++i) ASSERT_TRUE(channel.send(i * kThreads + s));
          });
        }
      }
      channel.close();
    }
    std::vector<int> count(kThreads * kValues, 0);
    for (const auto& values : received) {
      std::vector<int> last(kThreads, -1);  // values of one sender stay in order at each receiver
      for (const int value : values) {
        ++count[static_cast<std::size_t>(value)];
        int& before = last[static_cast<std::size_t>(value % kThreads)];
        EXPECT_LT(before, value);
        before = value;
      }
    }
    EXPECT_EQ(count, std::vector<int>(count.size(), 1));
  }
}

TEST(Cancellation, GoesFromParentToChildOnly) {
  Cancellation parent;
  Cancellation child(parent.token());
  Cancellation sibling(parent.token());
  EXPECT_FALSE(child.token().stop_requested());
  child.cancel();
  EXPECT_TRUE(child.cancelled());
  EXPECT_FALSE(parent.cancelled());
  EXPECT_FALSE(sibling.cancelled());
  parent.cancel();
  EXPECT_TRUE(sibling.token().stop_requested());
  EXPECT_TRUE(Cancellation(parent.token()).cancelled());
  EXPECT_FALSE(CancellationToken{}.stop_requested());
}

}  // namespace
}  // namespace plait::parallel
