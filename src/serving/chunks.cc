// SPDX-License-Identifier: Apache-2.0
#include "serving/chunks.h"

#include <fmt/format.h>

#include <utility>

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

/// A piece of a chat's answer. Each call has its index, and with its beginning its id and name.
std::string delta_of(std::span<const models::AnswerEvent> events) {
  using Kind = models::AnswerEvent::Kind;
  std::string text, thought;
  Json calls = Json::array();
  for (const models::AnswerEvent& event : events) {
    if (event.kind == Kind::text) text += event.text;
    if (event.kind == Kind::thought) thought += event.text;
    if (event.kind == Kind::call) {
      calls.push_back({{"index", event.call},
                       {"id", event.id},
                       {"type", "function"},
                       {"function", {{"name", event.text}, {"arguments", ""}}}});
    }
    if (event.kind != Kind::arguments) continue;
    if (calls.empty() || calls.back()["index"] != event.call) {
      calls.push_back({{"index", event.call}, {"function", {{"arguments", ""}}}});
    }
    calls.back()["function"]["arguments"].get_ref<std::string&>() += event.text;
  }
  std::string members;
  const auto add = [&](std::string_view name, const Json& value) {
    members += fmt::format(R"({}"{}":{})", members.empty() ? "" : ",", name, dump_json(value));
  };
  if (!thought.empty()) add("reasoning_content", thought);
  if (!text.empty()) add("content", text);
  if (!calls.empty()) add("tool_calls", calls);
  return fmt::format(R"("delta":{{{}}})", members);
}

}  // namespace

ChunkWriter::ChunkWriter(const ReplyHead& head, const ReplyShape& shape, std::size_t prompts, std::size_t choices,
                         const models::Tokenizer& tokenizer)
    : tokenizer_(tokenizer), shape_(shape), samples_(choices / prompts), calls_(choices) {
  const bool chat = shape.endpoint == Endpoint::chat_completions;
  head_ = dump_json(Json{{"id", head.id},
                         {"object", chat ? "chat.completion.chunk" : "text_completion"},
                         {"created", head.created},
                         {"model", head.model}});
  head_.back() = ',';
  if (shape.stream_usage) head_ += R"("usage":null,)";
  if (!shape.logprobs || chat) return;
  for (std::size_t i = 0; i < choices; ++i) {
    const std::size_t echoed = shape.echo.empty() ? 0 : count_characters(shape.echo[i / samples_]);
    places_.push_back({.detokenizer = models::Detokenizer(tokenizer), .characters = echoed});
  }
}

// Written by hand but for the values: it is made for each token of each stream.
std::string ChunkWriter::object(std::size_t choice, std::string_view content, const Json& logprobs,
                                std::string_view finish, std::span<const base::TokenId> tokens) const {
  std::string ids;
  if (shape_.token_ids && !tokens.empty()) {
    for (const base::TokenId token : tokens) ids += fmt::format("{}{}", ids.empty() ? "" : ",", token.value());
    ids = fmt::format(R"(,"plait":{{"token_ids":[{}]}})", ids);
  }
  return fmt::format(R"({}"choices":[{{"index":{},{},"logprobs":{},"finish_reason":{}{}}}]}})", head_, choice, content,
                     logprobs.is_null() ? "null" : dump_json(logprobs),
                     finish.empty() ? "null" : fmt::format(R"("{}")", finish), ids);
}

std::string ChunkWriter::begin(std::size_t choice) {
  if (shape_.endpoint == Endpoint::chat_completions) {
    return object(choice, R"("delta":{"role":"assistant","content":""})", {}, {}, {});
  }
  if (shape_.echo.empty() || shape_.logprobs) return {};  // with log-probabilities it comes when these are known
  return object(choice, fmt::format(R"("text":{})", dump_json(shape_.echo[choice / samples_])), {}, {}, {});
}

std::string ChunkWriter::part(const ChoicePart& part) {
  Json logprobs;
  if (shape_.logprobs && !(part.logprobs.empty() && part.prompt.tokens.empty())) {
    TextPlace none{.detokenizer = models::Detokenizer(tokenizer_)};
    TextPlace& place = places_.empty() ? none : places_[part.choice];
    logprobs = logprobs_body(shape_.endpoint, part.tokens, part.logprobs, tokenizer_, place);
  }
  const bool chat = shape_.endpoint == Endpoint::chat_completions;
  std::string said(part.text);
  if (!part.prompt.tokens.empty()) {
    const std::string& echo = shape_.echo[part.choice / samples_];
    said.insert(0, echo);
    put_prompt_logprobs(part.prompt, echo, tokenizer_, logprobs);
  }
  const std::string content = chat ? delta_of(part.events) : fmt::format(R"("text":{})", dump_json(Json(said)));
  for (const models::AnswerEvent& event : part.events) {
    if (event.kind == models::AnswerEvent::Kind::call) calls_[part.choice] = true;
  }
  const std::string_view finish = part.ending == nullptr ? "" : finish_reason(part.ending->reason, calls_[part.choice]);
  return object(part.choice, content, logprobs, finish, part.tokens);
}

std::string ChunkWriter::usage(const Json& usage) const {
  std::string_view head = head_;
  constexpr std::string_view kNone = R"("usage":null,)";
  if (shape_.stream_usage) head.remove_suffix(kNone.size());
  return fmt::format(R"({}"choices":[],"usage":{}}})", head, dump_json(usage));
}

}  // namespace plait::serving
