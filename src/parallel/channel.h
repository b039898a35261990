// SPDX-License-Identifier: Apache-2.0
//
// A bounded queue between threads.
//
//   parallel::Channel<Page> pages(16);
//   producer: while (...) if (!pages.send(next_page())) return;   // closed: nobody wants more
//             pages.close();
//   consumer: while (auto page = pages.receive()) use(*page);     // until closed and empty
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <expected>
#include <limits>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "parallel/cancellation.h"

namespace plait::parallel {

/// Why a value was not sent or received.
enum class ChannelError {
  closed,     ///< To send: closed. To receive: closed, and everything sent has been received.
  timed_out,  ///< The deadline passed.
  cancelled,  ///< The token said to stop.
};

/// Values come out in the order in which they went in. Any number of threads may send and receive; each value is
/// received once. Costs a lock for each call: for pieces of work from some 10 µs on, not for single numbers.
template <class T>
class Channel {
 public:
  static constexpr std::size_t kUnbounded = std::numeric_limits<std::size_t>::max();

  /// Holds up to `capacity` values that were sent but not received. Requires: capacity ≥ 1.
  explicit Channel(std::size_t capacity) : capacity_(capacity) { PLAIT_CHECK(capacity >= 1, capacity); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  /// Requires: no thread is in a call; close() and join them first.
  ~Channel() = default;

  /// Waits while the channel is full. Takes `value` only when it succeeds, else leaves it as it is.
  std::expected<void, ChannelError> send(T&& value, const WaitLimit& limit = {}) {
    std::unique_lock lock(mutex_);
    const bool ready = wait(lock, not_full_, limit, [&] { return closed_ || values_.size() < capacity_; });
    if (closed_) return std::unexpected(ChannelError::closed);
    if (!ready) return std::unexpected(gave_up(limit));
    values_.push_back(std::move(value));
    lock.unlock();
    not_empty_.notify_one();
    return {};
  }
  std::expected<void, ChannelError> send(const T& value, const WaitLimit& limit = {}) { return send(T(value), limit); }

  /// Waits while the channel is open and empty.
  std::expected<T, ChannelError> receive(const WaitLimit& limit = {}) {
    std::unique_lock lock(mutex_);
    const bool ready = wait(lock, not_empty_, limit, [&] { return closed_ || !values_.empty(); });
    if (!ready) return std::unexpected(gave_up(limit));
    if (values_.empty()) return std::unexpected(ChannelError::closed);
    std::expected<T, ChannelError> value(std::move(values_.front()));
    values_.pop_front();
    lock.unlock();
    not_full_.notify_one();
    return value;
  }

  /// No more values go in; those inside can still be received. Wakes everyone who waits. Again: no effect.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    not_full_.notify_all();
    not_empty_.notify_all();
  }

 private:
  /// Whether `ready` came true within the limit; it is asked at least once.
  template <class Ready>
  static bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable_any& changed, const WaitLimit& limit,
                   Ready ready) {
    using Deadline = std::chrono::steady_clock::time_point;
    if (limit.deadline == Deadline::max()) return changed.wait(lock, limit.token, ready);
    return changed.wait_until(lock, limit.token, limit.deadline, ready);
  }
  static ChannelError gave_up(const WaitLimit& limit) {
    return limit.token.stop_requested() ? ChannelError::cancelled : ChannelError::timed_out;
  }

  const std::size_t capacity_;
  std::mutex mutex_;  // guards values_ and closed_
  std::condition_variable_any not_full_;
  std::condition_variable_any not_empty_;
  std::deque<T> values_;
  bool closed_ = false;
};

}  // namespace plait::parallel
