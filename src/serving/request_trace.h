// SPDX-License-Identifier: Apache-2.0
//
// One request on its way: notes when it gets where, and tells telemetry when it is over.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operations/request_record.h"
#include "reasoning/strategy.h"
#include "serving/exchange.h"
#include "serving/http/message.h"
#include "serving/reply.h"
#include "serving/request.h"
#include "serving/telemetry.h"
#include "text/json.h"

namespace plait::serving {

/// Times are those of one clock, seconds. One thread at a time.
class RequestTrace {
 public:
  /// It has arrived. Telemetry must outlive it.
  RequestTrace(Telemetry& telemetry, std::string_view endpoint, const HttpRequest& request, double now);

  /// Its model is asked for, and is there: perhaps it had to be loaded.
  void model_asked(double now) { record_.model_asked_seconds = now - arrived_; }
  void model_came(double now) { record_.model_came_seconds = now - arrived_; }
  /// Its body was read, and asks for this from this model.
  void read(const text::Json& body, const Request& request, const std::string& model, std::string reply_id, double now);
  /// The engine has got it, with so many choices whose texts are told.
  void submitted(std::size_t choices, double now);
  /// Text of a choice has come.
  void text(std::size_t choice, double now);
  /// Text has come, of whatever. Only the first call counts.
  void first_text(double now);
  /// What a strategy called the model for: each call is a generation. Before end().
  void add_calls(const std::vector<reasoning::CallRecord>& calls);
  /// It is over, with this status: told once. `exchange`: null if it did not come to that, or if it was a strategy's;
  /// `why`: null if it was answered. Requires: exchange->done().
  void end(int status, const Refusal* why, const Exchange* exchange, double now);

  /// For the answer's head: `traceparent`, with the request's own span, where anybody traces.
  void add_headers(HttpHeaders& headers) const;

 private:
  void add_generations(const Exchange& exchange);
  void set_usage(const UsageNumbers& usage);

  Telemetry& telemetry_;
  double arrived_;
  operations::RequestRecord record_;
  bool traced_ = false;
  Metrics::Model* metrics_ = nullptr;
  std::vector<double> last_text_ = {};  // [choice], 0: none yet
};

}  // namespace plait::serving
