// SPDX-License-Identifier: Apache-2.0
//
// Strands over HTTP: POST /v1/strands and what lies below (docs/strands.md).
//
//   StrandRoutes strands(models, {});
//   strands.add_routes(router);
//   thread.run([&] { strands.tick(); });
//
// A strand lives in the model that its root named, which stays loaded as long as one of its tree's strands is there.
// A strand belongs to the client that made it, its key or else its address; to others it is not there. What is asked of
// one strand is done in that order. An error is told once: to whoever waits for the operation, or reads it later; until
// then the strand refuses what follows with the same error (reasoning/state.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "serving/http/router.h"
#include "serving/models.h"
#include "serving/strand_events.h"

namespace plait::serving {

struct StrandLimits {
  std::size_t strands_max = 1024;     ///< In all,
  std::size_t per_client_max = 256;   ///< and of one client.
  std::size_t fork_max = 64;          ///< Children of one fork.
  std::size_t waiting_max = 64;       ///< Operations of one strand that are not done.
  std::size_t operations_max = 4096;  ///< Of one strand in its life.
  std::size_t results_kept = 256;     ///< Of one strand, the last ones.
  double idle_seconds = 600;          ///< A tree that nobody has asked anything so long is closed.
  std::uint64_t seed = 0;             ///< Strands without a seed get one each that follows from this; 0: by chance.
  StrandEventLimits events = {};
};

class StrandRoutes {
 public:
  /// The models must outlive it.
  StrandRoutes(ServedModels& models, const StrandLimits& limits, const base::Clock& clock = base::steady_clock());
  /// Closes all strands. Requires: no server calls it any more, and the engines' thread does not run.
  ~StrandRoutes();
  StrandRoutes(const StrandRoutes&) = delete;
  StrandRoutes& operator=(const StrandRoutes&) = delete;

  /// The router's handlers refer to it.
  void add_routes(HttpRouter& router);
  /// Looks at the time: to be called several times a second. The engines' thread.
  void tick();
  /// Ends the streams of events, which end by themselves only with their strands: a server that drains waits for them.
  /// The engines' thread.
  void end_streams();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace plait::serving
