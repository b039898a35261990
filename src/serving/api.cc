// SPDX-License-Identifier: Apache-2.0
#include "serving/api.h"

#include <fmt/format.h>

#include <atomic>
#include <ctime>
#include <optional>
#include <random>
#include <unordered_map>
#include <utility>

#include "base/random.h"
#include "parallel/executor.h"
#include "serving/chunks.h"
#include "serving/exchange.h"
#include "serving/http/sse.h"
#include "serving/metrics.h"
#include "serving/text_routes.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

constexpr int kGone = 499;  // a client's own end, in metrics only

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
      : loop_(loop), target_(target), options_(options), clock_(clock) {
    if (options_.seed == 0) options_.seed = random_seed();
  }

  void add_routes(HttpRouter& router);

  std::function<HttpCounters()> http_counters = [] { return HttpCounters(); };

 private:
  /// A request from its arrival to its end.
  struct Flight {
    Responder responder;
    Endpoint endpoint = Endpoint::chat_completions;
    double arrived = 0;
    ReplyHead head = {};
    ReplyShape shape = {};
    // The rest is the engine's thread's.
    std::unique_ptr<Exchange> exchange = {};
    std::optional<SseStream> stream = {};
    std::optional<ChunkWriter> chunks = {};
    std::optional<double> first_text = {};
    std::vector<double> last_text = {};  // [choice] of a stream, 0: none yet
    bool failed = false;
  };
  using FlightPointer = std::shared_ptr<Flight>;

  void take(Endpoint endpoint, HttpRequest request, const Responder& responder);
  void prepare(const FlightPointer& flight, const HttpRequest& request);
  void refuse(const Flight& flight, const Refusal& refusal);
  void start(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight, Request request);
  void part(Flight& flight, const ChoicePart& part);
  void land(std::uint64_t number);
  void finish_stream(Flight& flight);
  void leave(std::uint64_t number);
  void observe(const Flight& flight, int status, const Json& usage);

  EngineLoop& loop_;
  const Target& target_;
  ApiOptions options_;
  const base::Clock& clock_;
  Metrics metrics_;
  std::atomic<std::uint64_t> number_ = 0;
  std::atomic<std::size_t> flying_ = 0;
  std::unordered_map<std::uint64_t, FlightPointer> flights_;  // the engine's thread's
  parallel::Executor reader_{1};                              // last: its jobs use the rest
};

// The flight is counted out when the last hand lets it go.
void Api::State::take(Endpoint endpoint, HttpRequest request, const Responder& responder) {
  if (flying_.fetch_add(1) >= options_.requests_max) {
    flying_.fetch_sub(1);
    HttpReply reply = reply_of({.status = 503, .message = "too many requests at once", .code = "overloaded"});
    reply.headers.add("retry-after", "1");
    return responder.reply(std::move(reply));
  }
  const FlightPointer flight(
      new Flight{
          .responder = responder, .endpoint = endpoint, .arrived = clock_.now(), .shape = {.endpoint = endpoint}},
      [this](Flight* done) {
        delete done;
        flying_.fetch_sub(1);
      });
  reader_.submit([this, flight, request = std::move(request)] { prepare(flight, request); });
}

void Api::State::refuse(const Flight& flight, const Refusal& refusal) {
  flight.responder.refuse(refusal);
  observe(flight, refusal.status, {});
}

void Api::State::prepare(const FlightPointer& flight, const HttpRequest& http) {
  const auto body = text::parse_json(http.body);
  if (!body) {
    return refuse(*flight, {.message = "the body is no JSON: " + body.error().message, .code = "invalid_json"});
  }
  const std::uint64_t number = ++number_;
  auto request = read_request(flight->endpoint, *body, target_, base::random_u64(options_.seed, number));
  if (!request) return refuse(*flight, request.error());
  if (!request->model_asked.empty() && request->model_asked != target_.model) {
    return refuse(*flight, unknown_model(request->model_asked, target_.model));
  }
  set_client(http.client, *request);
  flight->head = {.id = (flight->endpoint == Endpoint::completions ? "cmpl-" : "chatcmpl-") + http.id,
                  .created = unix_seconds(),
                  .model = target_.model};
  flight->shape = request->reply;
  loop_.post([this, number, flight, request = *std::move(request)](engine::Engine& engine) mutable {
    start(engine, number, flight, std::move(request));
  });
}

void Api::State::start(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight, Request request) {
  if (flight->responder.gone()) return observe(*flight, kGone, {});
  ExchangeEvents events{.done = [this, number] {  // the exchange must not go within a step
    loop_.post([this, number](engine::Engine&) { land(number); });
  }};
  events.part = [this, raw = flight.get()](const ChoicePart& part) { this->part(*raw, part); };
  const std::size_t prompts = request.prompts.size();
  auto exchange = Exchange::start(engine, target_, std::move(request), std::move(events));
  if (!exchange) return refuse(*flight, exchange.error());
  flight->exchange = *std::move(exchange);
  flights_.emplace(number, flight);
  if (flight->shape.stream) {
    const std::size_t choices = flight->exchange->size();
    flight->last_text.resize(choices);
    flight->chunks.emplace(flight->head, flight->shape, prompts, choices, *target_.tokenizer);
    flight->stream.emplace(flight->responder, warning_headers(flight->shape));
    for (std::size_t i = 0; i < choices; ++i) {
      if (const std::string chunk = flight->chunks->begin(i); !chunk.empty()) flight->stream->event(chunk);
    }
  }
  flight->responder.on_gone([this, number] { loop_.post([this, number](engine::Engine&) { leave(number); }); });
}

void Api::State::part(Flight& flight, const ChoicePart& part) {
  const double now = clock_.now();
  if (!flight.first_text && !part.text.empty()) flight.first_text = now;
  if (!flight.stream || flight.failed) return;
  const auto refusal = part.ending == nullptr ? std::nullopt : refusal_of(*part.ending);
  if (refusal) {
    flight.failed = true;
    return flight.stream->event(dump_json(refusal_body(*refusal)));
  }
  if (!part.text.empty()) {
    double& last = flight.last_text[part.choice];
    if (last > 0) metrics_.observe_gap(now - last);
    last = now;
  }
  flight.stream->event(flight.chunks->part(part));
}

void Api::State::land(std::uint64_t number) {
  const auto at = flights_.find(number);
  if (at == flights_.end()) return;
  const FlightPointer flight = std::move(at->second);
  flights_.erase(at);
  if (flight->stream) return finish_stream(*flight);
  // Large replies are not written on the engine's time.
  reader_.submit([this, flight] {
    const Reply reply = flight->exchange->reply(flight->head);
    flight->responder.reply(
        {.status = reply.status, .headers = warning_headers(flight->shape), .body = dump_json(reply.body)});
    observe(*flight, reply.status, reply.body.value("usage", Json()));
  });
}

void Api::State::finish_stream(Flight& flight) {
  const Json usage = flight.exchange->usage();
  if (flight.failed) {
    flight.stream->end();
  } else {
    if (flight.shape.stream_usage) flight.stream->event(flight.chunks->usage(usage));
    flight.stream->done();
  }
  observe(flight, flight.failed ? 500 : 200, usage);
}

void Api::State::leave(std::uint64_t number) {
  const auto at = flights_.find(number);
  if (at == flights_.end()) return;
  const FlightPointer flight = std::move(at->second);
  flights_.erase(at);
  flight->exchange.reset();  // cancels what runs
  observe(*flight, kGone, {});
}

void Api::State::observe(const Flight& flight, int status, const Json& usage) {
  RequestTimes times{.endpoint = path_of(flight.endpoint), .status = status, .seconds = clock_.now() - flight.arrived};
  if (flight.first_text) times.first_token_seconds = *flight.first_text - flight.arrived;
  if (usage.is_object()) {
    times.prompt_tokens = usage["prompt_tokens"].get<std::size_t>();
    times.generated_tokens = usage["completion_tokens"].get<std::size_t>();
    times.cached_tokens = usage["prompt_tokens_details"]["cached_tokens"].get<std::size_t>();
  }
  metrics_.observe(times);
}

void Api::State::add_routes(HttpRouter& router) {
  for (const Endpoint endpoint : {Endpoint::chat_completions, Endpoint::completions}) {
    router.add(HttpMethod::post, path_of(endpoint), [this, endpoint](HttpRequest request, const Responder& responder) {
      take(endpoint, std::move(request), responder);
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
  text_route(HttpMethod::get, "/v1/models", models_reply);
  text_route(HttpMethod::get, "/v1/models/{name...}", model_reply);
  text_route(HttpMethod::post, "/tokenize", tokenize_reply);
  text_route(HttpMethod::post, "/detokenize", detokenize_reply);
  router.add(HttpMethod::get, "/health",
             [](const HttpRequest&, const Responder& responder) { responder.reply({.body = R"({"status":"ok"})"}); });
  router.add(HttpMethod::get, "/metrics", [this](const HttpRequest&, const Responder& responder) {
    responder.reply({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                     .body = metrics_.text(loop_.counters(), http_counters())});
  });
}

Api::Api(EngineLoop& loop, const Target& target, const ApiOptions& options, const base::Clock& clock)
    : state_(std::make_unique<State>(loop, target, options, clock)) {}
Api::~Api() = default;

void Api::add_routes(HttpRouter& router) { state_->add_routes(router); }

void Api::set_http_counters(std::function<HttpCounters()> counters) { state_->http_counters = std::move(counters); }

}  // namespace plait::serving
