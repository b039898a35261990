// SPDX-License-Identifier: Apache-2.0
//
// The small questions of the API that need a model's tokenizer and no engine: text to tokens and back.
#pragma once

#include "serving/http/message.h"
#include "serving/request.h"

namespace plait::serving {

/// Answers from the JSON object of a request's body.
using TextReply = Accepted<HttpReply> (*)(const text::Json& body, const Target& target);

/// POST /tokenize: {"content" or "prompt": TEXT} or {"messages": […]}, with "add_special" and "parse_special" (both
/// false) for the former and "with_pieces". The reply has "tokens", "count" and "max_model_len". "add_special_tokens"
/// is "add_special" with "parse_special" true.
[[nodiscard]] Accepted<HttpReply> tokenize_reply(const text::Json& body, const Target& target);
/// GET /tokenizer_info, without a body: the texts of special tokens, "bos_token", "eos_token", …, as lm-eval asks for
/// them.
[[nodiscard]] Accepted<HttpReply> tokenizer_info_reply(const text::Json& body, const Target& target);
/// POST /detokenize: {"tokens": [ID, …]}. The reply has the text as "content" and as "prompt".
[[nodiscard]] Accepted<HttpReply> detokenize_reply(const text::Json& body, const Target& target);

/// POST /v1/messages/count_tokens, of Anthropic's API: {"input_tokens"}.
[[nodiscard]] Accepted<HttpReply> count_tokens_reply(const text::Json& body, const Target& target);

}  // namespace plait::serving
