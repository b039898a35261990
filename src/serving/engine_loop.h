// SPDX-License-Identifier: Apache-2.0
//
// The thread that all engines run on, and the way to each of them from all other threads.
//
//   EngineThread thread;
//   const auto loop = thread.add(engine);
//   ... other threads: loop->post([=](engine::Engine& engine) { engine.submit(...); });
//   thread.run(watch);                                          // on the engines' thread, until stop()
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/model_pool.h"

namespace plait::serving {

/// A bell that one thread waits for. Any thread.
class Bell {
 public:
  void ring();
  /// Until it was rung since the last time, or `seconds` have passed.
  void wait(double seconds);

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool rung_ = false;  // under mutex_
};

/// What others want of an engine, and what they may know of it.
class EngineLoop {
 public:
  using Work = std::move_only_function<void(engine::Engine&)>;

  EngineLoop(engine::Engine& engine, std::shared_ptr<Bell> bell) : engine_(engine), bell_(std::move(bell)) {}
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  /// Has `work` done on the engine's thread, before the next step; in the order of the calls. Any thread, the engine's
  /// too. Kept while the thread does not run, dropped after close(). Requires: work does not throw.
  void post(Work work);
  /// As of the last step, or a moment ago. Any thread.
  [[nodiscard]] engine::EngineCounters counters() const;

  /// The engine's thread: does what was posted.
  void work();
  /// The engine's thread: tells the others how far it is.
  void publish();
  /// Nothing is done any more; what was posted is dropped. The engine's thread, or no other one knows the loop.
  void close();
  [[nodiscard]] engine::Engine& engine() { return engine_; }  ///< The engine's thread's.

 private:
  engine::Engine& engine_;
  std::shared_ptr<Bell> bell_;
  mutable std::mutex mutex_;
  std::vector<Work> posted_;              // under mutex_
  bool closed_ = false;                   // under mutex_
  engine::EngineCounters counters_ = {};  // under mutex_
  std::vector<Work> taken_;               // the engine's thread's
};

/// Runs engines, one step at a time; whose, see engine/model_pool.h.
class EngineThread {
 public:
  explicit EngineThread(const base::Clock& clock = base::steady_clock()) : pool_(clock) {}
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  /// From now on the engine runs here and belongs to this thread. It must stay until remove() says so or run() has
  /// returned. Any thread.
  [[nodiscard]] std::shared_ptr<EngineLoop> add(engine::Engine& engine);
  /// Closes the loop and then calls `then`: the engine is nobody's. Any thread; `then` is called on the engines' one.
  void remove(std::shared_ptr<EngineLoop> loop, std::move_only_function<void()> then);
  /// Does what is posted, and steps engines while they are busy; else sleeps. Returns after stop(). `watch` is called
  /// after every step, and several times a second.
  void run(const std::function<void()>& watch = {});
  /// Ends run() before its next step. Any thread.
  void stop();

 private:
  struct Change {
    std::shared_ptr<EngineLoop> loop;
    std::move_only_function<void()> removed;  // empty: it is new
  };
  bool take_changes();
  void turn();

  std::shared_ptr<Bell> bell_ = std::make_shared<Bell>();
  std::mutex mutex_;
  std::vector<Change> changes_;  // under mutex_
  bool stopped_ = false;         // under mutex_
  // The rest is the engines' thread's.
  engine::ModelPool pool_;
  std::vector<std::shared_ptr<EngineLoop>> loops_;
};

}  // namespace plait::serving
