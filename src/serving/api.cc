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
#include "serving/model_routes.h"
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

// What the body says of its model. Another kind of value is refused later, by whoever reads the rest.
std::string model_of(const Json& body) {
  const Json name = body.is_object() ? body.value("model", Json()) : Json();
  return name.is_string() ? name.get<std::string>() : std::string();
}

}  // namespace

class Api::State {
 public:
  State(ServedModels& models, const ApiOptions& options, const base::Clock& clock)
      : models_(models), options_(options), clock_(clock) {
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
    HttpRequest request = {};  // until it was read
    Json body = {};
    ModelLease model = {};
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
  void prepare(const FlightPointer& flight);
  void read(const FlightPointer& flight, Accepted<ModelLease> lease);
  void refuse(const Flight& flight, const Refusal& refusal);
  void start(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight, Request request);
  void part(Flight& flight, const ChoicePart& part);
  void land(std::uint64_t number);
  void leave(std::uint64_t number);
  void observe(const Flight& flight, int status, const Json& usage);
  using TextReply = HttpReply (*)(const HttpRequest&, const Target&);
  void answer(TextReply reply, const HttpRequest& request, const Responder& responder);
  [[nodiscard]] HttpReply ready() const;
  void add_model_routes(HttpRouter& router);

  ServedModels& models_;
  ApiOptions options_;
  const base::Clock& clock_;
  Metrics metrics_;
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
  if (flying_.fetch_add(1) >= options_.requests_max) {
    flying_.fetch_sub(1);
    HttpReply reply = dialect.refuse({.status = 503, .message = "too many requests at once", .code = "overloaded"});
    reply.headers.add("retry-after", "1");
    return responder.reply(std::move(reply));
  }
  const FlightPointer flight(
      new Flight{.responder = responder, .dialect = dialect, .arrived = clock_.now(), .request = std::move(request)},
      [this](Flight* done) {
        delete done;
        flying_.fetch_sub(1);
      });
  reader_.submit([this, flight] { prepare(flight); });
}

void Api::State::refuse(const Flight& flight, const Refusal& refusal) {
  flight.responder.reply(flight.dialect.refuse(refusal));
  observe(flight, refusal.status, {});
}

void Api::State::prepare(const FlightPointer& flight) {
  auto body = parse_body(flight->request.body);
  if (!body) return refuse(*flight, body.error());
  flight->request.body.clear();
  flight->body = *std::move(body);
  const auto keep_alive = flight->dialect.keep_alive(flight->body);
  if (!keep_alive) return refuse(*flight, keep_alive.error());
  models_.acquire(model_of(flight->body), *keep_alive, [this, flight](Accepted<ModelLease> lease) {
    reader_.submit([this, flight, lease = std::move(lease)] { read(flight, lease); });
  });
}

void Api::State::read(const FlightPointer& flight, Accepted<ModelLease> lease) {
  if (!lease) return refuse(*flight, lease.error());
  flight->model = *std::move(lease);
  const std::uint64_t number = ++number_;
  auto asked = flight->dialect.read(flight->body, {.target = flight->model->target,
                                                   .id = flight->request.id,
                                                   .created = unix_seconds(),
                                                   .seed = base::random_u64(options_.seed, number)});
  if (!asked) return refuse(*flight, asked.error());
  Request& request = asked->request;
  set_client(flight->request.client, request);
  flight->body = {};
  flight->streams = request.reply.stream;
  flight->headers = warning_headers(request.reply);
  flight->wording = std::move(asked->wording);
  flight->model->loop->post([this, number, flight, taken = std::move(request)](engine::Engine& engine) mutable {
    start(engine, number, flight, std::move(taken));
  });
}

void Api::State::start(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight, Request request) {
  if (flight->responder.gone()) return observe(*flight, kGone, {});
  EngineLoop& loop = *flight->model->loop;
  ExchangeEvents events{.done = [this, &loop, number] {  // the exchange must not go within a step
    loop.post([this, number](engine::Engine&) { land(number); });
  }};
  events.part = [this, raw = flight.get()](const ChoicePart& part) { this->part(*raw, part); };
  auto exchange = Exchange::start(engine, flight->model->target, std::move(request), std::move(events));
  if (!exchange) return refuse(*flight, exchange.error());
  flight->exchange = *std::move(exchange);
  flight->last_text.resize(flight->exchange->size());
  flights_.emplace(number, flight);
  if (flight->streams) flight->wording->open(flight->responder, flight->headers);
  // It may come when the flight has landed and the model has gone.
  flight->responder.on_gone([this, number, weak = std::weak_ptr(flight->model->loop)] {
    if (const auto there = weak.lock()) there->post([this, number](engine::Engine&) { leave(number); });
  });
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
  add_model_routes(router);
  const auto text_route = [&](std::string_view path, TextReply reply) {
    router.add(HttpMethod::post, path, [this, reply](HttpRequest request, const Responder& responder) {
      reader_.submit([this, reply, responder, request = std::move(request)] { answer(reply, request, responder); });
    });
  };
  text_route("/tokenize", tokenize_reply);
  text_route("/detokenize", detokenize_reply);
  text_route("/v1/messages/count_tokens", count_tokens_reply);
  router.add(HttpMethod::get, "/health",
             [](const HttpRequest&, const Responder& responder) { responder.reply({.body = R"({"status":"ok"})"}); });
  router.add(HttpMethod::get, "/ready",
             [this](const HttpRequest&, const Responder& responder) { responder.reply(ready()); });
  router.add(HttpMethod::get, "/metrics", [this](const HttpRequest&, const Responder& responder) {
    responder.reply({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                     .body = metrics_.text(models_.counters(), http_counters())});
  });
}

// Whether the usual model can be asked without waiting.
HttpReply Api::State::ready() const {
  for (const ModelStanding& model : models_.list()) {
    if (model.name == models_.usual() && model.state == ModelStanding::State::ready) {
      return {.body = R"({"status":"ready"})"};
    }
  }
  return {.status = 503, .body = R"({"status":"loading"})"};
}

void Api::State::add_model_routes(HttpRouter& router) {
  const auto quick_route = [&](HttpMethod method, std::string_view path, auto reply) {
    router.add(method, path, [this, reply](const HttpRequest& request, const Responder& responder) {
      responder.reply(reply(request, models_));
    });
  };
  quick_route(HttpMethod::get, "/v1/models", models_reply);
  quick_route(HttpMethod::get, "/v1/models/{name...}", model_reply);
  quick_route(HttpMethod::get, "/api/tags", ollama_tags_reply);
  quick_route(HttpMethod::get, "/api/ps", ollama_ps_reply);
  quick_route(HttpMethod::post, "/api/show", ollama_show_reply);
  quick_route(HttpMethod::get, "/api/version", ollama_version_reply);
}

// The questions that need a model's tokenizer, but not its engine.
void Api::State::answer(TextReply reply, const HttpRequest& request, const Responder& responder) {
  const auto body = parse_body(request.body);
  const std::string model = body ? model_of(*body) : std::string();  // a bad body is refused by whoever reads it
  models_.acquire(model, {}, [this, reply, request, responder](Accepted<ModelLease> lease) {
    if (!lease) return responder.refuse(lease.error());
    reader_.submit(
        [reply, request, responder, lease = *std::move(lease)] { responder.reply(reply(request, lease->target)); });
  });
}

Api::Api(ServedModels& models, const ApiOptions& options, const base::Clock& clock)
    : state_(std::make_unique<State>(models, options, clock)) {}
Api::~Api() = default;

void Api::add_routes(HttpRouter& router) { state_->add_routes(router); }

void Api::set_http_counters(std::function<HttpCounters()> counters) { state_->http_counters = std::move(counters); }

}  // namespace plait::serving
