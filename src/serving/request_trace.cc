// SPDX-License-Identifier: Apache-2.0
#include "serving/request_trace.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "serving/content.h"
#include "serving/thought_reply.h"

namespace plait::serving {
namespace {

constexpr std::size_t kNameBytesMax = 200;  // of a model's name as a client gives it

// "localhost:8080", "[::1]:8080".
void set_host(std::string_view field, operations::RequestRecord& record) {
  const std::size_t colon = field.rfind(':');
  const bool port = colon != std::string_view::npos && field.find(']', colon) == std::string_view::npos;
  if (port) {
    const std::string_view digits = field.substr(colon + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), record.port);
    field = field.substr(0, colon);
  }
  if (field.starts_with('[') && field.ends_with(']')) field = field.substr(1, field.size() - 2);
  record.host = field.substr(0, kNameBytesMax);
}

// Until the body is read, the address says what it asks for.
std::string_view operation_of(std::string_view endpoint) {
  if (endpoint == path_of(Endpoint::completions)) return "text_completion";
  return endpoint.ends_with("/embeddings") ? "embeddings" : "chat";
}

operations::RequestParameters parameters_of(const Request& request) {
  const engine::Request& prompt = request.prompts.front();
  const models::SamplerOptions& sampler = prompt.generate.sampler;
  return {.temperature = sampler.temperature,
          .top_p = sampler.top_p,
          .top_k = static_cast<std::size_t>(sampler.top_k),
          .presence_penalty = sampler.presence_penalty,
          .frequency_penalty = sampler.frequency_penalty,
          .seed = sampler.seed,
          .tokens_max = prompt.generate.tokens_max,
          .choices = prompt.samples,
          .prompts = request.prompts.size(),
          .stream = request.reply.stream};
}

std::string error_of(int status, const Refusal* why) {
  if (why != nullptr && !why->code.empty()) return why->code;
  if (status == operations::kStatusGone) return "client_gone";
  return status >= 400 ? std::to_string(status) : std::string();
}

/// Of an answer's engine::Usage, or of a strategy's call.
template <class Used>
operations::GenerationRecord generation_of(engine::EndReason reason, const Used& used, std::size_t computed) {
  return {.reason = std::string(name(reason)),
          .waited_seconds = used.waited_seconds,
          .prompt_seconds = used.prompt_seconds,
          .decode_seconds = used.decode_seconds,
          .tokens = used.generated_tokens,
          .cached = used.cached_tokens,
          .computed = computed,
          .preemptions = used.preemptions,
          .preempted_at = {}};
}

}  // namespace

RequestTrace::RequestTrace(Telemetry& telemetry, std::string_view endpoint, const HttpRequest& request, double now)
    : telemetry_(telemetry), arrived_(now) {
  const auto parent = operations::parse_traceparent(request.headers.find("traceparent").value_or(""));
  const Telemetry::Begun begun = telemetry.begin(parent ? &*parent : nullptr);
  record_.number = begun.number;
  record_.context = begun.context;
  if (parent) {
    record_.parent = parent->span;
    record_.tracestate = operations::kept_tracestate(request.headers.find("tracestate").value_or(""));
  }
  traced_ = parent || telemetry.traces();
  record_.id = request.id;
  record_.endpoint = endpoint;
  record_.operation = operation_of(endpoint);
  record_.client = request.client.name();
  set_host(request.headers.find("host").value_or(""), record_);
  record_.arrived = std::chrono::system_clock::now();
}

void RequestTrace::read(const text::Json& body, const Request& request, const std::string& model, std::string reply_id,
                        double now) {
  record_.read_seconds = now - arrived_;
  record_.response_id = std::move(reply_id);
  record_.model_asked = request.model_asked.substr(0, kNameBytesMax);
  record_.model = model;
  record_.payer = request.prompts.front().options.client.substr(0, kNameBytesMax);
  record_.operation = operation_of(path_of(request.reply.endpoint));
  record_.parameters = parameters_of(request);
  metrics_ = &telemetry_.metrics().model(model);
  if (!telemetry_.content()) return;
  auto messages = input_messages(body);
  record_.content_left_out = !messages;
  record_.input_messages = std::move(messages).value_or("");
}

void RequestTrace::submitted(std::size_t choices, double now) {
  record_.submitted_seconds = now - arrived_;
  last_text_.resize(choices);
}

void RequestTrace::first_text(double now) {
  if (!record_.first_text_seconds) record_.first_text_seconds = now - arrived_;
}

void RequestTrace::text(std::size_t choice, double now) {
  first_text(now);
  double& last = last_text_[choice];
  if (last > 0) metrics_->observe_gap(now - last);
  last = now;
}

void RequestTrace::add_generations(const Exchange& exchange) {
  for (std::size_t i = 0; i < exchange.size(); ++i) {
    const engine::Usage& usage = exchange.engine_usage(i);
    record_.generations.push_back(generation_of(exchange.reason(i), usage, usage.computed_tokens));
    const std::size_t timed = std::min(usage.preemptions, usage.preempted_at.size());
    record_.generations.back().preempted_at.assign(usage.preempted_at.begin(), usage.preempted_at.begin() + timed);
  }
}

void RequestTrace::add_calls(const std::vector<reasoning::CallRecord>& calls) {
  for (const reasoning::CallRecord& call : calls) {
    record_.generations.push_back(generation_of(call.reason, call, call.prefilled_tokens));
    record_.generations.back().begin_seconds = call.start;
  }
  set_usage(usage_numbers(calls));
}

void RequestTrace::set_usage(const UsageNumbers& usage) {
  record_.prompt_tokens = usage.prompt_tokens;
  record_.cached_tokens = usage.cached_tokens;
  record_.prefill_tokens = usage.prefill_tokens;
  record_.generated_tokens = usage.generated_tokens;
  record_.pte = usage.pte;
}

void RequestTrace::end(int status, const Refusal* why, const Exchange* exchange, double now) {
  record_.seconds = now - arrived_;
  record_.status = status;
  record_.error = error_of(status, why);
  if (exchange != nullptr) {
    add_generations(*exchange);
    set_usage(exchange->usage_numbers());
    if (telemetry_.content()) {
      auto messages = output_messages(*exchange);
      record_.content_left_out = record_.content_left_out || !messages;
      record_.output_messages = std::move(messages).value_or("");
    }
  }
  telemetry_.finish(std::move(record_));
}

void RequestTrace::add_headers(HttpHeaders& headers) const {
  if (traced_) headers.add("traceparent", operations::traceparent(record_.context));
}

}  // namespace plait::serving
