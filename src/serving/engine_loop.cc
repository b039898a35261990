// SPDX-License-Identifier: Apache-2.0
#include "serving/engine_loop.h"

#include <chrono>
#include <utility>

namespace plait::serving {
namespace {

constexpr auto kLook = std::chrono::milliseconds(100);  // how often an idle loop calls its watch
constexpr double kReclaimableSeconds = 2;               // between two looks at what the cache would give up

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

StepTimes EngineLoop::step_times() const {
  const std::scoped_lock lock(mutex_);
  return step_times_;
}

std::uint32_t EngineLoop::pages_reclaimable() const {
  const std::scoped_lock lock(mutex_);
  return pages_reclaimable_;
}

// Takes what was posted; waits for it a while if the engine has nothing to do. False after stop().
bool EngineLoop::take() {
  const bool idle = !engine_.busy();
  const engine::EngineCounters counters = engine_.counters();
  const bool look = base::steady_clock().now() >= reclaimable_next_;
  const std::uint32_t reclaimable = look ? engine_.pages_reclaimable() : 0;
  if (look) reclaimable_next_ = base::steady_clock().now() + kReclaimableSeconds;
  std::unique_lock lock(mutex_);
  if (counters.steps > counters_.steps) {
    const std::uint64_t rows = counters.prompt_rows + counters.decode_rows;
    step_times_.seconds.add(step_seconds_);
    step_times_.rows.add(static_cast<double>(rows - counters_.prompt_rows - counters_.decode_rows));
  }
  counters_ = counters;
  if (look) pages_reclaimable_ = reclaimable;
  if (idle) wake_.wait_for(lock, kLook, [&] { return stopped_ || !posted_.empty(); });
  taken_.swap(posted_);
  return !stopped_;
}

void EngineLoop::run(const std::function<void()>& watch) {
  while (take()) {
    for (Work& work : taken_) work(engine_);
    taken_.clear();
    if (engine_.busy()) step();
    if (watch) watch();
  }
}

void EngineLoop::step() {
  const double begin = base::steady_clock().now();
  engine_.step();
  step_seconds_ = base::steady_clock().now() - begin;
}

}  // namespace plait::serving
