// SPDX-License-Identifier: Apache-2.0
//
// The lock of one node: a reader-writer lock beside a version. Who changes the node holds the lock alone and keeps the
// version odd for just as long as the node is inconsistent; who reads it looks at the version before and after, and
// takes the lock only when that fails too often.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "base/check.h"

namespace plait::index::detail {

/// Tells the core that this thread polls.
inline void poll_pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

/// Not recursive. Writers that wait hold back new readers. A thread that does not get the lock after some polls parks.
class VersionLock {
 public:
  struct HeldAlone {};

  VersionLock() = default;
  /// Held by the thread that makes it, in the middle of a change.
  explicit VersionLock(HeldAlone /*tag*/) : word_(kWriter), version_(1) {}
  VersionLock(const VersionLock&) = delete;
  VersionLock& operator=(const VersionLock&) = delete;
  ~VersionLock() = default;

  void lock() {
    acquire([](std::uint32_t word) { return (word & ~kParked) == 0 ? word | kWriter : word; });
  }
  void unlock() {
    if ((word_.exchange(0, std::memory_order_release) & kParked) != 0) word_.notify_all();
  }
  void lock_shared() {
    acquire([](std::uint32_t word) { return (word & (kWriter | kParked)) == 0 ? word + kReader : word; });
  }
  void unlock_shared() {
    std::uint32_t left = word_.fetch_sub(kReader, std::memory_order_release) - kReader;
    // The last reader wakes who parked. If the word has changed since, somebody holds the lock and will do it.
    if (left == kParked && word_.compare_exchange_strong(left, 0, std::memory_order_relaxed)) word_.notify_all();
  }

  /// Around every change. Requires: locked alone, by this thread or (while nobody else knows the node) by its maker.
  void begin_change() {
    PLAIT_ASSERT(!odd(version_.load(std::memory_order_relaxed)));
    // relaxed: the stores of the change release it
    version_.store(version_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void end_change() {
    PLAIT_ASSERT(odd(version_.load(std::memory_order_relaxed)));
    version_.store(version_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// For readers without the lock: acquire, so that what they load next is not older.
  [[nodiscard]] std::uint32_t version() const { return version_.load(std::memory_order_acquire); }
  [[nodiscard]] static bool odd(std::uint32_t version) { return (version & 1U) != 0; }
  /// Whether all loads since version() gave `before` saw one state. relaxed: those loads acquire.
  [[nodiscard]] bool unchanged(std::uint32_t before) const {
    return version_.load(std::memory_order_relaxed) == before;
  }

 private:
  static constexpr std::uint32_t kWriter = 1;  // held alone
  static constexpr std::uint32_t kParked = 2;  // threads sleep until the word changes
  static constexpr std::uint32_t kReader = 4;  // one of those who share it
  static constexpr int kPolls = 64;            // some 2 µs; a change takes some 0.1 µs unless its thread lost its core

  /// `take` gives the word with the lock taken, or the same word when it is not free.
  template <class Take>
  void acquire(Take take) {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    for (int polls = 0;;) {
      const std::uint32_t taken = take(word);
      if (taken != word) {
        if (word_.compare_exchange_weak(word, taken, std::memory_order_acquire, std::memory_order_relaxed)) return;
      } else if (++polls < kPolls) {
        poll_pause();
        word = word_.load(std::memory_order_relaxed);
      } else if ((word & kParked) != 0 ||
                 word_.compare_exchange_weak(word, word | kParked, std::memory_order_relaxed)) {
        word_.wait(word | kParked, std::memory_order_relaxed);
        word = word_.load(std::memory_order_relaxed);
      }
    }
  }

  std::atomic<std::uint32_t> word_{0};
  std::atomic<std::uint32_t> version_{0};
};

}  // namespace plait::index::detail
