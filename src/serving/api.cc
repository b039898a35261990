// SPDX-License-Identifier: Apache-2.0
#include "serving/api.h"

#include <fmt/format.h>

#include <atomic>
#include <ctime>
#include <new>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "parallel/executor.h"
#include "serving/client.h"
#include "serving/dialect.h"
#include "serving/exchange.h"
#include "serving/metrics.h"
#include "serving/model_routes.h"
#include "serving/random_seed.h"
#include "serving/request_trace.h"
#include "serving/status_route.h"
#include "serving/text_routes.h"
#include "serving/thought_exchange.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

// One text of many megabytes keeps one of them busy for seconds; the others' requests are read meanwhile.
constexpr int kReaders = 4;

std::int64_t unix_seconds() { return static_cast<std::int64_t>(std::time(nullptr)); }

HttpHeaders warning_headers(const ReplyShape& shape) {
  HttpHeaders headers;
  for (const std::string& warning : shape.warnings) headers.add("x-plait-warning", warning);
  return headers;
}

// Runs what reads or words one request. What throws all the same (no memory for a request of many megabytes) costs this
// request and not the program.
template <class Refuse, class Call>
void guarded(const Refuse& refuse, const Call& call) {
  try {
    call();
  } catch (const std::bad_alloc&) {
    refuse({.status = 503, .message = "there is no memory left for this request", .code = "out_of_memory"});
  } catch (...) {
    refuse({.status = 500, .message = "the request could not be handled", .code = "internal_error"});
  }
}

}  // namespace

class Api::State {
 public:
  State(ServedModels& models, const ApiOptions& options, const base::Clock& clock)
      : models_(models),
        options_(options),
        clock_(clock),
        own_telemetry_(options.telemetry == nullptr ? std::make_unique<Telemetry>() : nullptr),
        telemetry_(options.telemetry == nullptr ? *own_telemetry_ : *options.telemetry) {
    if (options_.seed == 0) options_.seed = random_seed();
    for (const Dialect& more : options_.dialects) dialects_.push_back(more);
  }

  void add_routes(HttpRouter& router);

  std::function<HttpCounters()> http_counters = [] { return HttpCounters(); };

 private:
  /// A request from its arrival to its end.
  struct Flight {
    Responder responder;
    const Dialect& dialect;
    std::shared_ptr<RequestCard> card;
    RequestTrace trace;
    HttpRequest request = {};  // until it was read
    Json body = {};
    ModelLease model = {};
    bool streams = false;
    HttpHeaders headers = {};
    std::unique_ptr<Wording> wording = {};
    std::unique_ptr<ThoughtWording> thought_wording = {};
    // The rest is the engine's thread's.
    std::unique_ptr<Exchange> exchange = {};
    std::unique_ptr<ThoughtExchange> thought = {};  // of a strategy, in place of it
    std::optional<Refusal> failed = {};
  };
  using FlightPointer = std::shared_ptr<Flight>;

  void take(const Dialect& dialect, HttpRequest request, const Responder& responder);
  void prepare(const FlightPointer& flight);
  void read(const FlightPointer& flight, Accepted<ModelLease> lease);
  void refuse(Flight& flight, const Refusal& refusal);
  void finish(Flight& flight, int status, const Refusal* why);
  void start(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight, Request request);
  void think(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight,
             std::shared_ptr<ThoughtAsk> ask);
  void part(Flight& flight, const ChoicePart& part);
  void land_thought(const FlightPointer& flight);
  void listen_for_leave(std::uint64_t number, Flight& flight);
  void land(std::uint64_t number);
  void leave(std::uint64_t number);
  using RefusalReply = HttpReply (*)(const Refusal&);
  void add_text_route(HttpRouter& router, HttpMethod method, std::string_view path, TextReply reply,
                      RefusalReply refused = reply_of);
  void answer(TextReply reply, RefusalReply refused, const HttpRequest& request, const Responder& responder);
  [[nodiscard]] HttpReply ready() const;
  void add_model_routes(HttpRouter& router);

  ServedModels& models_;
  ApiOptions options_;
  const base::Clock& clock_;
  std::shared_ptr<StatusBoard> board_ = StatusBoard::make(clock_);
  std::unique_ptr<Telemetry> own_telemetry_;
  Telemetry& telemetry_;
  StatusRoute status_{board_, telemetry_.recent(), [this] { return models_.loops(); }};
  std::vector<Dialect> dialects_ = {openai_dialect(Endpoint::chat_completions),
                                    openai_dialect(Endpoint::completions),
                                    anthropic_dialect(),
                                    ollama_chat_dialect(),
                                    ollama_generate_dialect(),
                                    openai_dialect(Endpoint::embeddings),
                                    ollama_embed_dialect(),
                                    ollama_embeddings_dialect()};
  const reasoning::Prompts prompts_ = reasoning::Prompts::built_in();
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
    trace.end(refusal.status, &refusal, nullptr, clock_.now());
    return responder.reply(dialect.refuse(refusal));
  }
  auto card = board_->open({.id = request.id,
                            .endpoint = std::string(dialect.path),
                            .client = request.client.name(),
                            .arrived = clock_.now()});
  const FlightPointer flight(new Flight{.responder = responder,
                                        .dialect = dialect,
                                        .card = std::move(card),
                                        .trace = std::move(trace),
                                        .request = std::move(request)},
                             [this](Flight* done) {
                               delete done;
                               flying_.fetch_sub(1);
                             });
  reader_.submit(
      [this, flight] { guarded([&](const Refusal& refusal) { refuse(*flight, refusal); }, [&] { prepare(flight); }); });
}

void Api::State::refuse(Flight& flight, const Refusal& refusal) {
  HttpReply reply = flight.dialect.refuse(refusal);
  flight.trace.add_headers(reply.headers);
  finish(flight, refusal.status, &refusal);
  flight.responder.reply(std::move(reply));
}

void Api::State::prepare(const FlightPointer& flight) {
  auto body = parse_body(flight->request.body);
  if (!body) return refuse(*flight, body.error());
  flight->request.body.clear();
  flight->body = *std::move(body);
  const auto keep_alive = flight->dialect.keep_alive(flight->body);
  if (!keep_alive) return refuse(*flight, keep_alive.error());
  flight->trace.model_asked(clock_.now());
  models_.acquire(model_named(flight->body), *keep_alive, [this, flight](Accepted<ModelLease> lease) {
    reader_.submit([this, flight, lease = std::move(lease)] {
      guarded([&](const Refusal& refusal) { refuse(*flight, refusal); }, [&] { read(flight, lease); });
    });
  });
}

void Api::State::read(const FlightPointer& flight, Accepted<ModelLease> lease) {
  if (!lease) return refuse(*flight, lease.error());
  flight->model = *std::move(lease);
  flight->trace.model_came(clock_.now());
  const std::uint64_t number = ++number_;
  auto asked = flight->dialect.read(flight->body, {.target = flight->model->target,
                                                   .id = flight->request.id,
                                                   .created = unix_seconds(),
                                                   .seed = base::random_u64(options_.seed, number),
                                                   .owner = flight->request.client.key_name});
  if (!asked) return refuse(*flight, asked.error());
  if (asked->request.thought && !asked->thought) {
    return refuse(*flight, {.message = "plait.strategy is for /v1/chat/completions",
                            .param = "plait.strategy",
                            .code = "unsupported_value"});
  }
  Request& request = asked->request;
  for (engine::Request& prompt : request.prompts) {
    set_client(flight->request.client, prompt.options);
    prompt.generate.patient = !request.reply.stream;
  }
  if (request.thought) request.thought->options.sequence = request.prompts.front().options;
  flight->trace.read(flight->body, request, flight->model->target.model, std::move(asked->reply_id), clock_.now());
  flight->body = {};
  flight->card->admit(flight->model->target.model, request.prompts[0].options.client,
                      request.prompts.size() * request.prompts[0].samples);
  flight->streams = request.reply.stream;
  flight->headers = warning_headers(request.reply);
  flight->trace.add_headers(flight->headers);
  flight->wording = std::move(asked->wording);
  flight->thought_wording = std::move(asked->thought);
  flight->model->loop->post([this, number, flight, taken = std::move(request)](engine::Engine& engine) mutable {
    start(engine, number, flight, std::move(taken));
  });
}

void Api::State::start(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight, Request request) {
  if (flight->responder.gone()) return flight->trace.end(operations::kStatusGone, nullptr, nullptr, clock_.now());
  if (request.thought) return think(engine, number, flight, std::move(request.thought));
  EngineLoop& loop = *flight->model->loop;
  ExchangeEvents events{.done = [this, &loop, number] {  // the exchange must not go within a step
    loop.post([this, number](engine::Engine&) { land(number); });
  }};
  events.part = [this, raw = flight.get()](const ChoicePart& part) { this->part(*raw, part); };
  auto exchange = Exchange::start(engine, flight->model->target, std::move(request), std::move(events));
  if (!exchange) return refuse(*flight, exchange.error());
  flight->exchange = *std::move(exchange);
  flight->trace.submitted(flight->exchange->size(), clock_.now());
  flights_.emplace(number, flight);
  if (flight->streams) flight->wording->open(flight->responder, flight->headers);
  listen_for_leave(number, *flight);
}

// It may come when the flight has landed and the model has gone.
void Api::State::listen_for_leave(std::uint64_t number, Flight& flight) {
  flight.responder.on_gone([this, number, weak = std::weak_ptr(flight.model->loop)] {
    if (const auto there = weak.lock()) there->post([this, number](engine::Engine&) { leave(number); });
  });
}

void Api::State::think(engine::Engine& engine, std::uint64_t number, const FlightPointer& flight,
                       std::shared_ptr<ThoughtAsk> ask) {
  EngineLoop& loop = *flight->model->loop;
  flight->thought = std::make_unique<ThoughtExchange>(engine, flight->model->target, prompts_, std::move(ask), clock_);
  flight->trace.submitted(0, clock_.now());
  flights_.emplace(number, flight);
  flight->thought->start(
      [this, raw = flight.get()](const reasoning::ThoughtEvent& event) {
        if (event.kind == reasoning::ThoughtEvent::Kind::text) raw->trace.first_text(clock_.now());
        if (event.kind == reasoning::ThoughtEvent::Kind::closed) raw->card->add_tokens(event.call->generated_tokens);
        if (!raw->streams) return;
        if (!raw->thought_wording->is_open()) raw->thought_wording->open(raw->responder, raw->headers);
        raw->thought_wording->event(event);
      },
      [this, &loop, number] { loop.post([this, number](engine::Engine&) { land(number); }); });
  listen_for_leave(number, *flight);
}

void Api::State::land_thought(const FlightPointer& flight) {
  const base::Result<reasoning::Thought>& thought = flight->thought->result();
  ThoughtWording& wording = *flight->thought_wording;
  if (!thought) {
    const Refusal refusal = refusal_of(thought.error());
    if (!wording.is_open()) return refuse(*flight, refusal);
    finish(*flight, refusal.status, &refusal);
    return wording.fail(refusal);
  }
  if (flight->streams) {
    finish(*flight, 200, nullptr);
    if (!wording.is_open()) wording.open(flight->responder, flight->headers);
    return wording.close(*thought);
  }
  HttpReply reply = wording.whole(*thought);
  for (const auto& [name, value] : flight->headers) reply.headers.add(name, value);
  finish(*flight, reply.status, nullptr);
  flight->responder.reply(std::move(reply));
}

void Api::State::part(Flight& flight, const ChoicePart& part) {
  flight.card->add_tokens(part.tokens.size());
  if (!part.text.empty()) flight.trace.text(part.choice, clock_.now());
  if (!flight.streams || flight.failed) return;
  if (part.ending != nullptr) flight.failed = refusal_of(*part.ending);
  if (!flight.failed) flight.wording->part(part);  // else land() says so
}

void Api::State::land(std::uint64_t number) {
  const auto at = flights_.find(number);
  if (at == flights_.end()) return;
  const FlightPointer flight = std::move(at->second);
  flights_.erase(at);
  if (flight->thought) return land_thought(flight);
  if (flight->streams) {
    const Refusal* failed = flight->failed ? &*flight->failed : nullptr;
    finish(*flight, failed != nullptr ? failed->status : 200, failed);
    return failed != nullptr ? flight->wording->fail(*failed) : flight->wording->close(*flight->exchange);
  }
  // Large replies are not written on the engine's time.
  reader_.submit([this, flight] {
    guarded([&](const Refusal& refusal) { refuse(*flight, refusal); },
            [&] {
              HttpReply reply = flight->wording->whole(*flight->exchange);
              for (const auto& [name, value] : flight->headers) reply.headers.add(name, value);
              const auto failed = flight->exchange->refusal();
              finish(*flight, reply.status, failed ? &*failed : nullptr);
              flight->responder.reply(std::move(reply));
            });
  });
}

void Api::State::leave(std::uint64_t number) {
  const auto at = flights_.find(number);
  if (at == flights_.end()) return;
  const FlightPointer flight = std::move(at->second);
  flights_.erase(at);
  if (flight->thought) {
    flight->thought->cancel();
  } else {
    flight->exchange->cancel();
  }
  finish(*flight, operations::kStatusGone, nullptr);
}

// Tells whoever wants to know how it ended. Before the client is told: who has read the end of an answer finds it
// counted.
void Api::State::finish(Flight& flight, int status, const Refusal* why) {
  flight.card->close();
  if (flight.thought) flight.trace.add_calls(flight.thought->calls());
  flight.trace.end(status, why, flight.exchange.get(), clock_.now());
}

void Api::State::add_routes(HttpRouter& router) {
  status_.add_routes(router);
  for (const Dialect& dialect : dialects_) {
    router.add(HttpMethod::post, dialect.path, [this, &dialect](HttpRequest request, const Responder& responder) {
      take(dialect, std::move(request), responder);
    });
  }
  add_model_routes(router);
  add_text_route(router, HttpMethod::post, "/tokenize", tokenize_reply);
  add_text_route(router, HttpMethod::post, "/detokenize", detokenize_reply);
  add_text_route(router, HttpMethod::post, "/v1/messages/count_tokens", count_tokens_reply, anthropic_refusal);
  add_text_route(router, HttpMethod::get, "/tokenizer_info", tokenizer_info_reply);
  telemetry_.add_routes(router);
  router.add(HttpMethod::get, "/health",
             [](const HttpRequest&, const Responder& responder) { responder.reply({.body = R"({"status":"ok"})"}); });
  router.add(HttpMethod::get, "/ready",
             [this](const HttpRequest&, const Responder& responder) { responder.reply(ready()); });
  router.add(HttpMethod::get, "/metrics", [this](const HttpRequest&, const Responder& responder) {
    responder.reply({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                     .body = telemetry_.metrics().text(
                         {.models = models_.work(), .http = http_counters(), .traces = telemetry_.traces_counters()})});
  });
}

// Whether the usual model can be asked without waiting.
HttpReply Api::State::ready() const {
  for (const ModelStanding& model : models_.list()) {
    if (model.name == models_.usual() && model.state == ModelStanding::State::ready) {
      return {.body = R"({"status":"ready"})"};
    }
  }
  return json_reply({{"status", "loading"}}, 503);
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
void Api::State::add_text_route(HttpRouter& router, HttpMethod method, std::string_view path, TextReply reply,
                                RefusalReply refused) {
  router.add(method, path, [this, reply, refused](HttpRequest request, const Responder& responder) {
    reader_.submit([this, reply, refused, responder, request = std::move(request)] {
      guarded([&](const Refusal& refusal) { responder.reply(refused(refusal)); },
              [&] { answer(reply, refused, request, responder); });
    });
  });
}

void Api::State::answer(TextReply reply, RefusalReply refused, const HttpRequest& request, const Responder& responder) {
  const bool bare = request.method == HttpMethod::get;
  auto body = bare ? Accepted<Json>(Json::object()) : parse_body(request.body);
  if (!body) return responder.reply(refused(body.error()));
  if (!body->is_object()) return responder.reply(refused({.message = "the body must be a JSON object"}));
  const auto model = Fields(*body).text("model");
  if (!model) return responder.reply(refused(model.error()));
  models_.acquire(model->value_or(""), {},
                  [this, reply, refused, responder, body = *std::move(body)](Accepted<ModelLease> lease) mutable {
                    if (!lease) return responder.reply(refused(lease.error()));
                    reader_.submit([reply, refused, responder, body = std::move(body), there = *std::move(lease)] {
                      guarded([&](const Refusal& refusal) { responder.reply(refused(refusal)); },
                              [&] {
                                auto made = reply(body, there->target);
                                responder.reply(made ? *std::move(made) : refused(made.error()));
                              });
                    });
                  });
}

Api::Api(ServedModels& models, const ApiOptions& options, const base::Clock& clock)
    : state_(std::make_unique<State>(models, options, clock)) {}
Api::~Api() = default;

void Api::add_routes(HttpRouter& router) { state_->add_routes(router); }

void Api::set_http_counters(std::function<HttpCounters()> counters) { state_->http_counters = std::move(counters); }

}  // namespace plait::serving
