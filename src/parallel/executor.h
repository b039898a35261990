// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "parallel/channel.h"

namespace plait::parallel {

/// Threads that run jobs of any kind, several at a time, in the order in which they came. For work that may wait; loops
/// over data belong to a Team.
class Executor {
 public:
  using Job = std::move_only_function<void()>;

  /// Requires: threads ≥ 1. Throws std::system_error when the machine refuses a thread.
  explicit Executor(int threads);
  /// Runs what was submitted, then ends the threads.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  [[nodiscard]] int threads() const { return static_cast<int>(threads_.size()); }

  /// Runs the job on one of the threads, some time later; returns at once. Any thread, jobs included. Requires: the job
  /// does not throw and is not empty.
  void submit(Job job);

 private:
  Channel<Job> jobs_{Channel<Job>::kUnbounded};
  std::vector<std::jthread> threads_;
};

}  // namespace plait::parallel
