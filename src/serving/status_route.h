// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/plait/status: models, clients, pages and requests at one moment, as JSON. Rates are the reader's: counters
// go up, and `seconds` says when.
//
//   {"seconds": 12.5, "models": [{"name", "sequences", "running", "waiting", "rows_max", "rows_newcomers", "steps",
//     "prompt_rows", "decode_rows", "cached_tokens", "preemptions",
//     "pages": {"all", "free", "cached", "own", "shared", "away", "tokens"},
//     "clients": [{"name", "weight", "level", "service", "running", "waiting", "sequences", "pages"}], "clients_known",
//     "listed": [sequence]}], "requests": {"open", "listed": [row], "recent": [row]}}
//   sequence: {"id", "client", "state", "behind", "parent", "tokens", "computed", "generated", "preemptions",
//     "seconds", "pages": {"own", "shared", "away"}}
//   row: {"id", "endpoint", "client", "model", "phase", "age_seconds", "choices", "generated_tokens"}, and once it has
//   ended "status", "seconds", "first_token_seconds", "prompt_tokens", "cached_tokens"
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "operations/recent_requests.h"
#include "serving/http/router.h"
#include "serving/models.h"
#include "serving/status_board.h"

namespace plait::serving {

class StatusRoute {
 public:
  /// `models` is asked for each status that is made, on the server's thread.
  StatusRoute(std::shared_ptr<StatusBoard> board, std::shared_ptr<const operations::RecentRequests> recent,
              std::function<std::vector<LoopOfModel>()> models);
  ~StatusRoute();
  StatusRoute(const StatusRoute&) = delete;
  StatusRoute& operator=(const StatusRoute&) = delete;

  /// Each engine copies its numbers between two steps, at most five times a second however many ask.
  void add_routes(HttpRouter& router);

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace plait::serving
