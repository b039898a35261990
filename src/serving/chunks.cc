// SPDX-License-Identifier: Apache-2.0
#include "serving/chunks.h"

#include <fmt/format.h>

#include <utility>

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

}  // namespace

ChunkWriter::ChunkWriter(const ReplyHead& head, const ReplyShape& shape, std::size_t prompts, std::size_t choices,
                         const models::Tokenizer& tokenizer)
    : tokenizer_(tokenizer), shape_(shape), samples_(choices / prompts) {
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
  std::string said(part.text);
  if (!part.prompt.tokens.empty()) {
    const std::string& echo = shape_.echo[part.choice / samples_];
    said.insert(0, echo);
    put_prompt_logprobs(part.prompt, echo, tokenizer_, logprobs);
  }
  const std::string text = said.empty() ? "" : dump_json(Json(said));
  std::string content;
  if (shape_.endpoint == Endpoint::completions) {
    content = fmt::format(R"("text":{})", text.empty() ? "\"\"" : text);
  } else {
    content = text.empty() ? R"("delta":{})" : fmt::format(R"("delta":{{"content":{}}})", text);
  }
  const std::string_view finish = part.ending == nullptr ? "" : name(part.ending->reason);
  return object(part.choice, content, logprobs, finish, part.tokens);
}

std::string ChunkWriter::usage(const Json& usage) const {
  std::string_view head = head_;
  constexpr std::string_view kNone = R"("usage":null,)";
  if (shape_.stream_usage) head.remove_suffix(kNone.size());
  return fmt::format(R"({}"choices":[],"usage":{}}})", head, dump_json(usage));
}

}  // namespace plait::serving
