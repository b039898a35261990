// SPDX-License-Identifier: Apache-2.0
#include "serving/thought_reply.h"

namespace plait::serving {

using text::Json;

UsageNumbers usage_numbers(const std::vector<reasoning::CallRecord>& calls) {
  const reasoning::Spending spent = reasoning::sum(calls);
  return {.prompt_tokens = calls.empty() ? 0 : calls.front().prompt_tokens,
          .cached_tokens = calls.empty() ? 0 : calls.front().cached_tokens,
          .generated_tokens = spent.generated_tokens,
          .prefill_tokens = spent.prefilled_tokens,
          .critical_path_tokens = spent.critical_path_tokens,
          .pte = spent.cost.pte_w};
}

Json call_json(const reasoning::CallRecord& call) {
  return {{"id", call.id},
          {"parent", call.parent ? Json(*call.parent) : Json(nullptr)},
          {"role", name(call.role)},
          {"label", call.label},
          {"prompt_tokens", call.prompt_tokens},
          {"cached_tokens", call.cached_tokens},
          {"prefilled_tokens", call.prefilled_tokens},
          {"generated_tokens", call.generated_tokens},
          {"critical_path_tokens", call.critical_tokens},
          {"start", call.start},
          {"end", call.end},
          {"finish_reason", name(call.reason)},
          {"pte", call.cost.pte_w}};
}

Json thought_event_json(const reasoning::ThoughtEvent& event) {
  Json json{{"event", name(event.kind)}};
  if (event.kind == reasoning::ThoughtEvent::Kind::closed) {
    json["call"] = call_json(*event.call);
    return json;
  }
  json["call"] = {{"id", event.call->id}, {"label", event.call->label}};
  if (event.kind == reasoning::ThoughtEvent::Kind::opened) {
    json["call"]["parent"] = event.call->parent ? Json(*event.call->parent) : Json(nullptr);
    json["call"]["role"] = name(event.call->role);
  } else {
    json["text"] = event.text;
  }
  return json;
}

Json thought_json(const reasoning::Thought& thought) {
  const reasoning::Spending spent = thought.spending();
  Json paths = Json::array();
  for (const reasoning::ThoughtPath& path : thought.paths) {
    Json one{{"label", path.label}, {"text", path.text}, {"answer", path.answer}, {"chosen", path.chosen}};
    if (path.abstains) one["abstains"] = true;
    if (path.score) one["score"] = *path.score;
    if (path.mean_logprob) one["mean_logprob"] = *path.mean_logprob;
    paths.push_back(std::move(one));
  }
  Json calls = Json::array();
  for (const reasoning::CallRecord& call : thought.calls) calls.push_back(call_json(call));
  Json counts = Json::object();
  for (const auto& [name, times] : thought.counts) counts[name] = times;
  return {{"selector", thought.selector},
          {"finish_reason", name(thought.reason)},
          {"usage",
           {{"calls", spent.calls},
            {"generated_tokens", spent.generated_tokens},
            {"critical_path_tokens", spent.critical_path_tokens},
            {"prefilled_tokens", spent.prefilled_tokens},
            {"cached_tokens", spent.cached_tokens},
            {"pte", spent.cost.pte_w}}},
          {"counts", std::move(counts)},
          {"paths", std::move(paths)},
          {"calls", std::move(calls)}};
}

Json bound_json(const reasoning::Bound& bound) {
  return {{"rows", bound.rows},
          {"generated_tokens", bound.generated_tokens},
          {"critical_path_tokens", bound.critical_path_tokens},
          {"prompt_tokens", bound.prompt_tokens}};
}

}  // namespace plait::serving
