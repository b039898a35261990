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
#include "serving/text_routes.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

// One text of many megabytes keeps one of them busy for seconds; the others' requests are read meanwhile.
constexpr int kReaders = 4;
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
    const Dialect& dialect;
    double arrived = 0;
    bool streams = false;
    HttpHeaders headers = {};
    std::unique_ptr<Wording> wording = {};
    // The rest is the engine's thread's.
    std::unique_ptr<Exchange> exchange = {};
    std::optional<double> first_text = {};
    std::vector<double> last_text = {};  // [choice] of a stream, 0: none yet
    std::optional<Refusal> failed = {};
  };
  using FlightPointer = std::shared_ptr<Flight>;

  void take(const Dialect& dialect, HttpRequest request, const Responder& responder);
  void prepare(const FlightPointer& flight, const HttpRequest& request);
  void refuse(const Flight& flight, const Refusal& refusal);
  void start(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight, Request request);
  void part(Flight& flight, const ChoicePart& part);
  void land(std::uint64_t number);
  void leave(std::uint64_t number);
  void observe(const Flight& flight, int status, const Json& usage);

  EngineLoop& loop_;
  const Target& target_;
  ApiOptions options_;
  const base::Clock& clock_;
  Metrics metrics_;
  const std::vector<Dialect> dialects_ = {openai_dialect(Endpoint::chat_completions),
                                          openai_dialect(Endpoint::completions),
                                          anthropic_dialect(),
                                          ollama_chat_dialect(),
                                          ollama_generate_dialect(),
                                          openai_dialect(Endpoint::embeddings),
                                          ollama_embed_dialect(),
                                          ollama_embeddings_dialect()};
  std::atomic<std::uint64_t> number_ = 0;
  std::atomic<std::size_t> flying_ = 0;
  std::unordered_map<std::uint64_t, FlightPointer> flights_;  // the engine's thread's
  parallel::Executor reader_{kReaders};                       // last: its jobs use the rest
};

// The flight is counted out when the last hand lets it go.
void Api::State::take(const Dialect& dialect, HttpRequest request, const Responder& responder) {
  if (flying_.fetch_add(1) >= options_.requests_max) {
    flying_.fetch_sub(1);
    HttpReply reply = dialect.refuse({.status = 503, .message = "too many requests at once", .code = "overloaded"});
    reply.headers.add("retry-after", "1");
    return responder.reply(std::move(reply));
  }
  const FlightPointer flight(new Flight{.responder = responder, .dialect = dialect, .arrived = clock_.now()},
                             [this](Flight* done) {
                               delete done;
                               flying_.fetch_sub(1);
                             });
  reader_.submit([this, flight, request = std::move(request)] { prepare(flight, request); });
}

void Api::State::refuse(const Flight& flight, const Refusal& refusal) {
  flight.responder.reply(flight.dialect.refuse(refusal));
  observe(flight, refusal.status, {});
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
  flight->streams = request.reply.stream;
  flight->headers = warning_headers(request.reply);
  flight->wording = std::move(asked->wording);
  loop_.post([this, number, flight, taken = std::move(request)](engine::Engine& engine) mutable {
    start(engine, number, flight, std::move(taken));
  });
}

void Api::State::start(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight, Request request) {
  if (flight->responder.gone()) return observe(*flight, kGone, {});
  ExchangeEvents events{.done = [this, number] {  // the exchange must not go within a step
    loop_.post([this, number](engine::Engine&) { land(number); });
  }};
  events.part = [this, raw = flight.get()](const ChoicePart& part) { this->part(*raw, part); };
  auto exchange = Exchange::start(engine, target_, std::move(request), std::move(events));
  if (!exchange) return refuse(*flight, exchange.error());
  flight->exchange = *std::move(exchange);
  flight->last_text.resize(flight->exchange->size());
  flights_.emplace(number, flight);
  if (flight->streams) flight->wording->open(flight->responder, flight->headers);
  flight->responder.on_gone([this, number] { loop_.post([this, number](engine::Engine&) { leave(number); }); });
}

void Api::State::part(Flight& flight, const ChoicePart& part) {
  const double now = clock_.now();
  if (!flight.first_text && !part.text.empty()) flight.first_text = now;
  if (!flight.streams || flight.failed) return;
  if (part.ending != nullptr) flight.failed = refusal_of(*part.ending);
  if (flight.failed) return flight.wording->fail(*flight.failed);
  if (!part.text.empty()) {
    double& last = flight.last_text[part.choice];
    if (last > 0) metrics_.observe_gap(now - last);
    last = now;
  }
  flight.wording->part(part);
}

void Api::State::land(std::uint64_t number) {
  const auto at = flights_.find(number);
  if (at == flights_.end()) return;
  const FlightPointer flight = std::move(at->second);
  flights_.erase(at);
  if (flight->streams) {
    if (!flight->failed) flight->wording->close(*flight->exchange);
    return observe(*flight, flight->failed ? flight->failed->status : 200, flight->exchange->usage());
  }
  // Large replies are not written on the engine's time.
  reader_.submit([this, flight] {
    HttpReply reply = flight->wording->whole(*flight->exchange);
    for (const auto& [name, value] : flight->headers) reply.headers.add(name, value);
    observe(*flight, reply.status, flight->exchange->usage());
    flight->responder.reply(std::move(reply));
  });
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
  RequestTimes times{.endpoint = flight.dialect.path, .status = status, .seconds = clock_.now() - flight.arrived};
  if (flight.first_text) times.first_token_seconds = *flight.first_text - flight.arrived;
  if (usage.is_object()) {
    times.prompt_tokens = usage["prompt_tokens"].get<std::size_t>();
    times.generated_tokens = usage["completion_tokens"].get<std::size_t>();
    times.cached_tokens = usage["prompt_tokens_details"]["cached_tokens"].get<std::size_t>();
  }
  metrics_.observe(times);
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
  quick_route("/tokenizer_info", tokenizer_info_reply);
  quick_route("/api/tags", ollama_tags_reply);
  quick_route("/api/version", ollama_version_reply);
  text_route(HttpMethod::post, "/tokenize", tokenize_reply);
  text_route(HttpMethod::post, "/detokenize", detokenize_reply);
  text_route(HttpMethod::post, "/v1/messages/count_tokens", count_tokens_reply);
  text_route(HttpMethod::post, "/api/show", ollama_show_reply);
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
