// SPDX-License-Identifier: Apache-2.0
//
// Several models beside each other: an engine each, one thread, and a rule for whose step comes next.
//
//   ModelPool pool;
//   pool.add(small); pool.add(large);
//   while (pool.step() != nullptr) {}
//
// The rule is that of fairness.h one storey up. Each engine has a clock, the time of its steps divided by its share,
// and the busy engine with the smallest clock is next. An engine's share is what its clients bring: each client's
// weight, divided among the engines it has work in. So two clients get equal times whether they ask one model or two,
// and nobody gets more by asking several. A client of a less urgent level brings 1/16 for each level. An engine that
// becomes busy starts at the smallest clock of those that are: what it did not use is gone.
//
// A step is never cut short: whoever has most right waits for the end of another's step.
#pragma once

#include <cstddef>
#include <vector>

#include "base/clock.h"
#include "engine/engine.h"

namespace plait::engine {

class ModelPool {  // one thread, that of its engines
 public:
  explicit ModelPool(const base::Clock& clock = base::steady_clock()) : clock_(clock) {}

  /// The engine must outlive its stay. Requires: it is not there yet.
  void add(Engine& engine);
  /// Requires: it is there.
  void remove(const Engine& engine);
  [[nodiscard]] std::size_t size() const { return members_.size(); }

  /// One step of one engine, which is returned; null if none has anything to do.
  Engine* step();
  [[nodiscard]] bool busy() const;

 private:
  struct Member {
    Engine* engine = nullptr;
    double clock = 0;  ///< Seconds of steps / share.
    double share = 1;
    bool busy = false;  ///< At the last step.
  };
  [[nodiscard]] std::size_t take_stock();
  void set_shares();

  const base::Clock& clock_;
  std::vector<Member> members_;
  double shares_at_ = 0;
};

}  // namespace plait::engine
