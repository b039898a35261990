// SPDX-License-Identifier: Apache-2.0
#include "serving/telemetry.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <utility>

#include "base/clock.h"
#include "text/json.h"

namespace plait::serving {
namespace {

using operations::RecordPointer;
using operations::RequestRecord;
using operations::TraceQueue;

constexpr std::size_t kListedMax = 1000;
constexpr std::size_t kListedUsually = 20;

Accepted<std::size_t> limit_of(const HttpRequest& request) {
  const auto text = request.query_value("limit");
  if (!text) return kListedUsually;
  std::size_t limit = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (parsed.ec != std::errc() || parsed.ptr != text->data() + text->size() || limit < 1 || limit > kListedMax) {
    return bad_value("limit", "must be a whole number from 1 to " + std::to_string(kListedMax));
  }
  return limit;
}

// Who has no right to see others' requests sees its own.
HttpReply requests_reply(const operations::RecentRequests& recent, const HttpRequest& request) {
  const auto limit = limit_of(request);
  if (!limit) return reply_of(limit.error());
  const std::string_view whose = request.client.limits.sees_all ? std::string_view() : request.client.name();
  text::Json list = text::Json::array();
  for (const RecordPointer& record : recent.newest(*limit, whose)) list.push_back(operations::summary_json(*record));
  return {.body = text::dump_json({{"object", "list"}, {"data", std::move(list)}})};
}

}  // namespace

class Telemetry::State {
 public:
  explicit State(const TelemetryOptions& options)
      : content(options.content),
        sampler(options.otel.sampler),
        recent(std::make_shared<operations::RecentRequests>(options.recent)) {}

  const bool content;
  const operations::TraceSampler sampler;
  const operations::TraceIds ids = {};
  std::atomic<std::uint64_t> number = 0;
  Metrics metrics;
  const std::shared_ptr<operations::RecentRequests> recent;
  std::unique_ptr<TraceQueue> file;
  std::unique_ptr<TraceQueue> collector;
};

base::Result<std::unique_ptr<Telemetry>> Telemetry::make(TelemetryOptions options) {
  auto state = std::make_unique<State>(options);
  if (options.file) {
    options.file->ids = state->ids;
    options.file->resource = options.otel.resource;
    PLAIT_TRY(auto file, operations::TraceFile::open(*std::move(options.file)));
    state->file = std::make_unique<TraceQueue>(std::move(file), options.queue);
  }
  if (options.otel.exporter) {
    options.otel.exporter->ids = state->ids;
    auto exporter = std::make_unique<operations::OtlpExporter>(*std::move(options.otel.exporter));
    state->collector = std::make_unique<TraceQueue>(std::move(exporter), options.queue);
  }
  return std::unique_ptr<Telemetry>(new Telemetry(std::move(state)));
}

Telemetry::Telemetry() : state_(std::make_unique<State>(TelemetryOptions())) {}
Telemetry::Telemetry(std::unique_ptr<State> state) : state_(std::move(state)) {}
Telemetry::~Telemetry() = default;

Telemetry::Begun Telemetry::begin(const operations::TraceContext* parent) {
  const std::uint64_t number = ++state_->number;
  operations::TraceContext context{.trace = parent != nullptr ? parent->trace : state_->ids.trace(number),
                                   .span = state_->ids.span(number, 0)};
  context.sampled = state_->collector ? state_->sampler.samples(context.trace, parent) : state_->file != nullptr;
  return {.number = number, .context = context};
}

bool Telemetry::content() const { return state_->content && traces(); }
bool Telemetry::traces() const { return state_->file || state_->collector; }
Metrics& Telemetry::metrics() { return state_->metrics; }

void Telemetry::finish(RequestRecord record) {
  state_->metrics.observe(record);
  auto shared = std::make_shared<const RequestRecord>(std::move(record));
  if (state_->file) state_->file->push(shared);
  if (state_->collector && shared->context.sampled) state_->collector->push(shared);
  if (!shared->input_messages.empty() || !shared->output_messages.empty()) {  // the list keeps no texts
    RequestRecord bare = *shared;
    bare.input_messages = {};
    bare.output_messages = {};
    shared = std::make_shared<const RequestRecord>(std::move(bare));
  }
  state_->recent->add(std::move(shared));
}

std::vector<MetricsSources::Traces> Telemetry::traces_counters() const {
  std::vector<MetricsSources::Traces> all;
  if (state_->file) all.push_back({.to = "file", .counters = state_->file->counters()});
  if (state_->collector) all.push_back({.to = "otlp", .counters = state_->collector->counters()});
  return all;
}

std::shared_ptr<const operations::RecentRequests> Telemetry::recent() const { return state_->recent; }

void Telemetry::add_routes(HttpRouter& router) {
  router.add(HttpMethod::get, "/v1/plait/requests", [this](const HttpRequest& request, const Responder& responder) {
    responder.reply(requests_reply(*state_->recent, request));
  });
}

bool Telemetry::close(double seconds) {
  const double until = base::steady_clock().now() + seconds;
  const bool file = !state_->file || state_->file->close(seconds);
  const double left = std::max(0.0, until - base::steady_clock().now());
  const bool collector = !state_->collector || state_->collector->close(left);
  return file && collector;
}

}  // namespace plait::serving
