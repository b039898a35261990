// SPDX-License-Identifier: Apache-2.0
//
// The small questions of the API that need no engine: which models there are, and text to tokens and back.
#pragma once

#include <cstdint>

#include "serving/http/message.h"
#include "serving/request.h"

namespace plait::serving {

/// GET /v1/models. `since`: when the model was loaded, seconds since 1970.
[[nodiscard]] HttpReply models_reply(const HttpRequest& request, const Target& target, std::int64_t since);
/// GET /v1/models/{name...}
[[nodiscard]] HttpReply model_reply(const HttpRequest& request, const Target& target, std::int64_t since);
/// POST /tokenize: {"content" or "prompt": TEXT} or {"messages": […]}, with "add_special" and "parse_special" (both
/// false) for the former and "with_pieces". The reply has "tokens", "count" and "max_model_len". "add_special_tokens"
/// is "add_special" with "parse_special" true.
[[nodiscard]] HttpReply tokenize_reply(const HttpRequest& request, const Target& target, std::int64_t since);
/// GET /tokenizer_info: the texts of special tokens, "bos_token", "eos_token", …, as lm-eval asks for them.
[[nodiscard]] HttpReply tokenizer_info_reply(const HttpRequest& request, const Target& target, std::int64_t since);
/// POST /detokenize: {"tokens": [ID, …]}. The reply has the text as "content" and as "prompt".
[[nodiscard]] HttpReply detokenize_reply(const HttpRequest& request, const Target& target, std::int64_t since);

/// POST /v1/messages/count_tokens, of Anthropic's API: {"input_tokens"}.
[[nodiscard]] HttpReply count_tokens_reply(const HttpRequest& request, const Target& target, std::int64_t since);
/// GET /api/tags, POST /api/show and GET /api/version, of ollama's.
[[nodiscard]] HttpReply ollama_tags_reply(const HttpRequest& request, const Target& target, std::int64_t since);
[[nodiscard]] HttpReply ollama_show_reply(const HttpRequest& request, const Target& target, std::int64_t since);
[[nodiscard]] HttpReply ollama_version_reply(const HttpRequest& request, const Target& target, std::int64_t since);

}  // namespace plait::serving
