// SPDX-License-Identifier: Apache-2.0
#include "serving/text_routes.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <utility>

#include "serving/dialect.h"
#include "serving/prompt.h"
#include "text/json.h"
#include "text/utf8.h"

namespace plait::serving {
namespace {

using text::Json;

Json model_json(const Target& target, std::int64_t since) {
  return {{"id", target.model},
          {"object", "model"},
          {"created", since},
          {"owned_by", "plait"},
          {"max_model_len", target.context}};
}

HttpReply json_reply(const Json& body) { return {.body = text::dump_json(body)}; }

Target completed(Target target) {
  if (target.vocabulary == 0) target.vocabulary = target.tokenizer->size();
  return target;
}

Accepted<Json> read_body(const HttpRequest& request) {
  PLAIT_TRY(Json body, parse_body(request.body));
  if (!body.is_object()) return std::unexpected(Refusal{.message = "the body must be a JSON object"});
  return body;
}

Accepted<std::vector<base::TokenId>> tokens_of(Fields& fields, const Target& target) {
  if (fields.find("messages") != nullptr) {
    PLAIT_TRY(auto prompts, chat_prompts(fields, target, false));
    return std::move(prompts.front().tokens);
  }
  PLAIT_TRY(const auto content, fields.text("content"));
  PLAIT_TRY(const auto prompt, fields.text("prompt"));
  if (!content && !prompt) return bad_value("content", "must be a string; or give messages");
  PLAIT_TRY(const auto special, fields.flag("add_special"));
  PLAIT_TRY(const auto parse, fields.flag("parse_special"));
  // Another server's name of the same; whoever uses it has special tokens read as well.
  PLAIT_TRY(const auto other_name, fields.flag("add_special_tokens"));
  const bool add = special.value_or(other_name.value_or(false));
  return target.tokenizer->encode(content ? *content : *prompt,
                                  {.add_special = add, .parse_special = parse.value_or(other_name.has_value())});
}

Accepted<HttpReply> tokenize(const HttpRequest& request, const Target& target) {
  PLAIT_TRY(const Json body, read_body(request));
  Fields fields(body);
  PLAIT_TRY(const auto tokens, tokens_of(fields, target));
  PLAIT_TRY(const auto pieces, fields.flag("with_pieces"));
  Json list = Json::array();
  for (const base::TokenId token : tokens) {
    if (!pieces.value_or(false)) {
      list.push_back(token.value());
    } else {
      list.push_back({{"id", token.value()}, {"piece", text::sanitize(target.tokenizer->piece(token))}});
    }
  }
  return json_reply({{"tokens", std::move(list)}, {"count", tokens.size()}, {"max_model_len", target.context}});
}

Accepted<HttpReply> detokenize(const HttpRequest& request, const Target& target) {
  PLAIT_TRY(const Json body, read_body(request));
  Fields fields(body);
  const Json* list = fields.find("tokens");
  if (list == nullptr) return bad_value("tokens", "must be a list of token ids");
  PLAIT_TRY(const auto tokens, token_list(*list, target.vocabulary, "tokens"));
  const std::string content = target.tokenizer->decode(tokens, true);
  return json_reply({{"content", content}, {"prompt", content}});
}

HttpReply reply_or_refusal(Accepted<HttpReply> reply) { return reply ? *std::move(reply) : reply_of(reply.error()); }

}  // namespace

HttpReply models_reply(const HttpRequest& /*request*/, const Target& target, std::int64_t since) {
  return json_reply({{"object", "list"}, {"data", Json::array({model_json(target, since)})}});
}

HttpReply model_reply(const HttpRequest& request, const Target& target, std::int64_t since) {
  const std::string_view asked = request.param("name");
  if (asked == target.model) return json_reply(model_json(target, since));
  return reply_of({.status = 404,
                   .message = fmt::format("there is no model \"{}\"", text::sanitize(asked.substr(0, 100))),
                   .param = "model",
                   .code = "model_not_found"});
}

HttpReply tokenize_reply(const HttpRequest& request, const Target& target, std::int64_t /*since*/) {
  return reply_or_refusal(tokenize(request, completed(target)));
}

HttpReply tokenizer_info_reply(const HttpRequest& /*request*/, const Target& target, std::int64_t /*since*/) {
  const models::Tokenizer& tokenizer = *target.tokenizer;
  Json body{{"tokenizer_class", tokenizer.model_name()}, {"vocab_size", tokenizer.size()}};
  const auto put = [&](const char* name, base::TokenId token) {
    body[name] = token == base::kNoToken ? Json() : Json(text::sanitize(tokenizer.piece(token)));
  };
  put("bos_token", tokenizer.bos());
  put("eos_token", tokenizer.eos());
  put("pad_token", tokenizer.pad());
  put("unk_token", tokenizer.unk());
  return json_reply(body);
}

HttpReply detokenize_reply(const HttpRequest& request, const Target& target, std::int64_t /*since*/) {
  return reply_or_refusal(detokenize(request, completed(target)));
}

HttpReply count_tokens_reply(const HttpRequest& request, const Target& target, std::int64_t since) {
  auto body = read_body(request);
  if (!body) return anthropic_refusal(body.error());
  (*body)["max_tokens"] = 1;
  const Target whole = completed(target);
  const auto asked = anthropic_dialect().read(*body, {.target = whole, .created = since});
  if (!asked) return anthropic_refusal(asked.error());
  return json_reply({{"input_tokens", asked->request.prompts.front().prompt.size()}});
}

HttpReply ollama_tags_reply(const HttpRequest& /*request*/, const Target& target, std::int64_t since) {
  return json_reply({{"models", Json::array({{{"name", target.model},
                                              {"model", target.model},
                                              {"modified_at", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(since))},
                                              {"details", {{"format", "gguf"}}}}})}});
}

HttpReply ollama_show_reply(const HttpRequest& request, const Target& target, std::int64_t /*since*/) {
  const auto body = read_body(request);
  if (!body) return ollama_refusal(body.error());
  const std::string asked = body->value("model", body->value("name", Json())).dump();
  if (asked != Json(target.model).dump() && asked != Json(target.model + ":latest").dump()) {
    return ollama_refusal({.status = 404, .message = fmt::format("there is no model {}", text::sanitize(asked))});
  }
  return json_reply({{"details", {{"format", "gguf"}}},
                     {"model_info", {{"general.context_length", target.context}}},
                     {"capabilities", Json::array({"completion", "embedding"})}});
}

HttpReply ollama_version_reply(const HttpRequest& /*request*/, const Target& /*target*/, std::int64_t /*since*/) {
  return json_reply({{"version", "0.1.0"}});
}

}  // namespace plait::serving
