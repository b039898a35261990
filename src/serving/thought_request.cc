// SPDX-License-Identifier: Apache-2.0
#include "serving/thought_request.h"

#include <array>
#include <utility>

#include "serving/request.h"

namespace plait::serving {

using text::Json;

namespace {

constexpr std::int64_t kCallTokensMost = 1'000'000;
constexpr double kSecondsMost = 86'400;

/// What says something about an answer that is written in one go.
Accepted<void> refuse_what_cannot_be_kept(const Json& body, const Request& request) {
  for (const char* field : {"tools", "functions", "response_format", "stop", "logprobs", "echo", "grammar"}) {
    const auto at = body.find(field);
    const bool there = at != body.end() && !at->is_null() && *at != false && !(at->is_array() && at->empty());
    if (there) return not_supported(field, "does not go together with plait.strategy");
  }
  if (request.prompts.size() != 1 || request.prompts.front().samples != 1) {
    return not_supported("n", "does not go together with plait.strategy: ask for best-of");
  }
  const Json& additions = body["plait"];
  for (const char* field : {"prompt_token_ids", "return_token_ids"}) {
    if (additions.contains(field)) {
      return not_supported(std::string("plait.") + field, "does not go together with plait.strategy");
    }
  }
  return {};
}

}  // namespace

Accepted<std::shared_ptr<ThoughtAsk>> read_thought(const std::string& name, const Json& options, const Json& body,
                                                   const Request& request, std::optional<std::size_t> tokens_max) {
  PLAIT_TRY_VOID(refuse_what_cannot_be_kept(body, request));
  auto ask = std::make_shared<ThoughtAsk>();
  Json own = options.is_object() ? options : Json::object();
  Fields fields(own, "plait.strategy_options.");
  PLAIT_TRY(const auto call_tokens, fields.whole("call_tokens", 1, kCallTokensMost));
  PLAIT_TRY(ask->seconds, fields.number("seconds", {.high = kSecondsMost, .open_low = true}));
  const std::size_t wanted = static_cast<std::size_t>(call_tokens.value_or(512));
  own.erase("call_tokens");
  own.erase("seconds");
  const reasoning::StrategyRegistry strategies = reasoning::all_strategies();
  auto made = strategies.make(name, own);
  if (!made) {
    const bool known = strategies.find(name) != nullptr;
    return std::unexpected(Refusal{.message = made.error().message,
                                   .param = known ? "plait.strategy_options" : "plait.strategy",
                                   .code = "invalid_value"});
  }
  ask->strategy = *std::move(made);
  const engine::Request& asked = request.prompts.front();
  ask->options.messages = body["messages"];
  ask->options.sampler = asked.generate.sampler;
  ask->options.sampler.top_logprobs.reset();
  ask->options.sequence = asked.options;
  ask->options.call_tokens = wanted;
  ask->options.tokens_max = tokens_max.value_or(0);
  return ask;
}

}  // namespace plait::serving
