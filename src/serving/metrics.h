// SPDX-License-Identifier: Apache-2.0
//
// What the server counts and times, as Prometheus reads it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "serving/http/counters.h"

namespace plait::serving {

/// One request that was answered, or not.
struct RequestTimes {
  std::string_view endpoint = {};                  ///< "/v1/completions"
  int status = 200;                                ///< 499: the client went away.
  double seconds = 0;                              ///< From its arrival to its end.
  std::optional<double> first_token_seconds = {};  ///< From its arrival to its first text.
  std::size_t prompt_tokens = 0;
  std::size_t cached_tokens = 0;
  std::size_t generated_tokens = 0;
};

/// Any thread.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void observe(const RequestTimes& request);
  /// A streamed token came so many seconds after the one before it.
  void observe_gap(double seconds);
  /// Everything, in Prometheus's text format 0.0.4.
  [[nodiscard]] std::string text(const engine::EngineCounters& engine, const HttpCounters& http) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace plait::serving
