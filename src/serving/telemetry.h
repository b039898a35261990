// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a request that is over: metrics, the list of recent requests, a file of traces, a collector of
// traces. docs/telemetry.md is for users.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "operations/otel_settings.h"
#include "operations/recent_requests.h"
#include "operations/request_record.h"
#include "operations/trace_file.h"
#include "serving/http/router.h"
#include "serving/metrics.h"

namespace plait::serving {

struct TelemetryOptions {
  std::optional<operations::TraceFileOptions> file = {};
  operations::OtelSettings otel = {};  ///< Whose traces they are, and where they go besides the file.
  bool content = false;                ///< Traces hold what was asked and answered.
  std::size_t recent = 256;            ///< Requests that /v1/plait/requests and /v1/plait/status look back on. ≥ 1.
  /// Of queues in front of file and collector.
  operations::TraceQueueOptions queue = {};
};

/// Any thread, close() excepted.
class Telemetry {
 public:
  /// Opens the file and starts a thread for each place where traces go. Errors: those of TraceFile::open().
  [[nodiscard]] static base::Result<std::unique_ptr<Telemetry>> make(TelemetryOptions options);
  /// Metrics and recent requests only.
  Telemetry();
  /// close(0)
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  /// A request's number and place in a trace: its client's, if it sent one along, else a new one.
  struct Begun {
    std::uint64_t number = 0;
    operations::TraceContext context = {};
  };
  [[nodiscard]] Begun begin(const operations::TraceContext* parent);
  /// Whether texts are wanted.
  [[nodiscard]] bool content() const;
  /// Whether traces go anywhere.
  [[nodiscard]] bool traces() const;
  [[nodiscard]] Metrics& metrics();
  /// A request is over. Takes some microseconds and waits for nobody.
  void finish(operations::RequestRecord record);
  /// How the queues fare, for MetricsSources.
  [[nodiscard]] std::vector<MetricsSources::Traces> traces_counters() const;
  /// The last ones that are over. May outlive this.
  [[nodiscard]] std::shared_ptr<const operations::RecentRequests> recent() const;
  /// `GET /v1/plait/requests?limit=`. The handler refers to this.
  void add_routes(HttpRouter& router);
  /// Tells what waits, within about `seconds`; then the rest is dropped. True if nothing was. Nothing is traced from
  /// then on.
  bool close(double seconds);

 private:
  class State;
  explicit Telemetry(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace plait::serving
