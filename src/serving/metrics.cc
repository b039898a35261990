// SPDX-License-Identifier: Apache-2.0
#include "serving/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <mutex>
#include <utility>

#include "serving/metrics_text.h"

namespace plait::serving {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;
using CounterFamily = prometheus::Family<prometheus::Counter>;
using HistogramFamily = prometheus::Family<prometheus::Histogram>;

// From a step of a small model to minutes: dashboards of other servers have the same range.
Buckets request_buckets() { return {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}; }
Buckets gap_buckets() { return {0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5}; }
Buckets token_buckets() {
  return {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10'000, 20'000, 50'000, 100'000};
}

/// All that is kept by model.
struct Families {
  explicit Families(prometheus::Registry& all) : registry(all) {}

  HistogramFamily& histogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }
  CounterFamily& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }

  prometheus::Registry& registry;
  CounterFamily& requests = counter("plait_requests_total", "Requests by endpoint, status and model");
  CounterFamily& finished = counter("plait_answers_total", "Answers by the reason of their end");
  HistogramFamily& seconds =
      histogram("plait_request_seconds", "From a request's arrival to the end of its answers, where it got some");
  HistogramFamily& first_token =
      histogram("plait_time_to_first_token_seconds", "From a request's arrival to its first text");
  HistogramFamily& gaps =
      histogram("plait_time_per_output_token_seconds", "Between two pieces of an answer's text, nearly always a token");
  HistogramFamily& mean_gap =
      histogram("plait_mean_time_per_output_token_seconds", "An answer's time after its first token over those tokens");
  HistogramFamily& queue = histogram("plait_queue_seconds", "From the engine's getting a generation to its first row");
  HistogramFamily& prefill = histogram("plait_prefill_seconds", "From a generation's first row to its first token");
  HistogramFamily& decode = histogram("plait_decode_seconds", "From a generation's first token to its last");
  HistogramFamily& prompt_tokens = histogram("plait_request_prompt_tokens", "Tokens of a request's prompts");
  HistogramFamily& answer_tokens = histogram("plait_request_generated_tokens", "Tokens of a request's answers");
  CounterFamily& prompt = counter("plait_prompt_tokens_total", "Tokens of prompts");
  CounterFamily& cached = counter("plait_cached_tokens_total", "Of these, found computed");
  CounterFamily& generated = counter("plait_generated_tokens_total", "Tokens of answers");
};

class ModelMetrics final : public Metrics::Model {
 public:
  ModelMetrics(Families& families, const std::string& name) : families_(families), name_(name) {}

  void observe_gap(double seconds) override { gaps_.Observe(seconds); }

  void observe(const operations::RequestRecord& request) {
    if (request.first_text_seconds) first_token_.Observe(*request.first_text_seconds);
    prompt_.Increment(static_cast<double>(request.prompt_tokens));
    cached_.Increment(static_cast<double>(request.cached_tokens));
    generated_.Increment(static_cast<double>(request.generated_tokens));
    for (const operations::GenerationRecord& one : request.generations) {
      families_.finished.Add({{"model", name_}, {"reason", one.reason}}).Increment();
    }
    if (request.generations.empty() || request.status == operations::kStatusGone)
      return;  // times of who left say little
    seconds_.Observe(request.seconds);
    prompt_tokens_.Observe(static_cast<double>(request.prompt_tokens));
    answer_tokens_.Observe(static_cast<double>(request.generated_tokens));
    for (const operations::GenerationRecord& one : request.generations) observe(one);
  }

 private:
  void observe(const operations::GenerationRecord& one) {
    queue_.Observe(one.waited_seconds);
    prefill_.Observe(one.prompt_seconds);
    decode_.Observe(one.decode_seconds);
    if (one.tokens > 1) mean_gap_.Observe(one.decode_seconds / static_cast<double>(one.tokens - 1));
  }

  Families& families_;
  const std::string name_;
  const prometheus::Labels labels_{{"model", name_}};
  prometheus::Histogram& seconds_ = families_.seconds.Add(labels_, request_buckets());
  prometheus::Histogram& first_token_ = families_.first_token.Add(labels_, request_buckets());
  prometheus::Histogram& gaps_ = families_.gaps.Add(labels_, gap_buckets());
  prometheus::Histogram& mean_gap_ = families_.mean_gap.Add(labels_, gap_buckets());
  prometheus::Histogram& queue_ = families_.queue.Add(labels_, request_buckets());
  prometheus::Histogram& prefill_ = families_.prefill.Add(labels_, request_buckets());
  prometheus::Histogram& decode_ = families_.decode.Add(labels_, request_buckets());
  prometheus::Histogram& prompt_tokens_ = families_.prompt_tokens.Add(labels_, token_buckets());
  prometheus::Histogram& answer_tokens_ = families_.answer_tokens.Add(labels_, token_buckets());
  prometheus::Counter& prompt_ = families_.prompt.Add(labels_);
  prometheus::Counter& cached_ = families_.cached.Add(labels_);
  prometheus::Counter& generated_ = families_.generated.Add(labels_);
};

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  Families families{registry};
  std::mutex mutex;
  std::map<std::string, ModelMetrics, std::less<>> models;  // under mutex; its members stay where they are

  ModelMetrics& model(const std::string& name) {
    const std::scoped_lock lock(mutex);
    const auto at = models.find(name);
    return at != models.end() ? at->second : models.try_emplace(name, families, name).first->second;
  }
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Metrics::Model& Metrics::model(const std::string& name) { return state_->model(name); }

void Metrics::observe(const operations::RequestRecord& request) {
  prometheus::Labels labels{{"endpoint", request.endpoint}, {"status", std::to_string(request.status)}};
  if (!request.model.empty()) labels.emplace("model", request.model);
  state_->families.requests.Add(labels).Increment();
  if (!request.model.empty()) state_->model(request.model).observe(request);
}

std::string Metrics::text(const MetricsSources& sources) const {
  for (const MetricsSources::Model& model : sources.models) state_->model(model.name);  // so that zeros are seen
  return metrics_text(state_->registry.Collect(), sources);
}

}  // namespace plait::serving
