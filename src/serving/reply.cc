// SPDX-License-Identifier: Apache-2.0
#include "serving/reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

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

Json message_json(const models::Answer& answer) {
  const bool calls = !answer.calls.empty();
  Json message{{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
  if (calls && answer.text.empty()) message["content"] = nullptr;
  if (!answer.thought.empty()) message["reasoning_content"] = answer.thought;
  if (!calls) return message;
  Json& list = message["tool_calls"] = Json::array();
  for (const models::Answer::Call& call : answer.calls) {
    list.push_back(
        {{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return message;
}

Json choice_json(const Choice& choice, std::size_t index, std::string_view echo, const ReplyShape& shape,
                 const models::Tokenizer& tokenizer) {
  PLAIT_CHECK(choice.reason == engine::EndReason::stop || choice.reason == engine::EndReason::length);
  Json json{{"index", index}};
  Json logprobs;
  if (shape.endpoint == Endpoint::completions) {
    json["text"] = std::string(echo) + choice.answer.text;
  } else {
    json["message"] = message_json(choice.answer);
  }
  if (shape.logprobs) {
    TextPlace place{.detokenizer = models::Detokenizer(tokenizer), .characters = count_characters(echo)};
    logprobs = logprobs_body(shape.endpoint, choice.tokens, choice.logprobs, tokenizer, place);
    put_prompt_logprobs(choice.prompt, echo, tokenizer, logprobs);
  }
  json["logprobs"] = std::move(logprobs);
  json["finish_reason"] = finish_reason(choice.reason, !choice.answer.calls.empty());
  if (shape.token_ids) json["plait"] = {{"token_ids", ids_json(choice.tokens)}};
  return json;
}

// Log-probability per token, of the distribution that the model gave.
double mean_logprob(const Choice& choice) {
  if (choice.logprobs.empty()) return -std::numeric_limits<double>::infinity();
  double sum = 0;
  for (const models::Logprobs& token : choice.logprobs) sum += static_cast<double>(token.chosen);
  return sum / static_cast<double>(choice.logprobs.size());
}

// Which of a prompt's choices the client gets, in order.
std::vector<std::size_t> shown_choices(std::span<const Choice> choices, std::size_t best) {
  std::vector<std::size_t> order(choices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (best == 0) return order;
  PLAIT_CHECK(best <= choices.size(), best, choices.size());
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return mean_logprob(choices[i]); });
  order.resize(best);
  return order;
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

std::string_view finish_reason(engine::EndReason reason, bool calls) {
  return calls && reason == engine::EndReason::stop ? "tool_calls" : name(reason);
}

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

UsageNumbers usage_numbers(std::span<const Choice> choices, std::size_t samples) {
  UsageNumbers all;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const engine::Usage& usage = choices[i].usage;
    if (i % samples == 0) {  // the others find what the first one computed
      all.prompt_tokens += usage.prompt_tokens;
      all.cached_tokens += usage.cached_tokens;
    }
    all.generated_tokens += usage.generated_tokens;
    all.prefill_tokens += usage.computed_tokens;
    all.critical_path_tokens = std::max(all.critical_path_tokens, usage.generated_tokens);
    all.pte += usage.cost.pte;
  }
  return all;
}

namespace {

// A line of what `plait cost` reads, but for its number.
Json round_json(const engine::RoundCounters& round) {
  Json json = {{"context", round.context},
               {"cached", round.cached},
               {"prefilled", round.prefilled},
               {"decoded", round.decoded},
               {"meanwhile",
                {{"prefilled", round.meanwhile.prefilled},
                 {"weight_reads", round.meanwhile.weight_reads},
                 {"lengths", round.meanwhile.lengths}}}};
  if (round.weight_reads > 0) json["batch"] = round.decoded / round.weight_reads;
  return json;
}

}  // namespace

Json usage_body(std::span<const Choice> choices, std::size_t samples) {
  const UsageNumbers all = usage_numbers(choices, samples);
  Json body = {
      {"prompt_tokens", all.prompt_tokens},
      {"completion_tokens", all.generated_tokens},
      {"total_tokens", all.prompt_tokens + all.generated_tokens},
      {"prompt_tokens_details", {{"cached_tokens", all.cached_tokens}}},
      {"plait",
       {{"prefill_tokens", all.prefill_tokens}, {"critical_path_tokens", all.critical_path_tokens}, {"pte", all.pte}}}};
  if (choices.size() == 1) body["plait"]["round"] = round_json(choices.front().usage.counters);
  return body;
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
  Json& list = body["choices"];
  for (std::size_t prompt = 0; prompt < prompts.size(); ++prompt) {
    const std::string_view echo = shape.echo.empty() ? std::string_view() : shape.echo[prompt];
    const auto own = choices.subspan(prompt * samples, samples);
    for (const std::size_t i : shown_choices(own, shape.best)) {
      list.push_back(choice_json(own[i], list.size(), echo, shape, tokenizer));
    }
  }
  body["usage"] = usage_body(choices, samples);
  if (Json extra = additions(shape, prompts); !extra.empty()) body["plait"] = std::move(extra);
  return body;
}

}  // namespace plait::serving
