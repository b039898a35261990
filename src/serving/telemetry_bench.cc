// SPDX-License-Identifier: Apache-2.0
//
// What telemetry costs the threads that serve: the engine's among them, which waits for none of it.
#include <benchmark/benchmark.h>

#include "operations/record_for_test.h"
#include "serving/request_trace.h"
#include "serving/telemetry.h"
#include "testing/temp_dir.h"

namespace plait::serving {
namespace {

/// Everything of a request that does not grow with its tokens, from arrival to end, with a file or without. CPU time is
/// the caller's; the thread of the file has its own.
void tell_request(benchmark::State& state) {
  const testing::TempDir dir;
  TelemetryOptions options;
  if (state.range(0) == 1) {
    options.file.emplace();
    options.file->path = dir / "traces.jsonl";
  }
  const auto telemetry = *Telemetry::make(std::move(options));
  HttpRequest request{.method = HttpMethod::post, .path = "/v1/chat/completions"};
  request.headers.add("host", "localhost:7524");
  request.client.address = "127.0.0.1";
  const operations::RequestRecord answered = operations::answered_request();
  for (auto _ : state) {
    const RequestTrace trace(*telemetry, request.path, request, 0);
    benchmark::DoNotOptimize(&trace);
    telemetry->finish(answered);
  }
}
BENCHMARK(tell_request)->ArgName("file")->Arg(0)->Arg(1);

/// What each streamed token costs.
void tell_token(benchmark::State& state) {
  Metrics metrics;
  Metrics::Model& model = metrics.model("tiny");
  for (auto _ : state) model.observe_gap(0.02);
}
BENCHMARK(tell_token);

/// What each step costs.
void tell_step(benchmark::State& state) {
  StepTimes times;
  for (auto _ : state) {
    times.seconds.add(0.02);
    times.rows.add(64);
    benchmark::DoNotOptimize(times);
  }
}
BENCHMARK(tell_step);

/// A scrape of /metrics.
void write_metrics(benchmark::State& state) {
  Metrics metrics;
  metrics.observe(operations::answered_request());
  const MetricsSources sources{.models = {{.name = "tiny"}}};
  for (auto _ : state) benchmark::DoNotOptimize(metrics.text(sources));
}
BENCHMARK(write_metrics);

}  // namespace
}  // namespace plait::serving
