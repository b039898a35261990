// SPDX-License-Identifier: Apache-2.0
#include "serving/metrics_text.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

namespace plait::serving {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Label = ClientMetric::Label;

template <class T>
double number(T value) {
  return static_cast<double>(value);
}

/// Families from what others count.
class Writer {
 public:
  explicit Writer(std::vector<MetricFamily>& families) : families_(families) {}

  void gauge(const char* name, const char* help) { begin(name, help, MetricType::Gauge); }
  void counter(const char* name, const char* help) { begin(name, help, MetricType::Counter); }
  void histogram(const char* name, const char* help) { begin(name, help, MetricType::Histogram); }
  /// A sample of the family begun last.
  void sample(double value, std::vector<Label> labels = {}) {
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    metric.gauge.value = value;
    metric.counter.value = value;
  }
  template <std::size_t N>
  void sample(const BoundedCounts<N>& counts, std::vector<Label> labels) {
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    std::uint64_t all = 0;
    for (std::size_t i = 0; i <= N; ++i) {
      all += counts.counts[i];
      const double bound = i < N ? counts.bounds[i] : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({.cumulative_count = all, .upper_bound = bound});
    }
    metric.histogram.sample_count = all;
    metric.histogram.sample_sum = counts.sum;
  }

 private:
  void begin(const char* name, const char* help, MetricType type) {
    MetricFamily& family = families_.emplace_back();
    family.name = name;
    family.help = help;
    family.type = type;
  }

  std::vector<MetricFamily>& families_;
};

using Model = MetricsSources::Model;

// What sequences hold; what only the cache has is as good as free.
double kv_usage(const Model& model) {
  if (model.engine.pages == 0) return 0;
  const double free = number(model.engine.pages_free) + number(model.pages_reclaimable);
  return std::clamp(1 - free / number(model.engine.pages), 0.0, 1.0);
}

struct OfModel {
  const char* name;
  MetricType type;
  const char* help;
  double (*value)(const Model&);
};

constexpr auto kGauge = MetricType::Gauge;
constexpr auto kCounter = MetricType::Counter;
constexpr std::array<OfModel, 23> kOfModel{{
    {"plait_sequences_running", kGauge, "Generations in the batch",
     [](const Model& m) { return number(m.engine.running); }},
    {"plait_sequences_waiting", kGauge, "Generations that wait for a row or memory",
     [](const Model& m) { return number(m.engine.waiting); }},
    {"plait_kv_pages", kGauge, "Pages of keys and values", [](const Model& m) { return number(m.engine.pages); }},
    {"plait_kv_pages_free", kGauge, "Pages that nobody holds",
     [](const Model& m) { return number(m.engine.pages_free); }},
    {"plait_kv_pages_cached", kGauge, "Pages that only the cache of prompts holds, as good as free",
     [](const Model& m) { return number(m.pages_reclaimable); }},
    {"plait_kv_usage_ratio", kGauge, "Share of the pages that sequences hold, 0 to 1", kv_usage},
    {"plait_steps_total", kCounter, "Steps of the batch", [](const Model& m) { return number(m.engine.steps); }},
    {"plait_prompt_rows_total", kCounter, "Prompt tokens computed",
     [](const Model& m) { return number(m.engine.prompt_rows); }},
    {"plait_decode_rows_total", kCounter, "Generated tokens computed",
     [](const Model& m) { return number(m.engine.decode_rows); }},
    {"plait_preemptions_total", kCounter, "Generations that gave way to others",
     [](const Model& m) { return number(m.engine.preemptions); }},
    {"plait_prefix_cache_lookups_total", kCounter, "Prompts looked up in the cache",
     [](const Model& m) { return number(m.engine.prefixes.lookups); }},
    {"plait_prefix_cache_hit_tokens_total", kCounter, "Tokens taken from the cache instead of computed",
     [](const Model& m) { return number(m.engine.prefixes.tokens_hit); }},
    {"plait_prefix_cache_added_pages_total", kCounter, "Pages that entered the cache",
     [](const Model& m) { return number(m.engine.prefixes.pages_added); }},
    {"plait_prefix_cache_evicted_pages_total", kCounter, "Pages that left it for others",
     [](const Model& m) { return number(m.engine.prefixes.pages_evicted); }},
    {"plait_swap_outs_total", kCounter, "Preempted generations written to the host tier",
     [](const Model& m) { return number(m.engine.swap.swap_outs); }},
    {"plait_swap_ins_total", kCounter, "Generations read back from it",
     [](const Model& m) { return number(m.engine.swap.swap_ins); }},
    {"plait_swap_out_bytes_total", kCounter, "Bytes written to it",
     [](const Model& m) { return number(m.engine.swap.bytes_out); }},
    {"plait_swap_in_bytes_total", kCounter, "Bytes read from it",
     [](const Model& m) { return number(m.engine.swap.bytes_in); }},
    {"plait_swap_out_operations_total", kCounter, "Writes that it got",
     [](const Model& m) { return number(m.engine.swap.operations_out); }},
    {"plait_swap_in_operations_total", kCounter, "Reads that it got",
     [](const Model& m) { return number(m.engine.swap.operations_in); }},
    {"plait_swap_reused_bytes_total", kCounter, "Bytes not written because it had them",
     [](const Model& m) { return number(m.engine.swap.bytes_reused); }},
    {"plait_swap_waits_total", kCounter, "Times that the batch stood still for it",
     [](const Model& m) { return number(m.engine.swap.waits); }},
    {"plait_swap_lost_total", kCounter, "Generations that it lost to errors and that were computed again",
     [](const Model& m) { return number(m.engine.swap.recomputes); }},
}};

void write_models(Writer& out, const std::vector<Model>& models) {
  const auto labels = [](const Model& model) { return std::vector<Label>{{"model", model.name}}; };
  for (const OfModel& one : kOfModel) {
    one.type == kGauge ? out.gauge(one.name, one.help) : out.counter(one.name, one.help);
    for (const Model& model : models) out.sample(one.value(model), labels(model));
  }
  out.histogram("plait_step_seconds", "Time of a step of the batch");
  for (const Model& model : models) out.sample(model.steps.seconds, labels(model));
  out.histogram("plait_step_rows", "Tokens that went through the model in a step");
  for (const Model& model : models) out.sample(model.steps.rows, labels(model));
}

void write_http(Writer& out, const HttpCounters& http) {
  out.gauge("plait_http_connections", "Open connections");
  out.sample(number(http.connections_open));
  out.gauge("plait_http_requests_in_flight", "Requests not answered yet");
  out.sample(number(http.requests_in_flight));
  out.counter("plait_http_received_bytes_total", "Bytes of requests");
  out.sample(number(http.bytes_in));
  out.counter("plait_http_sent_bytes_total", "Bytes of answers");
  out.sample(number(http.bytes_out));
  out.counter("plait_http_clients_gone_total", "Clients that left before the end");
  out.sample(number(http.clients_gone));
  out.counter("plait_http_refusals_total", "Requests refused before they were read");
  for (std::size_t i = 0; i < kHttpRefusals; ++i) {
    out.sample(number(http.refusals[i]), {{"reason", std::string(name(static_cast<HttpRefusal>(i)))}});
  }
}

void write_traces(Writer& out, const std::vector<MetricsSources::Traces>& traces) {
  if (traces.empty()) return;
  out.counter("plait_traces_total", "Requests traced, and traces that had to be dropped, by where they go");
  for (const auto& [to, counters] : traces) {
    const auto sample = [&](std::uint64_t value, const char* result) {
      out.sample(number(value), {{"to", std::string(to)}, {"result", result}});
    };
    sample(counters.told, "told");
    sample(counters.dropped, "dropped");
    sample(counters.lost, "lost");
  }
}

struct Alias {
  const char* theirs;
  const char* ours;
};

// Only where the meaning is the same; docs/telemetry.md has what differs in detail.
constexpr std::array<Alias, 20> kAliases{{
    {"vllm:num_requests_running", "plait_sequences_running"},
    {"vllm:num_requests_waiting", "plait_sequences_waiting"},
    {"vllm:kv_cache_usage_perc", "plait_kv_usage_ratio"},
    {"vllm:num_preemptions_total", "plait_preemptions_total"},
    {"vllm:prefix_cache_queries_total", "plait_prompt_tokens_total"},
    {"vllm:prefix_cache_hits_total", "plait_cached_tokens_total"},
    {"vllm:prompt_tokens_total", "plait_prompt_tokens_total"},
    {"vllm:generation_tokens_total", "plait_generated_tokens_total"},
    {"vllm:request_success_total", "plait_answers_total"},
    {"vllm:request_prompt_tokens", "plait_request_prompt_tokens"},
    {"vllm:request_generation_tokens", "plait_request_generated_tokens"},
    {"vllm:iteration_tokens_total", "plait_step_rows"},
    {"vllm:time_to_first_token_seconds", "plait_time_to_first_token_seconds"},
    {"vllm:time_per_output_token_seconds", "plait_time_per_output_token_seconds"},
    {"vllm:inter_token_latency_seconds", "plait_time_per_output_token_seconds"},
    {"vllm:request_time_per_output_token_seconds", "plait_mean_time_per_output_token_seconds"},
    {"vllm:e2e_request_latency_seconds", "plait_request_seconds"},
    {"vllm:request_queue_time_seconds", "plait_queue_seconds"},
    {"vllm:request_prefill_time_seconds", "plait_prefill_seconds"},
    {"vllm:request_decode_time_seconds", "plait_decode_seconds"},
}};

// Labels and their values in vLLM's words.
void rename(Label& label) {
  if (label.name == "model") label.name = "model_name";
  if (label.name != "reason") return;
  label.name = "finished_reason";
  if (label.value == "cancelled") label.value = "abort";
  if (label.value == "failed" || label.value == "deadline") label.value = "error";
}

MetricFamily alias_of(const Alias& alias, const MetricFamily& ours) {
  MetricFamily family = ours;
  family.name = alias.theirs;
  family.help = std::string("As ") + alias.ours;
  std::vector<ClientMetric> samples;
  for (ClientMetric& sample : family.metric) {
    std::ranges::for_each(sample.label, rename);
    const auto same = std::ranges::find(samples, sample.label, &ClientMetric::label);
    if (same == samples.end()) {
      samples.push_back(std::move(sample));
    } else {  // two of our reasons are one of theirs
      same->counter.value += sample.counter.value;
    }
  }
  family.metric = std::move(samples);
  return family;
}

}  // namespace

std::string metrics_text(std::vector<MetricFamily> kept, const MetricsSources& sources) {
  std::vector<MetricFamily> families = std::move(kept);
  std::erase_if(families, [](const MetricFamily& family) { return family.metric.empty(); });
  Writer out(families);
  write_models(out, sources.models);
  write_http(out, sources.http);
  write_traces(out, sources.traces);
  const std::size_t ours = families.size();
  for (const Alias& alias : kAliases) {
    const auto end = families.begin() + static_cast<std::ptrdiff_t>(ours);
    const auto at = std::find_if(families.begin(), end, [&](const auto& family) { return family.name == alias.ours; });
    if (at != end) families.push_back(alias_of(alias, *at));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace plait::serving
