// SPDX-License-Identifier: Apache-2.0
//
// The group keeps its tasks itself; for each of them the executor gets a job that runs whichever task is next, if any
// is left. So a joining thread takes tasks without searching the executor's queue.
#include "parallel/task_group.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <utility>

namespace plait::parallel {

struct TaskGroup::State {
  explicit State(const CancellationToken& parent) : cancellation(parent) {}

  /// Runs the task that is next, or drops it if the group is cancelled. False: none is left.
  bool run_next();
  /// Returns what it threw.
  std::exception_ptr run(Task taken);
  /// Runs or drops all tasks and waits for those that other threads run.
  void finish();

  Cancellation cancellation;
  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::deque<Task> waiting;
  std::size_t begun = 0;     // tasks taken from `waiting`: the next one's place in the order of start
  std::size_t running = 0;   // those of them that have not ended
  std::exception_ptr error;  // the first in that order
  std::size_t error_of = 0;  // its task
};

// The task ends here with all that it holds, so nothing of it is left when join() returns.
std::exception_ptr TaskGroup::State::run(Task taken) {
  try {
    Task task = std::move(taken);
    if (!cancellation.cancelled()) task(cancellation.token());
    return nullptr;
  } catch (...) {
    cancellation.cancel();
    return std::current_exception();
  }
}

bool TaskGroup::State::run_next() {
  std::unique_lock lock(mutex);
  if (waiting.empty()) return false;
  Task task = std::move(waiting.front());
  waiting.pop_front();
  const std::size_t place = begun++;
  ++running;
  lock.unlock();
  std::exception_ptr thrown = run(std::move(task));
  lock.lock();
  if (thrown && (!error || place < error_of)) {
    error = std::move(thrown);
    error_of = place;
  }
  if (--running == 0) changed.notify_all();
  return true;
}

void TaskGroup::State::finish() {
  while (true) {
    while (run_next()) {
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return running == 0 || !waiting.empty(); });
    if (waiting.empty()) return;
  }
}

TaskGroup::TaskGroup(Executor& executor, const CancellationToken& parent)
    : executor_(executor), state_(std::make_shared<State>(parent)) {}

TaskGroup::~TaskGroup() {
  state_->cancellation.cancel();
  state_->finish();
}

void TaskGroup::start(Task task) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->waiting.push_back(std::move(task));
  }
  state_->changed.notify_all();
  executor_.submit([state = state_] { state->run_next(); });
}

void TaskGroup::join() {
  state_->finish();
  const std::lock_guard lock(state_->mutex);
  if (state_->error) std::rethrow_exception(std::exchange(state_->error, nullptr));
}

void TaskGroup::cancel() { state_->cancellation.cancel(); }

CancellationToken TaskGroup::token() const { return state_->cancellation.token(); }

}  // namespace plait::parallel
