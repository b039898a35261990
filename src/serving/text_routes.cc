// SPDX-License-Identifier: Apache-2.0
#include "serving/text_routes.h"

#include <fmt/format.h>

#include <utility>

#include "serving/dialect.h"
#include "serving/prompt.h"
#include "text/json.h"
#include "text/utf8.h"

namespace plait::serving {
namespace {

using text::Json;

// The reply may be a hundred times as long as the text.
constexpr std::size_t kTextBytesMax = std::size_t{4} << 20U;

std::unexpected<Refusal> too_long(std::string param) {
  std::string message = fmt::format("{} has more than the {} bytes that are allowed here", param, kTextBytesMax);
  return std::unexpected(
      Refusal{.status = 413, .message = std::move(message), .param = std::move(param), .code = "text_too_long"});
}

Accepted<std::vector<base::TokenId>> tokens_of(Fields& fields, const Target& target) {
  if (fields.find("messages") != nullptr) {
    std::vector<std::string> warnings;
    PLAIT_TRY(const ToolSet tools, read_tools(fields, warnings));
    PLAIT_TRY(auto prompts, chat_prompts(fields, target, false, tools));
    if (prompts.front().text.size() > kTextBytesMax) return too_long("messages");
    return std::move(prompts.front().tokens);
  }
  PLAIT_TRY(const auto content, fields.text("content"));
  PLAIT_TRY(const auto prompt, fields.text("prompt"));
  if (!content && !prompt) return bad_value("content", "must be a string; or give messages");
  PLAIT_TRY(const auto special, fields.flag("add_special"));
  PLAIT_TRY(const auto parse, fields.flag("parse_special"));
  const std::string& text = content ? *content : *prompt;
  if (text.size() > kTextBytesMax) return too_long(content ? "content" : "prompt");
  // Another server's name of the same; whoever uses it has special tokens read as well.
  PLAIT_TRY(const auto other_name, fields.flag("add_special_tokens"));
  const bool add = special.value_or(other_name.value_or(false));
  return target.tokenizer->encode(text, {.add_special = add, .parse_special = parse.value_or(other_name.has_value())});
}

}  // namespace

Accepted<HttpReply> tokenize_reply(const Json& body, const Target& target) {
  Fields fields(body);
  PLAIT_TRY(const auto tokens, tokens_of(fields, target));
  PLAIT_TRY(const auto pieces, fields.flag("with_pieces"));
  // By hand: as values of JSON, the pieces of a long text would take a hundred times its memory.
  std::string list;
  for (const base::TokenId token : tokens) {
    if (!list.empty()) list += ',';
    if (pieces.value_or(false)) {
      list += fmt::format(R"({{"id":{},"piece":{}}})", token.value(),
                          text::dump_json(text::sanitize(target.tokenizer->piece(token))));
    } else {
      list += fmt::to_string(token.value());
    }
  }
  return HttpReply{
      .body = fmt::format(R"({{"tokens":[{}],"count":{},"max_model_len":{}}})", list, tokens.size(), target.context)};
}

Accepted<HttpReply> detokenize_reply(const Json& body, const Target& target) {
  Fields fields(body);
  const Json* list = fields.find("tokens");
  if (list == nullptr) return bad_value("tokens", "must be a list of token ids");
  PLAIT_TRY(const auto tokens, token_list(*list, completed(target).vocabulary, "tokens"));
  const std::string content = target.tokenizer->decode(tokens, true);
  return json_reply({{"content", content}, {"prompt", content}});
}

Accepted<HttpReply> tokenizer_info_reply(const Json& /*body*/, const Target& target) {
  const models::Tokenizer& tokenizer = *target.tokenizer;
  Json info{{"tokenizer_class", tokenizer.model_name()}, {"vocab_size", tokenizer.size()}};
  const auto put = [&](const char* name, base::TokenId token) {
    info[name] = token == base::kNoToken ? Json() : Json(text::sanitize(tokenizer.piece(token)));
  };
  put("bos_token", tokenizer.bos());
  put("eos_token", tokenizer.eos());
  put("pad_token", tokenizer.pad());
  put("unk_token", tokenizer.unk());
  return json_reply(info);
}

Accepted<HttpReply> count_tokens_reply(const Json& body, const Target& target) {
  Json message = body;
  message["max_tokens"] = 1;
  PLAIT_TRY(const Asked asked, anthropic_dialect().read(message, {.target = target}));
  return json_reply({{"input_tokens", asked.request.prompts.front().prompt.size()}});
}

}  // namespace plait::serving
