// SPDX-License-Identifier: Apache-2.0
#include "serving/metrics.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <iterator>

namespace plait::serving {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

// From a step of a small model to minutes: dashboards of other servers have the same range.
Buckets request_buckets() { return {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}; }
Buckets gap_buckets() { return {0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5}; }

prometheus::Histogram& histogram(prometheus::Registry& registry, const char* name, const char* help, Buckets buckets) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, std::move(buckets));
}

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

// What others count is not counted a second time, only written.
void write(std::string& out, std::string_view name, std::string_view kind, std::string_view help, double value) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3}\n", name, kind, help, value);
}

void write_engine(std::string& out, const engine::EngineCounters& engine) {
  const auto number = [](auto value) { return static_cast<double>(value); };
  write(out, "plait_sequences_running", "gauge", "Generations in the batch", number(engine.running));
  write(out, "plait_sequences_waiting", "gauge", "Generations that wait for a row or memory", number(engine.waiting));
  write(out, "plait_kv_pages", "gauge", "Pages of keys and values", number(engine.pages));
  write(out, "plait_kv_pages_free", "gauge", "Pages that nobody holds", number(engine.pages_free));
  write(out, "plait_steps_total", "counter", "Steps of the batch", number(engine.steps));
  write(out, "plait_prompt_rows_total", "counter", "Prompt tokens computed", number(engine.prompt_rows));
  write(out, "plait_decode_rows_total", "counter", "Generated tokens computed", number(engine.decode_rows));
  write(out, "plait_preemptions_total", "counter", "Generations that gave way to others", number(engine.preemptions));
}

void write_http(std::string& out, const HttpCounters& http) {
  const auto number = [](auto value) { return static_cast<double>(value); };
  write(out, "plait_http_connections", "gauge", "Open connections", number(http.connections_open));
  write(out, "plait_http_requests_in_flight", "gauge", "Requests not answered yet", number(http.requests_in_flight));
  write(out, "plait_http_received_bytes_total", "counter", "Bytes of requests", number(http.bytes_in));
  write(out, "plait_http_sent_bytes_total", "counter", "Bytes of answers", number(http.bytes_out));
  write(out, "plait_http_clients_gone_total", "counter", "Clients that left before the end", number(http.clients_gone));
  out += "# HELP plait_http_refusals_total Requests refused before they were read\n";
  out += "# TYPE plait_http_refusals_total counter\n";
  for (std::size_t i = 0; i < kHttpRefusals; ++i) {
    fmt::format_to(std::back_inserter(out), "plait_http_refusals_total{{reason=\"{}\"}} {}\n",
                   name(static_cast<HttpRefusal>(i)), http.refusals[i]);
  }
}

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter()
                                                          .Name("plait_requests_total")
                                                          .Help("Requests by endpoint and status")
                                                          .Register(registry);
  prometheus::Histogram& seconds =
      histogram(registry, "plait_request_seconds", "From a request's arrival to its end", request_buckets());
  prometheus::Histogram& first_token = histogram(registry, "plait_time_to_first_token_seconds",
                                                 "From a request's arrival to its first text", request_buckets());
  prometheus::Histogram& gaps =
      histogram(registry, "plait_time_per_output_token_seconds", "Between two pieces of a stream", gap_buckets());
  prometheus::Counter& prompt = counter(registry, "plait_prompt_tokens_total", "Tokens of prompts");
  prometheus::Counter& cached = counter(registry, "plait_cached_tokens_total", "Of these, found computed");
  prometheus::Counter& generated = counter(registry, "plait_generated_tokens_total", "Tokens of answers");
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::observe(const RequestTimes& request) {
  state_->requests.Add({{"endpoint", std::string(request.endpoint)}, {"status", std::to_string(request.status)}})
      .Increment();
  state_->seconds.Observe(request.seconds);
  if (request.first_token_seconds) state_->first_token.Observe(*request.first_token_seconds);
  state_->prompt.Increment(static_cast<double>(request.prompt_tokens));
  state_->cached.Increment(static_cast<double>(request.cached_tokens));
  state_->generated.Increment(static_cast<double>(request.generated_tokens));
}

void Metrics::observe_gap(double seconds) { state_->gaps.Observe(seconds); }

std::string Metrics::text(const engine::EngineCounters& engine, const HttpCounters& http) const {
  std::string out = prometheus::TextSerializer().Serialize(state_->registry.Collect());
  write_engine(out, engine);
  write_http(out, http);
  return out;
}

}  // namespace plait::serving
