// SPDX-License-Identifier: Apache-2.0
#include "serving/strand_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "parallel/executor.h"
#include "reasoning/state.h"
#include "serving/client.h"
#include "serving/random_seed.h"
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
  HttpReply reply = json_reply(body, status);
  for (const std::string& warning : warnings) reply.headers.add("x-plait-warning", warning);
  return reply;
}

HttpReply too_many(std::string message) {
  return reply_of({.status = 429, .message = std::move(message), .code = "too_many_strands"});
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

/// The strands of one loaded model, which stays as long as one of their trees is there.
struct ModelStrands {
  /// Made, used and destroyed by the engines' thread.
  ModelStrands(ModelLease lease, std::uint64_t seed)
      : model(std::move(lease)),
        names([seed](reasoning::StrandId id) { return fmt::format("strand_{:016x}", base::mix64(seed + id.value())); }),
        strands(model->loop->engine(), strand_model(model->target)) {}

  [[nodiscard]] const models::Tokenizer& tokenizer() const { return *model->target.tokenizer; }

  const ModelLease model;  // first: held until the rest is gone
  const StrandNames names;
  reasoning::Strands strands;
};

/// What one client's strands have in common that come of one root.
struct Tree {
  Tree(std::shared_ptr<ModelStrands> its_home, std::string its_owner, const StrandEventLimits& limits)
      : home(std::move(its_home)), owner(std::move(its_owner)), log(limits) {}
  std::shared_ptr<ModelStrands> home;
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
  std::shared_ptr<Tree> tree;  // first: the strand must go before its home
  reasoning::State state;
  std::deque<std::shared_ptr<Outcome>> outcomes = {};
};

Json entry_json(const Entry& entry, bool with_text) {
  const ModelStrands& home = *entry.tree->home;
  Json json = strand_json(entry.state, home.names, with_text);
  json["model"] = home.model->target.model;
  return json;
}

/// Where a strand is found without the engines' thread.
struct Address {
  ModelLease model;
  std::string owner;
};

}  // namespace

class StrandRoutes::State {
 public:
  State(ServedModels& models, const StrandLimits& limits, const base::Clock& clock)
      : models_(models), limits_(limits), clock_(clock) {
    if (limits_.seed == 0) limits_.seed = random_seed();
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
  void prepare(const Json& body, const HttpClient& client, const ModelLease& model, const Responder& responder);
  void begin(const ModelLease& model, const HttpClient& client, CreateRequest created, const Responder& responder);
  [[nodiscard]] std::shared_ptr<ModelStrands> home_of(const ModelLease& model);
  [[nodiscard]] ModelLease model_of(const HttpRequest& request);
  [[nodiscard]] Entry* find(std::string_view id, const std::string& owner);
  Entry& add(const reasoning::State& state, const std::shared_ptr<Tree>& tree);
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

  ServedModels& models_;
  StrandLimits limits_;
  const base::Clock& clock_;
  std::atomic<std::uint64_t> created_ = 0;
  std::mutex mutex_;
  std::unordered_map<std::string, Address> addresses_;  // under mutex_: of each entry, by its name
  // The rest is the engines' thread's.
  std::unordered_map<const ServedModel*, std::weak_ptr<ModelStrands>> homes_;
  std::uint64_t homes_made_ = 0;
  std::map<std::string, Entry, std::less<>> entries_;  // by the name that clients know
  std::vector<std::string> closed_;
  std::vector<std::pair<double, std::weak_ptr<Outcome>>> timed_;  // whose waiting ends then
  double swept_at_ = 0;
  bool ending_ = false;
  parallel::Executor reader_{2};  // last: its jobs use the rest
};

/// The model of the strand that a route is about; null if the client has no such strand. Any thread.
ModelLease StrandRoutes::State::model_of(const HttpRequest& request) {
  const std::scoped_lock lock(mutex_);
  const auto at = addresses_.find(std::string(request.param("id")));
  return at != addresses_.end() && at->second.owner == request.client.name() ? at->second.model : nullptr;
}

Entry* StrandRoutes::State::find(std::string_view id, const std::string& owner) {
  const auto at = entries_.find(id);
  const bool there = at != entries_.end() && !at->second.state.closed() && at->second.tree->owner == owner;
  return there ? &at->second : nullptr;
}

/// A route below a strand: finds it on the engines' thread.
void StrandRoutes::State::act(HttpRouter& router, HttpMethod method, std::string_view path, Action action) {
  router.add(method, path, [this, action = std::move(action)](HttpRequest request, const Responder& responder) {
    const ModelLease model = model_of(request);
    if (!model) return responder.refuse(no_strand(request.param("id")));
    model->loop->post([this, action, model, request = std::move(request), responder](engine::Engine&) {
      Entry* const entry = find(request.param("id"), request.client.name());
      if (entry == nullptr) return responder.refuse(no_strand(request.param("id")));
      entry->tree->used_at = clock_.now();
      action(*entry, request, responder);
      forget_closed();
    });
  });
}

/// One that is read first, which may take a while.
template <class Read, class Ask>
void StrandRoutes::State::operation(HttpRouter& router, std::string_view path, Read read, Ask ask) {
  router.add(HttpMethod::post, path, [this, read, ask](HttpRequest request, const Responder& responder) {
    const ModelLease model = model_of(request);
    if (!model) return responder.refuse(no_strand(request.param("id")));
    reader_.submit([this, read, ask, model, request = std::move(request), responder] {
      auto body = body_of(request);
      if (!body) return responder.refuse(body.error());
      auto asked = read(*body, model->target);
      if (!asked) return responder.refuse(asked.error());
      model->loop->post([this, ask, model, asked = *std::move(asked), id = std::string(request.param("id")),
                         client = request.client.name(), responder](engine::Engine&) mutable {
        Entry* const found = find(id, client);
        if (found == nullptr) return responder.refuse(no_strand(id));
        Entry& entry = *found;
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
  const ModelStrands* const home = entry.tree->home.get();  // is there as long as the strand is
  const auto outcome = std::make_shared<Outcome>(Outcome{.strand = home->names(state.id()),
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
  ask(state).then([this, outcome, to_json, home](const base::Result<T>& result) {
    if (!result) return complete(outcome, reply_of(strand_refusal(result.error())), true);
    Json body = to_json(*result, outcome->answer, *home);
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
  const StrandNames& names = tree.home->names;
  tree.log.add(name(event.kind), event_json(event, names, tree.home->tokenizer()));
  if (event.kind == Kind::created) ++tree.strands;
  if (event.kind == Kind::text) {
    const auto at = entries_.find(names(event.strand));
    if (at == entries_.end()) return;
    const auto& outcomes = at->second.outcomes;
    const auto outcome = std::ranges::find(outcomes, event.operation, [](const auto& one) { return one->number; });
    if (outcome == outcomes.end() || !(*outcome)->stream) return;
    (*outcome)->stream->event("text", dump_json({{"text", event.text}}));
  }
  if (event.kind == Kind::closed) {
    closed_.push_back(names(event.strand));
    if (--tree.strands == 0) tree.log.end();
  }
}

/// With its last strand a tree goes, and with the last tree of a model the lease on it. Requires: no handle of a closed
/// strand elsewhere.
void StrandRoutes::State::forget_closed() {
  for (const std::string& id : std::exchange(closed_, {})) {
    decltype(addresses_)::node_type gone;  // its lease is given back without the lock
    {
      const std::scoped_lock lock(mutex_);
      gone = addresses_.extract(id);
    }
    entries_.erase(id);
  }
}

Entry& StrandRoutes::State::add(const reasoning::State& state, const std::shared_ptr<Tree>& tree) {
  std::string id = tree->home->names(state.id());
  {
    const std::scoped_lock lock(mutex_);
    addresses_.insert_or_assign(id, Address{.model = tree->home->model, .owner = tree->owner});
  }
  return entries_.insert_or_assign(std::move(id), Entry{.tree = tree, .state = state}).first->second;
}

bool StrandRoutes::State::room_for(const Tree& tree, std::size_t more) const {
  if (entries_.size() + more > limits_.strands_max) return false;
  const auto own =
      std::ranges::count_if(entries_, [&](const auto& entry) { return entry.second.tree->owner == tree.owner; });
  return static_cast<std::size_t>(own) + more <= limits_.per_client_max;
}

void StrandRoutes::State::create(HttpRequest http, const Responder& responder) {
  reader_.submit([this, http = std::move(http), responder] {
    auto body = body_of(http);
    if (!body) return responder.refuse(body.error());
    const std::string asked = model_named(*body);
    models_.acquire(
        asked, {},
        [this, body = *std::move(body), client = http.client, responder](Accepted<ModelLease> lease) mutable {
          if (!lease) return responder.refuse(lease.error());
          reader_.submit([this, body = std::move(body), client = std::move(client), model = *std::move(lease),
                          responder] { prepare(body, client, model, responder); });
        });
  });
}

void StrandRoutes::State::prepare(const Json& body, const HttpClient& client, const ModelLease& model,
                                  const Responder& responder) {
  const Target& target = model->target;
  auto created = read_create(body, target, base::random_u64(limits_.seed, ++created_));
  if (!created) return responder.refuse(created.error());
  set_client(client, created->options.sequence);
  if (target.grammars != nullptr) static_cast<void>(target.grammars->plain_table());  // not on the engines' thread
  model->loop->post([this, model, client, created = *std::move(created), responder](engine::Engine&) mutable {
    begin(model, client, std::move(created), responder);
    forget_closed();
  });
}

std::shared_ptr<ModelStrands> StrandRoutes::State::home_of(const ModelLease& model) {
  std::erase_if(homes_, [](const auto& one) { return one.second.expired(); });
  std::weak_ptr<ModelStrands>& known = homes_[model.get()];
  auto home = known.lock();
  if (!home) {
    home = std::make_shared<ModelStrands>(model, base::child_seed(limits_.seed, ++homes_made_));
    known = home;
  }
  return home;
}

void StrandRoutes::State::begin(const ModelLease& model, const HttpClient& client, CreateRequest created,
                                const Responder& responder) {
  const auto tree = std::make_shared<Tree>(home_of(model), client.name(), limits_.events);
  if (!room_for(*tree, 1)) return responder.reply(too_many("too many strands at once: delete some"));
  tree->used_at = clock_.now();
  // The strand must not hold what holds it.
  created.options.events = [this, weak = std::weak_ptr(tree)](const reasoning::StrandEvent& event) {
    if (const auto there = weak.lock()) note(*there, event);
  };
  auto state = tree->home->strands.create(created.options);
  if (!state) return responder.refuse(strand_refusal(state.error()));
  if (created.piece) {
    const auto appended = state->append(*std::move(created.piece));
    if (!appended.result()) return responder.refuse(strand_refusal(appended.result().error()));
  }
  const Entry& entry = add(*state, tree);
  responder.reply(reply_with(200, entry_json(entry, false), created.answer.warnings));
}

void StrandRoutes::State::fork(Entry& entry, const ForkRequest& request, const Responder& responder) {
  if (!room_for(*entry.tree, request.count)) {
    return responder.reply(too_many("too many strands at once: delete some"));
  }
  const std::shared_ptr<Tree> tree = entry.tree;
  const reasoning::State parent = entry.state;
  Json data = Json::array();
  for (const reasoning::State& child : parent.fork(request.count)) {
    data.push_back(entry_json(add(child, tree), false));
  }
  const Json body{{"object", "list"},
                  {"strand", tree->home->names(parent.id())},
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
  const auto to_json = [](const reasoning::Joined& joined, const StrandAnswer&, const ModelStrands& home) {
    return joined_json(joined, home.names, home.tokenizer());
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
  old.clear();
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
  for (auto& [id, entry] : entries_) entry.tree->log.end();
}

void StrandRoutes::State::add_routes(HttpRouter& router) {
  router.add(HttpMethod::post, "/v1/strands",
             [this](HttpRequest request, const Responder& responder) { create(std::move(request), responder); });
  operation(router, "/v1/strands/{id}/append", read_append,
            [this](Entry& entry, AppendRequest request, const Responder& responder) {
              follow<reasoning::Appended>(
                  entry, "append", request.answer, responder,
                  [&](const reasoning::State& state) { return state.append(std::move(request.piece)); },
                  [](const reasoning::Appended& done, const StrandAnswer&, const ModelStrands&) {
                    return Json{{"object", "strand.appended"}, {"tokens", done.tokens}, {"length", done.length}};
                  });
            });
  const auto captured = [](const reasoning::Capture& capture, const StrandAnswer& answer, const ModelStrands& home) {
    return capture_json(capture, answer, home.tokenizer());
  };
  operation(router, "/v1/strands/{id}/gen", read_gen,
            [this, captured](Entry& entry, GenRequest request, const Responder& responder) {
              follow<reasoning::Capture>(
                  entry, "gen", request.answer, responder,
                  [&](const reasoning::State& state) { return state.gen(request.name, std::move(request.options)); },
                  captured);
            });
  operation(
      router, "/v1/strands/{id}/select", [](const Json& body, const Target&) { return read_select(body); },
      [this, captured](Entry& entry, const SelectRequest& request, const Responder& responder) {
        follow<reasoning::Capture>(
            entry, "select", request.answer, responder,
            [&](const reasoning::State& state) { return state.select(request.name, request.options, request.rule); },
            captured);
      });
  operation(
      router, "/v1/strands/{id}/fork",
      [this](const Json& body, const Target&) { return read_fork(body, limits_.fork_max); },
      [this](Entry& entry, const ForkRequest& request, const Responder& responder) {
        fork(entry, request, responder);
      });
  operation(
      router, "/v1/strands/{id}/join", [](const Json& body, const Target&) { return read_join(body); },
      [this](Entry& entry, const JoinRequest& request, const Responder& responder) {
        join(entry, request, responder);
      });
  act(router, HttpMethod::get, "/v1/strands/{id}",
      [](const Entry& entry, const HttpRequest& request, const Responder& responder) {
        responder.reply(reply_with(200, entry_json(entry, request.query_value("text") == "true")));
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
      [](const Entry& entry, const HttpRequest& request, const Responder& responder) {
        const std::size_t count = entry.state.cancel();
        responder.reply(
            reply_with(200, {{"id", request.param("id")}, {"object", "strand.cancelled"}, {"cancelled", count}}));
      });
  act(router, HttpMethod::remove, "/v1/strands/{id}",
      [](const Entry& entry, const HttpRequest& request, const Responder& responder) {
        entry.state.close();
        responder.reply(
            reply_with(200, {{"id", request.param("id")}, {"object", "strand.deleted"}, {"deleted", true}}));
      });
}

StrandRoutes::StrandRoutes(ServedModels& models, const StrandLimits& limits, const base::Clock& clock)
    : state_(std::make_unique<State>(models, limits, clock)) {}
StrandRoutes::~StrandRoutes() = default;

void StrandRoutes::add_routes(HttpRouter& router) { state_->add_routes(router); }
void StrandRoutes::tick() { state_->tick(); }
void StrandRoutes::end_streams() { state_->end_streams(); }

}  // namespace plait::serving
