// SPDX-License-Identifier: Apache-2.0
//
// Many threads inside, or one alone: a reader-writer lock whose readers do not share a cache line. Entering costs one
// atomic exchange on a line of the thread's own, leaving a plain store; closing visits all lines.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>

#include "index/detail/version_lock.h"

namespace plait::index::detail {

/// A number from 1 to kThreadNumbers that no other living thread has, or 0 when all are taken.
inline constexpr std::size_t kThreadNumbers = 63;
class ThreadNumber {
 public:
  ThreadNumber() {
    std::uint64_t taken = taken_numbers.load(std::memory_order_relaxed);
    while (~taken != 0 && !taken_numbers.compare_exchange_weak(taken, taken | (taken + 1), std::memory_order_acquire)) {
    }
    if (~taken != 0) value_ = static_cast<std::size_t>(std::countr_one(taken));
  }
  ThreadNumber(const ThreadNumber&) = delete;
  ThreadNumber& operator=(const ThreadNumber&) = delete;
  ~ThreadNumber() {  // release: the next thread of this number comes after what this one did
    if (value_ != 0) taken_numbers.fetch_and(~(std::uint64_t{1} << value_), std::memory_order_release);
    value_ = 0;  // for what other destructors of this thread still do
  }
  [[nodiscard]] static std::size_t mine() {
    static thread_local ThreadNumber number;
    return number.value_;
  }

 private:
  inline static constinit std::atomic<std::uint64_t> taken_numbers{1};  // a bit for each; 0 is everyone's
  std::size_t value_ = 0;
};

/// A thread must not enter when it is inside.
class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() = default;

  /// Inside until destroyed.
  class Pass {
   public:
    explicit Pass(Gate& gate) : number_(ThreadNumber::mine()), count_(gate.lines_[number_].count) {
      gate.enter(number_, count_);
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass() { leave(number_, count_); }

   private:
    std::size_t number_;
    std::atomic<std::uint32_t>& count_;
  };

  /// Alone until destroyed. Requires: this thread is not inside.
  class Closed {
   public:
    explicit Closed(Gate& gate) : gate_(gate), lock_(gate.closing_) { gate_.close(); }
    Closed(const Closed&) = delete;
    Closed& operator=(const Closed&) = delete;
    ~Closed() { gate_.open(); }

   private:
    Gate& gate_;
    std::lock_guard<std::mutex> lock_;
  };

  /// How often the gate was closed: what was learned inside still holds while this is the same. Requires: inside.
  [[nodiscard]] std::uint64_t closings() const { return closings_.load(std::memory_order_relaxed); }

 private:
  void enter(std::size_t number, std::atomic<std::uint32_t>& count) {
    for (;;) {
      // seq_cst here and in close(): either this thread sees that the gate is closed, or who closes sees this thread.
      if (number != 0) [[likely]] {
        count.exchange(1, std::memory_order_seq_cst);
      } else {
        count.fetch_add(1, std::memory_order_seq_cst);
      }
      if (!closed_.load(std::memory_order_seq_cst)) [[likely]]
        return;
      leave(number, count);
      closed_.wait(true, std::memory_order_acquire);
    }
  }
  static void leave(std::size_t number, std::atomic<std::uint32_t>& count) {
    // release: what this thread did comes before what the one does who closes
    if (number != 0) [[likely]] {
      count.store(0, std::memory_order_release);
    } else {
      count.fetch_sub(1, std::memory_order_release);
    }
  }
  void close() {
    closed_.store(true, std::memory_order_seq_cst);
    for (const Line& line : lines_) {
      for (int polls = 0; line.count.load(std::memory_order_seq_cst) != 0;) {
        if (++polls < kPolls) {
          poll_pause();
        } else {
          std::this_thread::yield();  // calls are short; closing is rare
        }
      }
    }
    closings_.store(closings_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void open() {
    closed_.store(false, std::memory_order_seq_cst);
    closed_.notify_all();
  }

  static constexpr int kPolls = 64;
  struct alignas(64) Line {
    std::atomic<std::uint32_t> count{0};  // threads of this number that are inside
  };
  std::array<Line, kThreadNumbers + 1> lines_;
  std::atomic<bool> closed_{false};
  std::atomic<std::uint64_t> closings_{0};  // written while closed
  std::mutex closing_;
};

}  // namespace plait::index::detail
