// SPDX-License-Identifier: Apache-2.0
#include "serving/api.h"

#include <fmt/format.h>

#include <atomic>
#include <ctime>
#include <optional>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "parallel/executor.h"
#include "serving/dialect.h"
#include "serving/exchange.h"
#include "serving/metrics.h"
#include "serving/request_trace.h"
#include "serving/text_routes.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

// One text of many megabytes keeps one of them busy for seconds; the others' requests are read meanwhile.
constexpr int kReaders = 4;

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) ^ device();
}

std::int64_t unix_seconds() { return static_cast<std::int64_t>(std::time(nullptr)); }

HttpHeaders warning_headers(const ReplyShape& shape) {
  HttpHeaders headers;
  for (const std::string& warning : shape.warnings) headers.add("x-plait-warning", warning);
  return headers;
}

// Who pays, where the request itself says nothing more exact: the key, else the field `user`, else the address.
void set_client(const HttpClient& client, Request& request) {
  for (engine::Request& prompt : request.prompts) {
    if (!client.key_name.empty() || prompt.options.client.empty()) prompt.options.client = client.name();
    prompt.options.weight = client.limits.weight;
    if (!client.key_name.empty()) prompt.options.salt = client.key_name + '\0' + prompt.options.salt;
    prompt.generate.patient = !request.reply.stream;
  }
}

Refusal unknown_model(const std::string& asked, const std::string& there) {
  return {.status = 404,
          .message = fmt::format("there is no model \"{}\"; this server has \"{}\"", asked.substr(0, 100), there),
          .param = "model",
          .code = "model_not_found"};
}

}  // namespace

class Api::State {
 public:
  State(EngineLoop& loop, const Target& target, const ApiOptions& options, const base::Clock& clock)
      : loop_(loop),
        target_(target),
        options_(options),
        clock_(clock),
        own_telemetry_(options.telemetry == nullptr ? std::make_unique<Telemetry>() : nullptr),
        telemetry_(options.telemetry == nullptr ? *own_telemetry_ : *options.telemetry) {
    if (options_.seed == 0) options_.seed = random_seed();
  }

  void add_routes(HttpRouter& router);

  std::function<HttpCounters()> http_counters = [] { return HttpCounters(); };

 private:
  /// A request from its arrival to its end.
  struct Flight {
    Responder responder;
    const Dialect& dialect;
    RequestTrace trace;
    bool streams = false;
    HttpHeaders headers = {};
    std::unique_ptr<Wording> wording = {};
    // The rest is the engine's thread's.
    std::unique_ptr<Exchange> exchange = {};
    std::optional<Refusal> failed = {};
  };
  using FlightPointer = std::shared_ptr<Flight>;

  void take(const Dialect& dialect, HttpRequest request, const Responder& responder);
  void prepare(const FlightPointer& flight, const HttpRequest& request);
  void refuse(Flight& flight, const Refusal& refusal);
  void start(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight, Request request);
  void part(Flight& flight, const ChoicePart& part);
  void land(std::uint64_t number);
  void leave(std::uint64_t number);
  [[nodiscard]] MetricsSources sources() const;

  EngineLoop& loop_;
  const Target& target_;
  ApiOptions options_;
  const base::Clock& clock_;
  std::unique_ptr<Telemetry> own_telemetry_;
  Telemetry& telemetry_;
  const std::vector<Dialect> dialects_ = {openai_dialect(Endpoint::chat_completions),
                                          openai_dialect(Endpoint::completions), anthropic_dialect(),
                                          ollama_chat_dialect(), ollama_generate_dialect()};
  std::atomic<std::uint64_t> number_ = 0;
  std::atomic<std::size_t> flying_ = 0;
  std::unordered_map<std::uint64_t, FlightPointer> flights_;  // the engine's thread's
  parallel::Executor reader_{kReaders};                       // last: its jobs use the rest
};

// The flight is counted out when the last hand lets it go.
void Api::State::take(const Dialect& dialect, HttpRequest request, const Responder& responder) {
  RequestTrace trace(telemetry_, dialect.path, request, clock_.now());
  if (flying_.fetch_add(1) >= options_.requests_max) {
    flying_.fetch_sub(1);
    const Refusal refusal{.status = 503, .message = "too many requests at once", .code = "overloaded"};
    HttpReply reply = dialect.refuse(refusal);
    reply.headers.add("retry-after", "1");
    trace.end(refusal.status, &refusal, nullptr, clock_.now());
    return responder.reply(std::move(reply));
  }
  const FlightPointer flight(new Flight{.responder = responder, .dialect = dialect, .trace = std::move(trace)},
                             [this](Flight* done) {
                               delete done;
                               flying_.fetch_sub(1);
                             });
  reader_.submit([this, flight, request = std::move(request)] { prepare(flight, request); });
}

void Api::State::refuse(Flight& flight, const Refusal& refusal) {
  HttpReply reply = flight.dialect.refuse(refusal);
  flight.trace.add_headers(reply.headers);
  flight.trace.end(refusal.status, &refusal, nullptr, clock_.now());
  flight.responder.reply(std::move(reply));
}

void Api::State::prepare(const FlightPointer& flight, const HttpRequest& http) {
  const auto body = parse_body(http.body);
  if (!body) return refuse(*flight, body.error());
  const std::uint64_t number = ++number_;
  auto asked = flight->dialect.read(
      *body,
      {.target = target_, .id = http.id, .created = unix_seconds(), .seed = base::random_u64(options_.seed, number)});
  if (!asked) return refuse(*flight, asked.error());
  Request& request = asked->request;
  if (!request.model_asked.empty() && request.model_asked != target_.model) {
    return refuse(*flight, unknown_model(request.model_asked, target_.model));
  }
  set_client(http.client, request);
  flight->trace.read(*body, request, target_.model, std::move(asked->reply_id), clock_.now());
  flight->streams = request.reply.stream;
  flight->headers = warning_headers(request.reply);
  flight->trace.add_headers(flight->headers);
  flight->wording = std::move(asked->wording);
  loop_.post([this, number, flight, taken = std::move(request)](engine::Engine& engine) mutable {
    start(engine, number, flight, std::move(taken));
  });
}

void Api::State::start(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight, Request request) {
  if (flight->responder.gone()) return flight->trace.end(operations::kStatusGone, nullptr, nullptr, clock_.now());
  ExchangeEvents events{.done = [this, number] {  // the exchange must not go within a step
    loop_.post([this, number](engine::Engine&) { land(number); });
  }};
  events.part = [this, raw = flight.get()](const ChoicePart& part) { this->part(*raw, part); };
  auto exchange = Exchange::start(engine, target_, std::move(request), std::move(events));
  if (!exchange) return refuse(*flight, exchange.error());
  flight->exchange = *std::move(exchange);
  flight->trace.submitted(*flight->exchange, clock_.now());
  flights_.emplace(number, flight);
  if (flight->streams) flight->wording->open(flight->responder, flight->headers);
  flight->responder.on_gone([this, number] { loop_.post([this, number](engine::Engine&) { leave(number); }); });
}

void Api::State::part(Flight& flight, const ChoicePart& part) {
  if (!part.text.empty()) flight.trace.text(part.choice, clock_.now());
  if (!flight.streams || flight.failed) return;
  if (part.ending != nullptr) flight.failed = refusal_of(*part.ending);
  if (flight.failed) return flight.wording->fail(*flight.failed);
  flight.wording->part(part);
}

void Api::State::land(std::uint64_t number) {
  const auto at = flights_.find(number);
  if (at == flights_.end()) return;
  const FlightPointer flight = std::move(at->second);
  flights_.erase(at);
  if (flight->streams) {
    if (!flight->failed) flight->wording->close(*flight->exchange);
    const Refusal* failed = flight->failed ? &*flight->failed : nullptr;
    return flight->trace.end(failed != nullptr ? failed->status : 200, failed, flight->exchange.get(), clock_.now());
  }
  // Large replies are not written on the engine's time.
  reader_.submit([this, flight] {
    HttpReply reply = flight->wording->whole(*flight->exchange);
    for (const auto& [name, value] : flight->headers) reply.headers.add(name, value);
    const auto failed = flight->exchange->refusal();
    flight->trace.end(reply.status, failed ? &*failed : nullptr, flight->exchange.get(), clock_.now());
    flight->responder.reply(std::move(reply));
  });
}

void Api::State::leave(std::uint64_t number) {
  const auto at = flights_.find(number);
  if (at == flights_.end()) return;
  const FlightPointer flight = std::move(at->second);
  flights_.erase(at);
  flight->exchange->cancel();
  flight->trace.end(operations::kStatusGone, nullptr, flight->exchange.get(), clock_.now());
}

MetricsSources Api::State::sources() const {
  return {.models = {{.name = target_.model,
                      .engine = loop_.counters(),
                      .steps = loop_.step_times(),
                      .pages_reclaimable = loop_.pages_reclaimable()}},
          .http = http_counters(),
          .traces = telemetry_.traces_counters()};
}

void Api::State::add_routes(HttpRouter& router) {
  for (const Dialect& dialect : dialects_) {
    router.add(HttpMethod::post, dialect.path, [this, &dialect](HttpRequest request, const Responder& responder) {
      take(dialect, std::move(request), responder);
    });
  }
  const std::int64_t since = unix_seconds();
  const auto text_route = [&](HttpMethod method, std::string_view path, auto reply) {
    router.add(method, path, [this, reply, since](HttpRequest request, const Responder& responder) {
      reader_.submit([this, reply, since, responder, request = std::move(request)] {
        responder.reply(reply(request, target_, since));
      });
    });
  };
  const auto quick_route = [&](std::string_view path, auto reply) {
    router.add(HttpMethod::get, path, [this, reply, since](const HttpRequest& request, const Responder& responder) {
      responder.reply(reply(request, target_, since));
    });
  };
  quick_route("/v1/models", models_reply);
  quick_route("/v1/models/{name...}", model_reply);
  quick_route("/api/tags", ollama_tags_reply);
  quick_route("/api/version", ollama_version_reply);
  text_route(HttpMethod::post, "/tokenize", tokenize_reply);
  text_route(HttpMethod::post, "/detokenize", detokenize_reply);
  text_route(HttpMethod::post, "/v1/messages/count_tokens", count_tokens_reply);
  text_route(HttpMethod::post, "/api/show", ollama_show_reply);
  telemetry_.add_routes(router);
  router.add(HttpMethod::get, "/health",
             [](const HttpRequest&, const Responder& responder) { responder.reply({.body = R"({"status":"ok"})"}); });
  router.add(HttpMethod::get, "/metrics", [this](const HttpRequest&, const Responder& responder) {
    responder.reply(
        {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = telemetry_.metrics().text(sources())});
  });
}

Api::Api(EngineLoop& loop, const Target& target, const ApiOptions& options, const base::Clock& clock)
    : state_(std::make_unique<State>(loop, target, options, clock)) {}
Api::~Api() = default;

void Api::add_routes(HttpRouter& router) { state_->add_routes(router); }

void Api::set_http_counters(std::function<HttpCounters()> counters) { state_->http_counters = std::move(counters); }

}  // namespace plait::serving
