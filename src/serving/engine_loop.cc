// SPDX-License-Identifier: Apache-2.0
#include "serving/engine_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace plait::serving {
namespace {

constexpr double kLook = 0.1;  // seconds: how often an idle thread calls its watch

}  // namespace

void Bell::ring() {
  {
    const std::scoped_lock lock(mutex_);
    rung_ = true;
  }
  wake_.notify_one();
}

void Bell::wait(double seconds) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return rung_; });
  rung_ = false;
}

void EngineLoop::post(Work work) {
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return;
    posted_.push_back(std::move(work));
  }
  bell_->ring();
}

engine::EngineCounters EngineLoop::counters() const {
  const std::scoped_lock lock(mutex_);
  return counters_;
}

void EngineLoop::work() {
  {
    const std::scoped_lock lock(mutex_);
    taken_.swap(posted_);
  }
  for (Work& work : taken_) work(engine_);
  taken_.clear();
}

void EngineLoop::publish() {
  const engine::EngineCounters counters = engine_.counters();
  const std::scoped_lock lock(mutex_);
  counters_ = counters;
}

void EngineLoop::close() {
  std::vector<Work> dropped;
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  dropped.swap(posted_);
}

std::shared_ptr<EngineLoop> EngineThread::add(engine::Engine& engine) {
  auto loop = std::make_shared<EngineLoop>(engine, bell_);
  loop->publish();
  {
    const std::scoped_lock lock(mutex_);
    changes_.push_back({.loop = loop, .removed = {}});
  }
  bell_->ring();
  return loop;
}

void EngineThread::remove(std::shared_ptr<EngineLoop> loop, std::move_only_function<void()> then) {
  {
    const std::scoped_lock lock(mutex_);
    changes_.push_back({.loop = std::move(loop), .removed = std::move(then)});
  }
  bell_->ring();
}

void EngineThread::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  bell_->ring();
}

// False after stop().
bool EngineThread::take_changes() {
  std::vector<Change> changes;
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_) return false;
    changes.swap(changes_);
  }
  for (Change& change : changes) {
    if (!change.removed) {
      pool_.add(change.loop->engine());
      loops_.push_back(std::move(change.loop));
      continue;
    }
    change.loop->close();
    pool_.remove(change.loop->engine());
    std::erase(loops_, change.loop);
    change.removed();
  }
  return true;
}

void EngineThread::turn() {
  for (const auto& loop : loops_) loop->work();
  engine::Engine* stepped = pool_.step();
  for (const auto& loop : loops_) {
    if (stepped == nullptr || &loop->engine() == stepped) loop->publish();
  }
  if (stepped == nullptr) bell_->wait(kLook);
}

void EngineThread::run(const std::function<void()>& watch) {
  while (take_changes()) {
    turn();
    if (watch) watch();
  }
}

}  // namespace plait::serving
