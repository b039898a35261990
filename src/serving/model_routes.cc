// SPDX-License-Identifier: Apache-2.0
#include "serving/model_routes.h"

#include <algorithm>
#include <ctime>
#include <string>
#include <utility>

#include "serving/dialect.h"
#include "text/json.h"
#include "text/timestamp.h"

namespace plait::serving {
namespace {

using text::Json;
using State = ModelStanding::State;

std::string_view word(State state) {
  switch (state) {
    case State::absent:
      return "absent";
    case State::loading:
      return "loading";
    case State::ready:
      break;
  }
  return "ready";
}

Json model_json(const ModelStanding& model) {
  Json json{{"id", model.name}, {"object", "model"}, {"created", model.since}, {"owned_by", "plait"}};
  if (model.context) json["max_model_len"] = *model.context;
  json["plait"] = {{"state", word(model.state)}, {"bytes", model.bytes}, {"aliases", model.aliases}};
  if (model.seconds_left) json["plait"]["seconds_left"] = *model.seconds_left;
  return json;
}

Json ollama_json(const ModelStanding& model) {
  return {{"name", model.name},
          {"model", model.name},
          {"modified_at", text::utc_time(model.since)},
          {"size", model.bytes},
          {"details", {{"format", "gguf"}}}};
}

ModelStanding standing(const ServedModels& models, const std::string& name) {
  auto list = models.list();
  return *std::ranges::find(list, name, &ModelStanding::name);
}

}  // namespace

HttpReply models_reply(const HttpRequest& /*request*/, const ServedModels& models) {
  Json data = Json::array();
  for (const ModelStanding& model : models.list()) data.push_back(model_json(model));
  return json_reply({{"object", "list"}, {"data", std::move(data)}});
}

HttpReply model_reply(const HttpRequest& request, const ServedModels& models) {
  const auto name = models.find(request.param("name"));
  if (!name) return reply_of(name.error());
  return json_reply(model_json(standing(models, *name)));
}

HttpReply ollama_tags_reply(const HttpRequest& /*request*/, const ServedModels& models) {
  Json list = Json::array();
  for (const ModelStanding& model : models.list()) list.push_back(ollama_json(model));
  return json_reply({{"models", std::move(list)}});
}

HttpReply ollama_ps_reply(const HttpRequest& /*request*/, const ServedModels& models) {
  constexpr std::int64_t kForEver = 4'102'444'800;  // the year 2100
  Json list = Json::array();
  for (const ModelStanding& model : models.list()) {
    if (model.state != State::ready) continue;
    Json& json = list.emplace_back(ollama_json(model));
    const auto left = static_cast<std::int64_t>(model.seconds_left.value_or(0));
    json["expires_at"] = text::utc_time(model.seconds_left ? std::time(nullptr) + left : kForEver);
    json["size_vram"] = 0;
    json["context_length"] = *model.context;
  }
  return json_reply({{"models", std::move(list)}});
}

HttpReply ollama_show_reply(const HttpRequest& request, const ServedModels& models) {
  constexpr std::size_t kBodyBytesMax = std::size_t{64} << 10U;  // this runs on the server's thread
  if (request.body.size() > kBodyBytesMax) {
    return ollama_refusal({.status = 413, .message = "the body is too large for this address"});
  }
  const auto body = parse_body(request.body);
  if (!body) return ollama_refusal(body.error());
  const Json asked = body->is_object() ? body->value("model", body->value("name", Json())) : Json();
  if (!asked.is_string()) return ollama_refusal({.message = "model must be a string", .param = "model"});
  const auto name = models.find(asked.get<std::string>());
  if (!name) return ollama_refusal(name.error());
  const ModelStanding model = standing(models, *name);
  Json info = Json::object();
  if (model.context) info["general.context_length"] = *model.context;
  Json capabilities = Json::array({"completion", "tools", "embedding"});
  if (model.thinks) capabilities.push_back("thinking");
  return json_reply(
      {{"details", {{"format", "gguf"}}}, {"model_info", std::move(info)}, {"capabilities", std::move(capabilities)}});
}

HttpReply ollama_version_reply(const HttpRequest& /*request*/, const ServedModels& /*models*/) {
  return json_reply({{"version", "0.1.0"}});
}

}  // namespace plait::serving
