// SPDX-License-Identifier: Apache-2.0
#include "serving/status_route.h"

#include <chrono>
#include <mutex>
#include <string>
#include <utility>

#include "models/kv_layout.h"
#include "text/json.h"

namespace plait::serving {
namespace {

using text::Json;

constexpr double kFresh = 0.2;       // seconds for which a status is given out again
constexpr std::size_t kRecent = 64;  // of those that have ended, the last so many are listed

Json json_of(const engine::ClientUse& client) {
  return {{"name", client.name},           {"weight", client.weight},   {"level", client.level},
          {"service", client.service},     {"running", client.running}, {"waiting", client.waiting},
          {"sequences", client.sequences}, {"pages", client.pages}};
}

Json json_of(const engine::SequenceUse& sequence) {
  Json json = {{"id", sequence.id},
               {"client", sequence.client},
               {"state", name(sequence.state)},
               {"behind", nullptr},
               {"parent", nullptr},
               {"tokens", sequence.tokens},
               {"computed", sequence.computed},
               {"generated", sequence.generated},
               {"preemptions", sequence.preemptions},
               {"seconds", sequence.seconds},
               {"pages", {{"own", sequence.own}, {"shared", sequence.shared}, {"away", sequence.away}}}};
  if (sequence.behind) json["behind"] = *sequence.behind;
  if (sequence.parent) json["parent"] = *sequence.parent;
  return json;
}

Json json_of(const std::string& model, const engine::EngineCounters& counters, const engine::Snapshot& snapshot) {
  Json clients = Json::array();
  for (const engine::ClientUse& client : snapshot.clients) clients.push_back(json_of(client));
  Json rows = Json::array();
  for (const engine::SequenceUse& sequence : snapshot.sequences) rows.push_back(json_of(sequence));
  return {{"name", model},
          {"sequences", counters.sequences},
          {"listed", std::move(rows)},
          {"rows_max", snapshot.rows_max},
          {"rows_newcomers", snapshot.rows_newcomers},
          {"running", counters.running},
          {"waiting", counters.waiting},
          {"steps", counters.steps},
          {"prompt_rows", counters.prompt_rows},
          {"decode_rows", counters.decode_rows},
          {"cached_tokens", counters.prefixes.tokens_hit},
          {"preemptions", counters.preemptions},
          {"pages",
           {{"all", counters.pages},
            {"free", snapshot.pages.free},
            {"cached", snapshot.pages.cached},
            {"own", snapshot.pages.own},
            {"shared", snapshot.pages.shared},
            {"away", snapshot.pages.away},
            {"tokens", models::kPageTokens}}},
          {"clients", std::move(clients)},
          {"clients_known", snapshot.clients_known}};
}

Json json_of(const RequestRow& row, double now) {
  return {{"id", row.id},
          {"endpoint", row.endpoint},
          {"client", row.client},
          {"model", row.model},
          {"phase", name(row.phase)},
          {"age_seconds", now - row.arrived},
          {"choices", row.choices},
          {"generated_tokens", row.generated_tokens}};
}

// One that has ended, in the same shape.
Json json_of(const operations::RequestRecord& record, std::chrono::system_clock::time_point now) {
  const auto& asked = record.parameters;
  const std::string& client = record.payer.empty() ? record.client : record.payer;
  return {{"id", record.id.substr(0, StatusBoard::kTextBytes)},
          {"endpoint", record.endpoint},
          {"client", client.substr(0, StatusBoard::kTextBytes)},
          {"model", record.model},
          {"phase", "ended"},
          {"age_seconds", std::chrono::duration<double>(now - record.arrived).count()},
          {"choices", asked ? asked->choices * asked->prompts : 0},
          {"generated_tokens", record.generated_tokens},
          {"status", record.status},
          {"seconds", record.seconds},
          {"first_token_seconds", record.first_text_seconds ? Json(*record.first_text_seconds) : Json()},
          {"prompt_tokens", record.prompt_tokens},
          {"cached_tokens", record.cached_tokens}};
}

}  // namespace

class StatusRoute::State : public std::enable_shared_from_this<State> {
 public:
  State(std::shared_ptr<StatusBoard> board, std::shared_ptr<const operations::RecentRequests> recent,
        std::function<std::vector<LoopOfModel>()> models)
      : board_(std::move(board)),
        recent_(std::move(recent)),
        models_(std::move(models)),
        began_(board_->clock().now()) {}

  void look(const Responder& responder) {
    {
      const std::scoped_lock lock(mutex_);
      if (!body_.empty() && board_->clock().now() - made_ < kFresh) return responder.reply({.body = body_});
      waiting_.push_back(responder);
      if (waiting_.size() > 1) return;  // somebody else has asked for it
    }
    std::vector<LoopOfModel> models = models_();
    const auto round = std::make_shared<Round>(shared_from_this(), models.size());
    for (std::size_t i = 0; i < models.size(); ++i) {
      models[i].loop->post([round, i, name = std::move(models[i].name)](engine::Engine& engine) {
        round->models[i] = json_of(name, engine.counters(), engine.snapshot());
      });
    }
  }

 private:
  /// One status in the making. It is done when its last holder lets go of it: an engine that is going away does so too.
  struct Round {
    Round(std::shared_ptr<State> its_state, std::size_t count) : state(std::move(its_state)), models(count) {}
    ~Round() { state->answer(std::move(models)); }
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;

    std::shared_ptr<State> state;
    std::vector<Json> models;  // [model], each written by its own engine's thread
  };

  void answer(std::vector<Json> models) {
    const double now = board_->clock().now();
    Json listed = Json::array();
    for (const RequestRow& row : board_->open_rows()) listed.push_back(json_of(row, now));
    Json recent = Json::array();
    const auto time = std::chrono::system_clock::now();
    for (const auto& record : recent_->newest(kRecent, {})) recent.push_back(json_of(*record, time));
    std::erase_if(models, [](const Json& model) { return model.is_null(); });
    std::string body = text::dump_json(
        {{"seconds", now - began_},
         {"models", std::move(models)},
         {"requests", {{"open", board_->open_count()}, {"listed", std::move(listed)}, {"recent", std::move(recent)}}}});
    std::vector<Responder> waiting;
    {
      const std::scoped_lock lock(mutex_);
      body_ = body;
      made_ = now;
      waiting.swap(waiting_);
    }
    for (const Responder& responder : waiting) responder.reply({.body = body});
  }

  std::shared_ptr<StatusBoard> board_;
  std::shared_ptr<const operations::RecentRequests> recent_;
  std::function<std::vector<LoopOfModel>()> models_;
  double began_;
  std::mutex mutex_;
  std::string body_;  // under mutex_, as the rest
  double made_ = 0;
  std::vector<Responder> waiting_;
};

StatusRoute::StatusRoute(std::shared_ptr<StatusBoard> board, std::shared_ptr<const operations::RecentRequests> recent,
                         std::function<std::vector<LoopOfModel>()> models)
    : state_(std::make_shared<State>(std::move(board), std::move(recent), std::move(models))) {}
StatusRoute::~StatusRoute() = default;

void StatusRoute::add_routes(HttpRouter& router) {
  router.add(HttpMethod::get, "/v1/plait/status",
             [state = state_](const HttpRequest&, const Responder& responder) { state->look(responder); });
}

}  // namespace plait::serving
