// SPDX-License-Identifier: Apache-2.0
#include "serving/strand_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "base/random.h"
#include "parallel/executor.h"
#include "reasoning/state.h"
#include "serving/client.h"
#include "serving/strand_reply.h"
#include "serving/strand_request.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

constexpr double kWaitSeconds = 60;  // for an operation's result, where the request does not say
constexpr double kWaitSecondsMax = 600;
constexpr double kSweepSeconds = 1;

Refusal no_strand(std::string_view id) {
  return {.status = 404,
          .message = fmt::format("there is no strand \"{}\"", id.substr(0, 100)),
          .param = "id",
          .code = "strand_not_found"};
}

HttpReply reply_with(int status, const Json& body, const std::vector<std::string>& warnings = {}) {
  HttpReply reply{.status = status, .body = dump_json(body)};
  for (const std::string& warning : warnings) reply.headers.add("x-plait-warning", warning);
  return reply;
}

HttpReply too_many(std::string message) {
  HttpReply reply = reply_of({.status = 429, .message = std::move(message), .code = "too_many_strands"});
  reply.headers.add("retry-after", "1");
  return reply;
}

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  Number number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

Accepted<Json> body_of(const HttpRequest& request) {
  if (request.body.empty()) return Json::object();
  return parse_body(request.body);
}

/// What one client's strands have in common that come of one root.
struct Tree {
  Tree(std::string its_owner, const StrandEventLimits& limits) : owner(std::move(its_owner)), log(limits) {}
  std::string owner;
  StrandEventLog log;
  double used_at = 0;
  std::size_t strands = 0;
};

/// An operation, from when it was asked for until nobody remembers it.
struct Outcome {
  std::string strand = {};
  std::uint64_t number = 0;
  std::string kind = {};
  StrandAnswer answer = {};
  std::optional<HttpReply> reply = {};
  bool failed = false;
  std::vector<Responder> waiting = {};
  std::optional<SseStream> stream = {};
};

Json outcome_json(const Outcome& outcome) {
  return {{"object", "strand.operation"},
          {"strand", outcome.strand},
          {"operation", outcome.number},
          {"kind", outcome.kind},
          {"status", outcome.reply ? (outcome.failed ? "failed" : "done") : "running"}};
}

struct Entry {
  reasoning::State state;
  std::shared_ptr<Tree> tree;
  std::deque<std::shared_ptr<Outcome>> outcomes = {};
};

}  // namespace

class StrandRoutes::State {
 public:
  State(EngineLoop& loop, const Target& target, const StrandLimits& limits, const base::Clock& clock)
      : loop_(loop), target_(target), limits_(limits), clock_(clock) {
    if (limits_.seed == 0) {
      std::random_device device;
      limits_.seed = (std::uint64_t{device()} << 32U) ^ device();
    }
    names_ = [seed = base::mix64(limits_.seed)](reasoning::StrandId id) {
      return fmt::format("strand_{:016x}", base::mix64(seed + id.value()));
    };
  }
  ~State() {
    ending_ = true;
    entries_.clear();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void add_routes(HttpRouter& router);
  void tick();
  void end_streams();

 private:
  using Action = std::function<void(Entry&, const HttpRequest&, const Responder&)>;

  void create(HttpRequest request, const Responder& responder);
  void begin(engine::Engine& engine, const HttpClient& client, CreateRequest created, const Responder& responder);
  void act(HttpRouter& router, HttpMethod method, std::string_view path, Action action);
  template <class Read, class Ask>
  void operation(HttpRouter& router, std::string_view path, Read read, Ask ask);
  template <class T, class ToJson>
  void follow(Entry& entry, std::string kind, StrandAnswer answer, const Responder& responder,
              const std::function<reasoning::Value<T>(const reasoning::State&)>& ask, ToJson to_json);
  void complete(const std::shared_ptr<Outcome>& outcome, HttpReply reply, bool failed);
  void told(const Outcome& outcome);
  void fork(Entry& entry, const ForkRequest& request, const Responder& responder);
  void join(Entry& entry, const JoinRequest& request, const Responder& responder);
  void result(Entry& entry, const HttpRequest& request, const Responder& responder);
  void events(Entry& entry, const HttpRequest& request, const Responder& responder);
  [[nodiscard]] bool room_for(const Tree& tree, std::size_t more) const;
  void note(Tree& tree, const reasoning::StrandEvent& event);
  void forget_closed();
  void sweep(double now);

  EngineLoop& loop_;
  const Target& target_;
  StrandLimits limits_;
  const base::Clock& clock_;
  StrandNames names_;
  std::atomic<std::uint64_t> created_ = 0;
  // The rest is the engine's thread's.
  std::unique_ptr<reasoning::Strands> strands_;
  std::map<std::string, Entry, std::less<>> entries_;  // by the name that clients know
  std::vector<std::string> closed_;
  std::vector<std::pair<double, std::weak_ptr<Outcome>>> timed_;  // whose waiting ends then
  double swept_at_ = 0;
  bool ending_ = false;
  parallel::Executor reader_{2};  // last: its jobs use the rest
};

/// A route below a strand: finds it on the engine's thread.
void StrandRoutes::State::act(HttpRouter& router, HttpMethod method, std::string_view path, Action action) {
  router.add(method, path, [this, action = std::move(action)](HttpRequest request, const Responder& responder) {
    loop_.post([this, action, request = std::move(request), responder](engine::Engine&) {
      const auto at = entries_.find(request.param("id"));
      if (at == entries_.end() || at->second.state.closed() || at->second.tree->owner != request.client.name()) {
        return responder.refuse(no_strand(request.param("id")));
      }
      at->second.tree->used_at = clock_.now();
      action(at->second, request, responder);
      forget_closed();
    });
  });
}

/// One that is read first, which may take a while.
template <class Read, class Ask>
void StrandRoutes::State::operation(HttpRouter& router, std::string_view path, Read read, Ask ask) {
  router.add(HttpMethod::post, path, [this, read, ask](HttpRequest request, const Responder& responder) {
    reader_.submit([this, read, ask, request = std::move(request), responder] {
      auto body = body_of(request);
      if (!body) return responder.refuse(body.error());
      auto asked = read(*body);
      if (!asked) return responder.refuse(asked.error());
      loop_.post([this, ask, asked = *std::move(asked), id = std::string(request.param("id")),
                  client = request.client.name(), responder](engine::Engine&) mutable {
        const auto at = entries_.find(id);
        if (at == entries_.end() || at->second.state.closed() || at->second.tree->owner != client) {
          return responder.refuse(no_strand(id));
        }
        Entry& entry = at->second;
        entry.tree->used_at = clock_.now();
        if (entry.state.waiting() >= limits_.waiting_max || entry.state.operations() >= limits_.operations_max) {
          return responder.reply(
              too_many(fmt::format("a strand takes {} operations at a time and {} in all: wait, or "
                                   "fork it",
                                   limits_.waiting_max, limits_.operations_max)));
        }
        ask(entry, std::move(asked), responder);
        forget_closed();
      });
    });
  });
}

/// Asks the strand, and answers now, later, or as it comes.
template <class T, class ToJson>
void StrandRoutes::State::follow(Entry& entry, std::string kind, StrandAnswer answer, const Responder& responder,
                                 const std::function<reasoning::Value<T>(const reasoning::State&)>& ask,
                                 ToJson to_json) {
  const reasoning::State state = entry.state;
  const auto outcome = std::make_shared<Outcome>(Outcome{.strand = names_(state.id()),
                                                         .number = state.operations() + 1,
                                                         .kind = std::move(kind),
                                                         .answer = std::move(answer)});
  entry.outcomes.push_back(outcome);
  if (entry.outcomes.size() > limits_.results_kept && entry.outcomes.front()->reply) entry.outcomes.pop_front();
  const auto& how = outcome->answer;
  if (how.stream) {
    HttpHeaders headers;
    for (const std::string& warning : how.warnings) headers.add("x-plait-warning", warning);
    outcome->stream.emplace(responder, std::move(headers));
  } else if (how.wait) {
    outcome->waiting.push_back(responder);
  }
  ask(state).then([this, outcome, to_json](const base::Result<T>& result) {
    if (!result) return complete(outcome, reply_of(strand_refusal(result.error())), true);
    Json body = to_json(*result, outcome->answer);
    body["strand"] = outcome->strand;
    body["operation"] = outcome->number;
    complete(outcome, reply_with(200, body, outcome->answer.warnings), false);
  });
  if (!how.wait && !how.stream) responder.reply(reply_with(202, outcome_json(*outcome), how.warnings));
}

/// The strand goes on behind an error that somebody knows of.
void StrandRoutes::State::told(const Outcome& outcome) {
  if (!outcome.failed || ending_) return;
  if (const auto at = entries_.find(outcome.strand); at != entries_.end()) at->second.state.recover();
}

void StrandRoutes::State::complete(const std::shared_ptr<Outcome>& outcome, HttpReply reply, bool failed) {
  outcome->failed = failed;
  outcome->reply = std::move(reply);
  const auto waiting = std::exchange(outcome->waiting, {});
  for (const Responder& responder : waiting) responder.reply(*outcome->reply);
  if (outcome->stream) {
    outcome->stream->event(failed ? "error" : "capture", outcome->reply->body);
    outcome->stream->end();
  }
  if (!waiting.empty() || outcome->stream) told(*outcome);
  outcome->stream.reset();
}

void StrandRoutes::State::note(Tree& tree, const reasoning::StrandEvent& event) {
  using Kind = reasoning::StrandEvent::Kind;
  if (ending_) return;
  tree.log.add(name(event.kind), event_json(event, names_, *target_.tokenizer));
  if (event.kind == Kind::created) ++tree.strands;
  if (event.kind == Kind::text) {
    const auto at = entries_.find(names_(event.strand));
    if (at == entries_.end()) return;
    const auto& outcomes = at->second.outcomes;
    const auto outcome = std::ranges::find(outcomes, event.operation, [](const auto& one) { return one->number; });
    if (outcome == outcomes.end() || !(*outcome)->stream) return;
    (*outcome)->stream->event("text", dump_json({{"text", event.text}}));
  }
  if (event.kind == Kind::closed) {
    closed_.push_back(names_(event.strand));
    if (--tree.strands == 0) tree.log.end();
  }
}

void StrandRoutes::State::forget_closed() {
  for (const std::string& id : std::exchange(closed_, {})) entries_.erase(id);
}

bool StrandRoutes::State::room_for(const Tree& tree, std::size_t more) const {
  if (entries_.size() + more > limits_.strands_max) return false;
  const auto own =
      std::ranges::count_if(entries_, [&](const auto& entry) { return entry.second.tree->owner == tree.owner; });
  return static_cast<std::size_t>(own) + more <= limits_.per_client_max;
}

void StrandRoutes::State::create(HttpRequest http, const Responder& responder) {
  reader_.submit([this, http = std::move(http), responder] {
    const auto body = body_of(http);
    if (!body) return responder.refuse(body.error());
    auto created = read_create(*body, target_, base::random_u64(limits_.seed, ++created_));
    if (!created) return responder.refuse(created.error());
    if (!created->model_asked.empty() && created->model_asked != target_.model) {
      return responder.refuse({.status = 404,
                               .message = fmt::format("there is no model \"{}\"; this server has \"{}\"",
                                                      created->model_asked.substr(0, 100), target_.model),
                               .param = "model",
                               .code = "model_not_found"});
    }
    set_client(http.client, created->options.sequence);
    if (target_.grammars != nullptr) static_cast<void>(target_.grammars->plain_table());  // not on the engine's thread
    loop_.post([this, client = http.client, created = *std::move(created), responder](engine::Engine& engine) mutable {
      begin(engine, client, std::move(created), responder);
      forget_closed();
    });
  });
}

void StrandRoutes::State::begin(engine::Engine& engine, const HttpClient& client, CreateRequest created,
                                const Responder& responder) {
  if (!strands_) strands_ = std::make_unique<reasoning::Strands>(engine, strand_model(target_));
  const auto tree = std::make_shared<Tree>(client.name(), limits_.events);
  if (!room_for(*tree, 1)) return responder.reply(too_many("too many strands at once: delete some"));
  tree->used_at = clock_.now();
  created.options.events = [this, tree](const reasoning::StrandEvent& event) { note(*tree, event); };
  auto state = strands_->create(created.options);
  if (!state) return responder.refuse(strand_refusal(state.error()));
  if (created.piece) {
    const auto appended = state->append(*std::move(created.piece));
    if (!appended.result()) return responder.refuse(strand_refusal(appended.result().error()));
  }
  responder.reply(reply_with(200, strand_json(*state, names_, false), created.answer.warnings));
  std::string id = names_(state->id());
  entries_.emplace(std::move(id), Entry{.state = *std::move(state), .tree = tree});
}

void StrandRoutes::State::fork(Entry& entry, const ForkRequest& request, const Responder& responder) {
  if (!room_for(*entry.tree, request.count)) {
    return responder.reply(too_many("too many strands at once: delete some"));
  }
  const std::shared_ptr<Tree> tree = entry.tree;
  const reasoning::State parent = entry.state;
  Json data = Json::array();
  for (const reasoning::State& child : parent.fork(request.count)) {
    data.push_back(strand_json(child, names_, false));
    entries_.emplace(names_(child.id()), Entry{.state = child, .tree = tree});
  }
  const Json body{{"object", "list"},
                  {"strand", names_(parent.id())},
                  {"operation", parent.operations()},
                  {"data", std::move(data)}};
  responder.reply(reply_with(200, body, request.answer.warnings));
}

void StrandRoutes::State::join(Entry& entry, const JoinRequest& request, const Responder& responder) {
  reasoning::JoinOptions options = request.options;
  for (std::size_t i = 0; i < request.children.size(); ++i) {
    const auto at = entries_.find(request.children[i]);
    if (at == entries_.end() || at->second.tree != entry.tree) {
      Refusal refusal = no_strand(request.children[i]);
      refusal.param = fmt::format("children[{}]", i);
      return responder.refuse(refusal);
    }
    options.children.push_back(at->second.state.id());
  }
  const auto to_json = [this](const reasoning::Joined& joined, const StrandAnswer&) {
    return joined_json(joined, names_, *target_.tokenizer);
  };
  follow<reasoning::Joined>(
      entry, "join", request.answer, responder,
      [&](const reasoning::State& state) { return state.join(std::move(options)); }, to_json);
}

/// GET …/operations/{number}: waits for it, for `timeout` seconds.
void StrandRoutes::State::result(Entry& entry, const HttpRequest& request, const Responder& responder) {
  const auto number = whole_number<std::uint64_t>(request.param("number"));
  const auto at = std::ranges::find_if(entry.outcomes, [&](const auto& one) { return number == one->number; });
  if (at == entry.outcomes.end()) {
    return responder.refuse({.status = 404,
                             .message = "there is no such operation, or its result is not kept any more",
                             .param = "number",
                             .code = "operation_not_found"});
  }
  double seconds = kWaitSeconds;
  if (const auto given = request.query_value("timeout")) {
    const auto read = whole_number<std::uint32_t>(*given);
    if (!read || *read > kWaitSecondsMax) {
      return responder.refuse(bad_value("timeout", "must be a whole number of seconds from 0 to 600").error());
    }
    seconds = *read;
  }
  const auto outcome = *at;
  if (outcome->reply) {
    responder.reply(*outcome->reply);
    return told(*outcome);
  }
  if (seconds == 0) return responder.reply(reply_with(202, outcome_json(*outcome)));
  outcome->waiting.push_back(responder);
  timed_.emplace_back(clock_.now() + seconds, outcome);
}

void StrandRoutes::State::events(Entry& entry, const HttpRequest& request, const Responder& responder) {
  const auto header = request.headers.find("last-event-id");
  const auto given = header ? header : request.query_value("after");
  const auto after = given ? whole_number<std::uint64_t>(*given) : std::optional<std::uint64_t>(0);
  if (!after) return responder.refuse(bad_value("last-event-id", "must be a number").error());
  if (!entry.tree->log.read(responder, *after)) {
    responder.reply(too_many(fmt::format("a tree of strands has at most {} readers", limits_.events.readers_max)));
  }
}

void StrandRoutes::State::sweep(double now) {
  swept_at_ = now;
  std::vector<reasoning::State> old;
  for (const auto& [id, entry] : entries_) {
    entry.tree->log.drop_gone();
    if (!entry.state.idle() || entry.tree->log.readers() > 0) entry.tree->used_at = now;
  }
  for (const auto& [id, entry] : entries_) {
    if (entry.tree->used_at + limits_.idle_seconds < now) old.push_back(entry.state);
  }
  for (const reasoning::State& state : old) state.close();
  forget_closed();
}

void StrandRoutes::State::tick() {
  const double now = clock_.now();
  if (now - swept_at_ >= kSweepSeconds) sweep(now);
  for (const auto& [until, weak] : timed_) {
    const auto outcome = until <= now ? weak.lock() : nullptr;
    if (!outcome || outcome->waiting.empty()) continue;
    for (const Responder& responder : std::exchange(outcome->waiting, {})) {
      responder.reply(reply_with(202, outcome_json(*outcome)));
    }
  }
  std::erase_if(timed_, [&](const auto& one) { return one.first <= now; });
}

void StrandRoutes::State::end_streams() {
  loop_.post([this](engine::Engine&) {
    for (auto& [id, entry] : entries_) entry.tree->log.end();
  });
}

void StrandRoutes::State::add_routes(HttpRouter& router) {
  const auto tokenizer = [this]() -> const models::Tokenizer& { return *target_.tokenizer; };
  router.add(HttpMethod::post, "/v1/strands",
             [this](HttpRequest request, const Responder& responder) { create(std::move(request), responder); });
  operation(
      router, "/v1/strands/{id}/append", [this](const Json& body) { return read_append(body, target_); },
      [this](Entry& entry, AppendRequest request, const Responder& responder) {
        follow<reasoning::Appended>(
            entry, "append", request.answer, responder,
            [&](const reasoning::State& state) { return state.append(std::move(request.piece)); },
            [](const reasoning::Appended& done, const StrandAnswer&) {
              return Json{{"object", "strand.appended"}, {"tokens", done.tokens}, {"length", done.length}};
            });
      });
  const auto captured = [tokenizer](const reasoning::Capture& capture, const StrandAnswer& answer) {
    return capture_json(capture, answer, tokenizer());
  };
  operation(
      router, "/v1/strands/{id}/gen", [this](const Json& body) { return read_gen(body, target_); },
      [this, captured](Entry& entry, GenRequest request, const Responder& responder) {
        follow<reasoning::Capture>(
            entry, "gen", request.answer, responder,
            [&](const reasoning::State& state) { return state.gen(request.name, std::move(request.options)); },
            captured);
      });
  operation(
      router, "/v1/strands/{id}/select", [](const Json& body) { return read_select(body); },
      [this, captured](Entry& entry, const SelectRequest& request, const Responder& responder) {
        follow<reasoning::Capture>(
            entry, "select", request.answer, responder,
            [&](const reasoning::State& state) { return state.select(request.name, request.options, request.rule); },
            captured);
      });
  operation(
      router, "/v1/strands/{id}/fork", [this](const Json& body) { return read_fork(body, limits_.fork_max); },
      [this](Entry& entry, const ForkRequest& request, const Responder& responder) {
        fork(entry, request, responder);
      });
  operation(
      router, "/v1/strands/{id}/join", [](const Json& body) { return read_join(body); },
      [this](Entry& entry, const JoinRequest& request, const Responder& responder) {
        join(entry, request, responder);
      });
  act(router, HttpMethod::get, "/v1/strands/{id}",
      [this](const Entry& entry, const HttpRequest& request, const Responder& responder) {
        responder.reply(reply_with(200, strand_json(entry.state, names_, request.query_value("text") == "true")));
      });
  act(router, HttpMethod::get, "/v1/strands/{id}/operations/{number}",
      [this](Entry& entry, const HttpRequest& request, const Responder& responder) {
        result(entry, request, responder);
      });
  act(router, HttpMethod::get, "/v1/strands/{id}/events",
      [this](Entry& entry, const HttpRequest& request, const Responder& responder) {
        events(entry, request, responder);
      });
  act(router, HttpMethod::post, "/v1/strands/{id}/cancel",
      [this](const Entry& entry, const HttpRequest&, const Responder& responder) {
        const reasoning::State state = entry.state;
        const std::size_t count = state.cancel();
        responder.reply(
            reply_with(200, {{"id", names_(state.id())}, {"object", "strand.cancelled"}, {"cancelled", count}}));
      });
  act(router, HttpMethod::remove, "/v1/strands/{id}",
      [this](const Entry& entry, const HttpRequest&, const Responder& responder) {
        const reasoning::State state = entry.state;
        state.close();
        responder.reply(reply_with(200, {{"id", names_(state.id())}, {"object", "strand.deleted"}, {"deleted", true}}));
      });
}

StrandRoutes::StrandRoutes(EngineLoop& loop, const Target& target, const StrandLimits& limits, const base::Clock& clock)
    : state_(std::make_unique<State>(loop, target, limits, clock)) {}
StrandRoutes::~StrandRoutes() = default;

void StrandRoutes::add_routes(HttpRouter& router) { state_->add_routes(router); }
void StrandRoutes::tick() { state_->tick(); }
void StrandRoutes::end_streams() { state_->end_streams(); }

}  // namespace plait::serving
