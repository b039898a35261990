// SPDX-License-Identifier: Apache-2.0
#include "serving/strand_reply.h"

#include <array>
#include <utility>

#include "serving/exchange.h"
#include "serving/reply.h"

namespace plait::serving {
namespace {

using text::Json;

Json ledger_json(const reasoning::Ledger& ledger) {
  return {{"total_tokens", ledger.total_tokens()},
          {"generated_tokens", ledger.generated_tokens},
          {"prefill_tokens", ledger.prefill_tokens},
          {"cached_tokens", ledger.cached_tokens},
          {"scored_tokens", ledger.scored_tokens},
          {"critical_path_tokens", ledger.critical_path_tokens},
          {"pte", ledger.cost.pte}};
}

Json selection_json(const reasoning::Selection& selection) {
  Json options = Json::array();
  for (const reasoning::ScoredOption& one : selection.options) {
    options.push_back({{"text", one.text},
                       {"tokens", one.tokens},
                       {"logprob", one.logprob},
                       {"score", one.score},
                       {"probability", one.probability}});
  }
  return {{"rule", name(selection.rule)}, {"best", selection.best}, {"options", std::move(options)}};
}

std::string_view status_of(const reasoning::State& state) {
  if (state.closed()) return "closed";
  if (state.error()) return "failed";
  return state.idle() ? "idle" : "busy";
}

}  // namespace

Refusal strand_refusal(const base::Error& error) {
  switch (error.code) {
    case base::ErrorCode::interrupted:
      return {.status = 409, .message = error.message, .code = "operation_cancelled"};
    case base::ErrorCode::not_found:
      return {.status = 404, .message = error.message, .code = "strand_not_found"};
    default: {
      Refusal refusal = refusal_of(error);
      for (const std::string& context : error.context) refusal.message += "; " + context;
      return refusal;
    }
  }
}

Json strand_json(const reasoning::State& state, const StrandNames& names, bool with_text) {
  reasoning::State root = state;
  while (auto above = root.parent()) root = *above;
  const auto parent = state.parent();
  Json children = Json::array();
  for (const reasoning::State& child : state.children()) children.push_back(names(child.id()));
  Json captures = Json::array();
  for (const reasoning::Capture& capture : state.captures()) {
    captures.push_back({{"name", capture.name},
                        {"text", capture.text},
                        {"finish_reason", name(capture.reason)},
                        {"tokens", capture.tokens.size()}});
  }
  Json json{{"id", names(state.id())},
            {"object", "strand"},
            {"root", names(root.id())},
            {"parent", parent ? Json(names(parent->id())) : Json()},
            {"children", std::move(children)},
            {"status", status_of(state)},
            {"length", state.length()},
            {"operations", state.operations()},
            {"captures", std::move(captures)},
            {"ledger", ledger_json(state.ledger())},
            {"tree_ledger", ledger_json(state.tree_ledger())}};
  if (const auto error = state.error()) json["error"] = refusal_body(strand_refusal(*error))["error"];
  if (with_text) json["text"] = state.text();
  return json;
}

Json capture_json(const reasoning::Capture& capture, const StrandAnswer& answer, const models::Tokenizer& tokenizer) {
  const std::array choice{Choice{.usage = capture.usage}};
  Json json{{"object", "strand.capture"},
            {"name", capture.name},
            {"text", capture.text},
            {"finish_reason", name(capture.reason)},
            {"usage", usage_body(choice, 1)}};
  if (capture.stop_string) json["stop_string"] = *capture.stop_string;
  if (answer.logprobs && capture.logprobs.size() == capture.tokens.size()) {
    TextPlace place{.detokenizer = models::Detokenizer(tokenizer)};
    json["logprobs"] = logprobs_body(Endpoint::completions, capture.tokens, capture.logprobs, tokenizer, place);
  }
  if (answer.token_ids) {
    json["token_ids"] = Json::array();
    for (const base::TokenId token : capture.tokens) json["token_ids"].push_back(token.value());
  }
  if (capture.selection) json["selection"] = selection_json(*capture.selection);
  return json;
}

Json joined_json(const reasoning::Joined& joined, const StrandNames& names, const models::Tokenizer& tokenizer) {
  Json children = Json::array();
  for (std::size_t i = 0; i < joined.children.size(); ++i) {
    Json captures = Json::array();
    for (const auto& capture : joined.captures[i]) captures.push_back(capture_json(capture, {}, tokenizer));
    children.push_back({{"id", names(joined.children[i])}, {"captures", std::move(captures)}});
  }
  return {{"object", "strand.joined"},
          {"tokens", joined.tokens},
          {"length", joined.length},
          {"children", std::move(children)}};
}

Json event_json(const reasoning::StrandEvent& event, const StrandNames& names, const models::Tokenizer& tokenizer) {
  using Kind = reasoning::StrandEvent::Kind;
  Json json{{"strand", names(event.strand)}};
  if (event.operation != 0) json["operation"] = event.operation;
  if (event.parent) json["parent"] = names(*event.parent);
  if (event.kind == Kind::text) json.update({{"name", event.name}, {"text", event.text}});
  if (event.kind == Kind::appended || event.kind == Kind::joined) json["tokens"] = event.tokens;
  if (event.capture != nullptr) json["capture"] = capture_json(*event.capture, {}, tokenizer);
  if (event.error != nullptr) json["error"] = refusal_body(strand_refusal(*event.error))["error"];
  return json;
}

}  // namespace plait::serving
