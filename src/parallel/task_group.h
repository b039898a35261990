// SPDX-License-Identifier: Apache-2.0
//
// Structured concurrency: tasks that end before their group does.
//
//   parallel::TaskGroup group(executor, token);
//   for (const Request& request : requests) group.start([&](const CancellationToken& stop) { answer(request, stop); });
//   group.join();                                     // rethrows; in any case no task outlives `group`
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "parallel/cancellation.h"
#include "parallel/executor.h"

namespace plait::parallel {

/// Tasks begin in the order of start(), on the executor's threads or on one that is in join(). A task that throws
/// cancels the group. When the group is cancelled, tasks that have not begun are dropped, and those that run see it in
/// their token. Groups may be nested, on one executor too: a joining thread runs what its group has left, so it never
/// waits for a thread that it holds itself.
class TaskGroup {
 public:
  using Task = std::move_only_function<void(const CancellationToken& stop)>;

  /// Cancelled when `parent` is. Requires: the executor outlives the group.
  explicit TaskGroup(Executor& executor, const CancellationToken& parent = {});
  /// Cancels what was not joined and waits for it; exceptions are lost.
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Hands over a task; returns at once. Any thread, the group's own tasks included. Requires: not empty.
  void start(Task task);

  /// Returns when no task is left. Rethrows the exception of the first task, in order of start, that threw since the
  /// last join(). One thread at a time, none of the group's tasks.
  void join();

  /// For good; returns at once. Any thread.
  void cancel();
  [[nodiscard]] CancellationToken token() const;

 private:
  struct State;
  Executor& executor_;
  std::shared_ptr<State> state_;  // shared with jobs of the executor that come too late to find a task
};

}  // namespace plait::parallel
