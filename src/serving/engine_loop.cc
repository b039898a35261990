// SPDX-License-Identifier: Apache-2.0
#include "serving/engine_loop.h"

#include <chrono>
#include <utility>

namespace plait::serving {
namespace {

constexpr auto kLook = std::chrono::milliseconds(100);  // how often an idle loop calls its watch

}  // namespace

void EngineLoop::post(Work work) {
  {
    const std::scoped_lock lock(mutex_);
    posted_.push_back(std::move(work));
  }
  wake_.notify_one();
}

void EngineLoop::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_one();
}

engine::EngineCounters EngineLoop::counters() const {
  const std::scoped_lock lock(mutex_);
  return counters_;
}

// Takes what was posted; waits for it a while if the engine has nothing to do. False after stop().
bool EngineLoop::take() {
  const bool idle = !engine_.busy();
  const engine::EngineCounters counters = engine_.counters();
  std::unique_lock lock(mutex_);
  counters_ = counters;
  if (idle) wake_.wait_for(lock, kLook, [&] { return stopped_ || !posted_.empty(); });
  taken_.swap(posted_);
  return !stopped_;
}

void EngineLoop::run(const std::function<void()>& watch) {
  while (take()) {
    for (Work& work : taken_) work(engine_);
    taken_.clear();
    if (engine_.busy()) engine_.step();
    if (watch) watch();
  }
}

}  // namespace plait::serving
