// SPDX-License-Identifier: Apache-2.0
//
// What the server counts and times, as Prometheus reads it; docs/telemetry.md has the table of names, and which of
// vLLM's stand for the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "operations/request_record.h"
#include "operations/trace_queue.h"
#include "serving/http/counters.h"
#include "serving/step_times.h"

namespace plait::serving {

/// What others count, as it is now.
struct MetricsSources {
  struct Model {
    std::string name = {};
    engine::EngineCounters engine = {};
    StepTimes steps = {};
    std::uint32_t pages_reclaimable = 0;  ///< Engine::pages_reclaimable()
  };
  struct Traces {
    std::string_view to = {};  ///< "file", "otlp"
    operations::TraceCounters counters = {};
  };
  std::vector<Model> models = {};
  HttpCounters http = {};
  std::vector<Traces> traces = {};
};

/// Any thread.
class Metrics {
 public:
  /// The part of one model, for what is too frequent to look for its name.
  class Model {
   public:
    virtual ~Model() = default;
    /// A piece of an answer's text came so many seconds after the one before it.
    virtual void observe_gap(double seconds) = 0;
  };

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// The part of this model; it lives as long as the metrics. Only for models that are there: each is kept.
  [[nodiscard]] Model& model(const std::string& name);
  /// A request that was answered, or not. Models of records are as in model().
  void observe(const operations::RequestRecord& request);
  /// Everything, in Prometheus's text format 0.0.4.
  [[nodiscard]] std::string text(const MetricsSources& sources) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace plait::serving
