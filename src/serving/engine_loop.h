// SPDX-License-Identifier: Apache-2.0
//
// The engine's thread, and the way to it from all others.
//
//   EngineLoop loop(engine);
//   ... other threads: loop.post([=](engine::Engine& engine) { engine.submit(...); });
//   loop.run(watch);                                            // on the engine's thread, until stop()
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "engine/engine.h"
#include "serving/step_times.h"

namespace plait::serving {

class EngineLoop {
 public:
  using Work = std::move_only_function<void(engine::Engine&)>;

  /// The engine must outlive it.
  explicit EngineLoop(engine::Engine& engine) : engine_(engine) {}
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  /// Has `work` done on the engine's thread, before the next step; in the order of the calls. Any thread, the engine's
  /// too. After run() it is kept, and dropped with the loop. Requires: work does not throw.
  void post(Work work);
  /// Does what is posted, and steps the engine while it is busy; else sleeps. Returns after stop(). `watch` is called
  /// after every step, and several times a second.
  void run(const std::function<void()>& watch = {});
  /// Ends run() before its next step. Any thread.
  void stop();
  /// As of the last step, or a moment ago. Any thread.
  [[nodiscard]] engine::EngineCounters counters() const;
  /// As counters().
  [[nodiscard]] StepTimes step_times() const;
  /// Engine::pages_reclaimable(), at most some seconds ago. Any thread.
  [[nodiscard]] std::uint32_t pages_reclaimable() const;

 private:
  bool take();
  void step();

  engine::Engine& engine_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Work> posted_;              // under mutex_
  bool stopped_ = false;                  // under mutex_
  engine::EngineCounters counters_ = {};  // under mutex_, as the next two
  StepTimes step_times_ = {};
  std::uint32_t pages_reclaimable_ = 0;
  // The rest is the engine's thread's.
  std::vector<Work> taken_;
  double step_seconds_ = 0;      // of the last step
  double reclaimable_next_ = 0;  // when to look
};

}  // namespace plait::serving
