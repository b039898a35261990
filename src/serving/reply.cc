// SPDX-License-Identifier: Apache-2.0
#include "serving/reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "text/utf8.h"

namespace plait::serving {
namespace {

using base::TokenId;
using text::Json;

// JSON has no infinity. What never happens is written as by OpenAI's API.
constexpr double kNever = -9999;

Json logprob_json(float logprob) { return std::isfinite(logprob) ? static_cast<double>(logprob) : kNever; }

// A token's text; bytes that are only a part of a character become U+FFFD.
std::string shown(const models::Tokenizer& tokenizer, TokenId token) { return text::sanitize(tokenizer.piece(token)); }

Json bytes_json(std::string_view piece) {
  Json bytes = Json::array();
  for (const char c : piece) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

Json chat_entry(const models::Tokenizer& tokenizer, TokenId token, float logprob) {
  return {{"token", shown(tokenizer, token)},
          {"logprob", logprob_json(logprob)},
          {"bytes", bytes_json(tokenizer.piece(token))}};
}

Json chat_logprobs(std::span<const TokenId> tokens, std::span<const models::Logprobs> logprobs,
                   const models::Tokenizer& tokenizer) {
  Json content = Json::array();
  for (std::size_t i = 0; i < logprobs.size(); ++i) {
    Json entry = chat_entry(tokenizer, tokens[i], logprobs[i].chosen);
    entry["top_logprobs"] = Json::array();
    for (const models::TokenLogprob& other : logprobs[i].top) {
      entry["top_logprobs"].push_back(chat_entry(tokenizer, other.token, other.logprob));
    }
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

// The older shape has tokens as keys, which must differ: parts of characters are written as their bytes.
std::string completion_token(const models::Tokenizer& tokenizer, TokenId token) {
  const std::string_view piece = tokenizer.piece(token);
  if (text::is_valid(piece)) return std::string(piece);
  std::string bytes = "bytes:";
  for (const char c : piece) bytes += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return bytes;
}

// The four lists of the older shape.
struct CompletionLists {
  Json tokens = Json::array();
  Json chosen = Json::array();
  Json top = Json::array();
  Json offsets = Json::array();

  // Without log-probabilities where there is nothing that a token could follow from.
  void add(const models::Tokenizer& tokenizer, TokenId token, const models::Logprobs* logprobs, std::size_t offset) {
    tokens.push_back(completion_token(tokenizer, token));
    offsets.push_back(offset);
    chosen.push_back(logprobs == nullptr ? Json() : logprob_json(logprobs->chosen));
    if (logprobs == nullptr) return top.push_back(nullptr);
    Json others = Json::object();
    for (const models::TokenLogprob& other : logprobs->top) {
      others[completion_token(tokenizer, other.token)] = logprob_json(other.logprob);
    }
    others.emplace(completion_token(tokenizer, token), logprob_json(logprobs->chosen));  // also if not of the best
    top.push_back(std::move(others));
  }
  [[nodiscard]] Json body() && {
    return {{"tokens", std::move(tokens)},
            {"token_logprobs", std::move(chosen)},
            {"top_logprobs", std::move(top)},
            {"text_offset", std::move(offsets)}};
  }
};

Json completion_logprobs(std::span<const TokenId> ids, std::span<const models::Logprobs> logprobs,
                         const models::Tokenizer& tokenizer, TextPlace& place) {
  CompletionLists lists;
  for (std::size_t i = 0; i < logprobs.size(); ++i) {
    lists.add(tokenizer, ids[i], &logprobs[i], place.characters);
    place.characters += count_characters(place.detokenizer.push(ids[i]));
  }
  return std::move(lists).body();
}

Json ids_json(std::span<const TokenId> tokens) {
  Json ids = Json::array();
  for (const TokenId token : tokens) ids.push_back(token.value());
  return ids;
}

Json choice_json(const Choice& choice, std::size_t index, std::string_view echo, const ReplyShape& shape,
                 const models::Tokenizer& tokenizer) {
  PLAIT_CHECK(choice.reason == engine::EndReason::stop || choice.reason == engine::EndReason::length);
  Json json{{"index", index}};
  Json logprobs;
  if (shape.endpoint == Endpoint::completions) {
    json["text"] = std::string(echo) + std::string(choice.text);
  } else {
    json["message"] = {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
  }
  if (shape.logprobs) {
    TextPlace place{.detokenizer = models::Detokenizer(tokenizer), .characters = count_characters(echo)};
    logprobs = logprobs_body(shape.endpoint, choice.tokens, choice.logprobs, tokenizer, place);
    put_prompt_logprobs(choice.prompt, echo, tokenizer, logprobs);
  }
  json["logprobs"] = std::move(logprobs);
  json["finish_reason"] = name(choice.reason);
  if (shape.token_ids) json["plait"] = {{"token_ids", ids_json(choice.tokens)}};
  return json;
}

Json additions(const ReplyShape& shape, std::span<const engine::Request> prompts) {
  Json json = Json::object();
  if (!shape.warnings.empty()) json["warnings"] = shape.warnings;
  if (shape.token_ids) {
    json["prompt_token_ids"] = Json::array();
    for (const engine::Request& prompt : prompts) json["prompt_token_ids"].push_back(ids_json(prompt.prompt));
  }
  return json;
}

}  // namespace

std::size_t count_characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

Json logprobs_body(Endpoint endpoint, std::span<const TokenId> tokens, std::span<const models::Logprobs> logprobs,
                   const models::Tokenizer& tokenizer, TextPlace& place) {
  return endpoint == Endpoint::completions ? completion_logprobs(tokens, logprobs, tokenizer, place)
                                           : chat_logprobs(tokens, logprobs, tokenizer);
}

void put_prompt_logprobs(const PromptPart& prompt, std::string_view text, const models::Tokenizer& tokenizer,
                         Json& logprobs) {
  if (prompt.tokens.empty()) return;
  PLAIT_CHECK(prompt.logprobs.size() + 1 == prompt.tokens.size(), prompt.logprobs.size(), prompt.tokens.size());
  CompletionLists lists;
  models::Detokenizer detokenizer(tokenizer, true);
  std::size_t characters = 0;
  for (std::size_t i = 0; i < prompt.tokens.size(); ++i) {
    const TokenId token = prompt.tokens[i];
    lists.add(tokenizer, token, i == 0 ? nullptr : &prompt.logprobs[i - 1], characters);
    const bool end = i == 0 || i + 1 == prompt.tokens.size();
    const std::string_view piece = tokenizer.piece(token);
    const bool unwritten = end && tokenizer.kind(token) == models::TokenKind::control &&
                           !(i == 0 ? text.starts_with(piece) : text.ends_with(piece));
    if (!unwritten) characters += count_characters(detokenizer.push(token));
  }
  Json whole = std::move(lists).body();
  for (auto& [name, list] : whole.items()) {
    for (Json& value : logprobs[name]) list.push_back(std::move(value));
  }
  logprobs = std::move(whole);
}

Json usage_body(std::span<const Choice> choices, std::size_t samples) {
  std::size_t prompt = 0;
  std::size_t cached = 0;
  std::size_t completion = 0;
  std::size_t computed = 0;
  std::size_t longest = 0;
  double pte = 0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const engine::Usage& usage = choices[i].usage;
    if (i % samples == 0) {  // the others find what the first one computed
      prompt += usage.prompt_tokens;
      cached += usage.cached_tokens;
    }
    completion += usage.generated_tokens;
    computed += usage.computed_tokens;
    longest = std::max(longest, usage.generated_tokens);
    pte += usage.cost.pte;
  }
  return {{"prompt_tokens", prompt},
          {"completion_tokens", completion},
          {"total_tokens", prompt + completion},
          {"prompt_tokens_details", {{"cached_tokens", cached}}},
          {"plait", {{"prefill_tokens", computed}, {"critical_path_tokens", longest}, {"pte", pte}}}};
}

Json reply_body(const ReplyHead& head, const ReplyShape& shape, std::span<const engine::Request> prompts,
                std::span<const Choice> choices, const models::Tokenizer& tokenizer) {
  PLAIT_CHECK(!prompts.empty() && choices.size() % prompts.size() == 0 && !choices.empty());
  const std::size_t samples = choices.size() / prompts.size();
  const bool chat = shape.endpoint == Endpoint::chat_completions;
  Json body{{"id", head.id},
            {"object", chat ? "chat.completion" : "text_completion"},
            {"created", head.created},
            {"model", head.model},
            {"choices", Json::array()}};
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const std::string_view echo = shape.echo.empty() ? std::string_view() : shape.echo[i / samples];
    body["choices"].push_back(choice_json(choices[i], i, echo, shape, tokenizer));
  }
  body["usage"] = usage_body(choices, samples);
  if (Json extra = additions(shape, prompts); !extra.empty()) body["plait"] = std::move(extra);
  return body;
}

}  // namespace plait::serving
