// SPDX-License-Identifier: Apache-2.0
//
// The APIs of OpenAI, Anthropic and ollama on engines: what stands behind the addresses of the HTTP server.
//
//   EngineThread thread;
//   ServedModels models(thread, {...});
//   Api api(models, {});
//   HttpRouter router;
//   api.add_routes(router);
//   PLAIT_TRY(const auto server, HttpServer::make(options, router.handler()));
//   thread.run();
//
// A request goes through three threads. The server's only hands it on. The API's own reads it: JSON, template, tokens;
// if its model is not loaded yet, when it is. The engines' starts it and hands its tokens to the connection as they
// come. A client that goes away is dropped from the engine before its next step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "serving/http/counters.h"
#include "serving/http/router.h"
#include "serving/models.h"

namespace plait::serving {

struct ApiOptions {
  std::uint64_t seed = 0;  ///< Requests without a seed get one each that follows from this; 0: by chance.
  /// Requests that wait to be read or are in the engine; the next ones get 503.
  std::size_t requests_max = 1024;
};

class Api {
 public:
  /// The models must outlive it.
  Api(ServedModels& models, const ApiOptions& options, const base::Clock& clock = base::steady_clock());
  /// Drops what is in flight. Requires: no server calls it any more, and the engines' thread does not run.
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  /// OpenAI's `/v1/chat/completions`, `/v1/completions` and `/v1/models`; Anthropic's `/v1/messages` and its
  /// `count_tokens`; ollama's `/api/chat`, `/api/generate`, `/api/tags`, `/api/ps`, `/api/show` and `/api/version`;
  /// `/tokenize`, `/detokenize`, `/health`, `/ready`, `/metrics`. The router's handlers refer to the API.
  void add_routes(HttpRouter& router);
  /// Where /metrics finds the server's own counters.
  void set_http_counters(std::function<HttpCounters()> counters);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace plait::serving
