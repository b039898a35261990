// SPDX-License-Identifier: Apache-2.0
#include "operations/span.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace plait::operations {
namespace {

constexpr double kLoadSecondsMin = 0.005;  // shorter waits for a model were for one that was there

std::int64_t whole(std::size_t number) { return static_cast<std::int64_t>(number); }

// Numbers spans in the order in which they are made; times are seconds since the request's arrival.
class TraceMaker {
 public:
  TraceMaker(const RequestRecord& record, const TraceIds& ids)
      : record_(record),
        ids_(ids),
        arrived_(static_cast<UnixNanoseconds>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(record.arrived.time_since_epoch()).count())) {}

  [[nodiscard]] UnixNanoseconds at(double seconds) const {
    return arrived_ + static_cast<UnixNanoseconds>(std::llround(std::max(seconds, 0.0) * 1e9));
  }

  Span& add(std::string name, double start, double end) {
    Span span{.id = part_ == 0 ? record_.context.span : ids_.span(record_.number, part_),
              .name = std::move(name),
              .start = at(start),
              .end = at(std::max(start, end))};
    if (part_ > 0) span.parent = record_.context.span;
    ++part_;
    return spans.emplace_back(std::move(span));
  }

  std::vector<Span> spans;

 private:
  const RequestRecord& record_;
  const TraceIds& ids_;
  UnixNanoseconds arrived_;
  std::uint64_t part_ = 0;
};

void add_parameters(const RequestParameters& asked, Attributes& attributes) {
  attributes.emplace_back("gen_ai.request.temperature", asked.temperature);
  attributes.emplace_back("gen_ai.request.top_p", asked.top_p);
  if (asked.top_k > 0) attributes.emplace_back("gen_ai.request.top_k", static_cast<double>(asked.top_k));
  if (asked.presence_penalty != 0) {
    attributes.emplace_back("gen_ai.request.presence_penalty", asked.presence_penalty);
  }
  if (asked.frequency_penalty != 0) {
    attributes.emplace_back("gen_ai.request.frequency_penalty", asked.frequency_penalty);
  }
  attributes.emplace_back("gen_ai.request.seed", static_cast<std::int64_t>(asked.seed));
  if (asked.tokens_max > 0) attributes.emplace_back("gen_ai.request.max_tokens", whole(asked.tokens_max));
  if (asked.choices > 1) attributes.emplace_back("gen_ai.request.choice.count", whole(asked.choices));
  if (asked.prompts > 1) attributes.emplace_back("plait.prompts", whole(asked.prompts));
  attributes.emplace_back("plait.stream", asked.stream);
}

void add_usage(const RequestRecord& record, Attributes& attributes) {
  attributes.emplace_back("gen_ai.usage.input_tokens", whole(record.prompt_tokens));
  attributes.emplace_back("gen_ai.usage.output_tokens", whole(record.generated_tokens));
  if (record.generations.empty()) return;
  std::vector<std::string> reasons;
  std::size_t preemptions = 0;
  for (const GenerationRecord& one : record.generations) {
    reasons.push_back(one.reason);
    preemptions += one.preemptions;
  }
  attributes.emplace_back("gen_ai.response.finish_reasons", std::move(reasons));
  attributes.emplace_back("plait.cached_tokens", whole(record.cached_tokens));
  attributes.emplace_back("plait.prefill_tokens", whole(record.prefill_tokens));
  attributes.emplace_back("plait.pte", record.pte);
  attributes.emplace_back("plait.preemptions", whole(preemptions));
  attributes.emplace_back("plait.rows", whole(record.generations.size()));
  if (record.generations.size() > kAnswersTraced) {
    attributes.emplace_back("plait.answers_left_out", whole(record.generations.size() - kAnswersTraced));
  }
}

Attributes attributes_of(const RequestRecord& record) {
  Attributes attributes;
  const auto text = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) attributes.emplace_back(name, value);
  };
  text("gen_ai.operation.name", record.operation);
  attributes.emplace_back("gen_ai.provider.name", std::string("plait"));
  text("gen_ai.request.model", record.model_asked.empty() ? record.model : record.model_asked);
  text("gen_ai.response.model", record.model);
  text("gen_ai.response.id", record.response_id);
  text("server.address", record.host);
  if (record.port > 0) attributes.emplace_back("server.port", std::int64_t{record.port});
  attributes.emplace_back("http.request.method", std::string("POST"));
  text("http.route", record.endpoint);
  attributes.emplace_back("http.response.status_code", std::int64_t{record.status});
  text("error.type", record.error);
  text("plait.request_id", record.id);
  text("plait.client", record.client);
  if (record.parameters) add_parameters(*record.parameters, attributes);
  if (record.submitted_seconds) add_usage(record, attributes);
  if (record.first_text_seconds) {
    attributes.emplace_back("plait.time_to_first_token", *record.first_text_seconds);
  }
  if (record.content_left_out) attributes.emplace_back("plait.content_left_out", true);
  text("gen_ai.input.messages", record.input_messages);
  text("gen_ai.output.messages", record.output_messages);
  return attributes;
}

// The stretches of one answer, which begins when the engine gets it. Returns its end.
double add_generation(TraceMaker& maker, const RequestRecord& record, std::size_t index) {
  const GenerationRecord& one = record.generations[index];
  const double begin = *record.submitted_seconds + one.begin_seconds;
  const double first_row = begin + one.waited_seconds;
  const double first_token = first_row + one.prompt_seconds;
  const double end = first_token + one.decode_seconds;
  const auto add = [&](std::string_view name, double from, double to) -> Span& {
    Span& span = maker.add(std::string(name), from, to);
    if (record.generations.size() > 1) span.attributes.emplace_back("plait.choice", whole(index));
    for (const double after : one.preempted_at) {
      const double time = begin + after;
      if (from <= time && time < to) span.events.push_back({.name = "preempted", .time = maker.at(time)});
    }
    return span;
  };
  add("queue", index == 0 ? record.read_seconds : begin, first_row);
  Span& prompt = add("prompt", first_row, first_token);
  prompt.attributes.emplace_back("plait.cached_tokens", whole(one.cached));
  prompt.attributes.emplace_back("plait.prefill_tokens", whole(one.computed));
  Span& decode = add("decode", first_token, end);
  decode.attributes.emplace_back("gen_ai.usage.output_tokens", whole(one.tokens));
  decode.attributes.emplace_back("plait.finish_reason", one.reason);
  decode.failed = one.reason == "failed";
  return end;
}

}  // namespace

Trace trace_of(const RequestRecord& record, const TraceIds& ids) {
  TraceMaker maker(record, ids);
  const std::string& model = record.model.empty() ? record.model_asked : record.model;
  Span& whole_request = maker.add(record.operation + (model.empty() ? "" : ' ' + model), 0, record.seconds);
  whole_request.parent = record.parent;
  whole_request.kind = Span::Kind::server;
  whole_request.attributes = attributes_of(record);
  whole_request.failed = record.status >= 500;
  if (record.first_text_seconds) {
    whole_request.events.push_back({.name = "first_text", .time = maker.at(*record.first_text_seconds)});
  }
  maker.add("read", 0, record.read_seconds > 0 ? record.read_seconds : record.seconds);
  if (record.model_came_seconds - record.model_asked_seconds >= kLoadSecondsMin) {
    maker.add("load", record.model_asked_seconds, record.model_came_seconds);
  }
  if (record.submitted_seconds) {
    double end = 0;
    for (std::size_t i = 0; i < std::min(record.generations.size(), kAnswersTraced); ++i) {
      end = std::max(end, add_generation(maker, record, i));
    }
    const bool told = !record.generations.empty() && record.generations.size() <= kAnswersTraced;
    if (told && end < record.seconds) maker.add("reply", end, record.seconds);
  }
  return {.id = record.context.trace,
          .state = record.tracestate,
          .sampled = record.context.sampled,
          .spans = std::move(maker.spans)};
}

}  // namespace plait::operations
