// SPDX-License-Identifier: Apache-2.0
//
// Anthropic's /v1/messages: read as a chat in OpenAI's shape, answered in its own.
#include <optional>
#include <utility>

#include "serving/dialect.h"
#include "serving/http/sse.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

// A text, or a list of blocks of which only those of type text are known.
Accepted<std::string> text_of(const Json& content, const std::string& param) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) return bad_value(param, "must be a string or a list of blocks");
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const Json& block = content[i];
    const std::string name = param + '[' + std::to_string(i) + ']';
    if (!block.is_object() || !block.contains("type")) return bad_value(name, "must be an object with a type");
    if (block["type"] != "text") return not_supported(name, "only blocks of the type `text` are built yet");
    if (!block.contains("text") || !block["text"].is_string()) return bad_value(name + ".text", "must be a string");
    text += block["text"].get<std::string>();
  }
  return text;
}

Accepted<Json> chat_messages(Fields& fields) {
  Json messages = Json::array();
  if (const Json* system = fields.find("system"); system != nullptr) {
    PLAIT_TRY(std::string text, text_of(*system, "system"));
    messages.push_back({{"role", "system"}, {"content", std::move(text)}});
  }
  const Json* list = fields.find("messages");
  if (list == nullptr || !list->is_array() || list->empty()) return bad_value("messages", "must be a list of messages");
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Json& message = (*list)[i];
    const std::string name = "messages[" + std::to_string(i) + ']';
    if (!message.is_object()) return bad_value(name, "must be an object");
    Fields inner(message, name + '.');
    PLAIT_TRY(const auto role, inner.text("role"));
    if (!role || (*role != "user" && *role != "assistant"))
      return bad_value(name + ".role", "must be user or assistant");
    const Json* content = inner.find("content");
    if (content == nullptr) return bad_value(name + ".content", "must be a string or a list of blocks");
    PLAIT_TRY(std::string text, text_of(*content, name + ".content"));
    messages.push_back({{"role", *role}, {"content", std::move(text)}});
  }
  return messages;
}

// The request in OpenAI's shape; what is not known here stays as it is and becomes a warning there.
Accepted<Json> as_chat(const Json& body) {
  if (!body.is_object()) return std::unexpected(Refusal{.message = "the body must be a JSON object"});
  Fields fields(body);
  PLAIT_TRY(Json messages, chat_messages(fields));
  PLAIT_TRY(const auto tokens, fields.whole("max_tokens", 1, std::numeric_limits<std::int64_t>::max()));
  if (!tokens) return bad_value("max_tokens", "is required");
  for (const char* name : {"tools", "tool_choice"}) {
    const Json* value = fields.find(name);
    if (value != nullptr && !value->empty()) return not_supported(name, "tool calls are not built yet");
  }
  Json chat = body;
  chat.erase("system");
  chat["messages"] = std::move(messages);
  if (chat.contains("stop_sequences")) {
    Json stop = std::move(chat["stop_sequences"]);
    chat.erase("stop_sequences");
    chat["stop"] = std::move(stop);
  }
  PLAIT_TRY(const Json* metadata, fields.object("metadata"));
  if (metadata != nullptr && metadata->contains("user_id")) chat["user"] = (*metadata)["user_id"];
  chat.erase("metadata");
  if (const Json* thinking = fields.find("thinking"); thinking != nullptr) {
    PLAIT_TRY(const Json* object, fields.object("thinking"));
    Fields inner(*object, "thinking.");
    PLAIT_TRY(const auto type, inner.text("type"));
    if (type.value_or("") == "enabled") return not_supported("thinking", "is not built yet");
    chat.erase("thinking");
  }
  return chat;
}

Json usage_of(const Json& usage) {
  const auto prompt = usage["prompt_tokens"].get<std::size_t>();
  const auto cached = usage["prompt_tokens_details"]["cached_tokens"].get<std::size_t>();
  return {{"input_tokens", prompt - cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", cached},
          {"output_tokens", usage["completion_tokens"]}};
}

class AnthropicWording final : public Wording {
 public:
  AnthropicWording(std::string id, std::string model, std::size_t prompt_tokens)
      : id_(std::move(id)), model_(std::move(model)), prompt_tokens_(prompt_tokens) {}

  [[nodiscard]] HttpReply whole(const Exchange& exchange) const override {
    if (const auto refusal = exchange.refusal()) return anthropic_refusal(*refusal);
    Json message = head();
    message["content"].push_back({{"type", "text"}, {"text", exchange.text(0)}});
    add_stop(message, exchange);
    message["usage"] = usage_of(exchange.usage());
    return {.body = dump_json(message)};
  }
  void open(const Responder& responder, HttpHeaders headers) override {
    stream_.emplace(responder, std::move(headers));
    Json message = head();
    message["stop_reason"] = nullptr;
    message["stop_sequence"] = nullptr;
    message["usage"] = {{"input_tokens", prompt_tokens_}, {"output_tokens", 0}};
    send({{"type", "message_start"}, {"message", std::move(message)}});
    send({{"type", "content_block_start"}, {"index", 0}, {"content_block", {{"type", "text"}, {"text", ""}}}});
    send({{"type", "ping"}});
  }
  void part(const ChoicePart& part) override {
    if (part.text.empty()) return;
    send({{"type", "content_block_delta"}, {"index", 0}, {"delta", {{"type", "text_delta"}, {"text", part.text}}}});
  }
  void close(const Exchange& exchange) override {
    send({{"type", "content_block_stop"}, {"index", 0}});
    Json delta = Json::object();
    add_stop(delta, exchange);
    send({{"type", "message_delta"}, {"delta", std::move(delta)}, {"usage", usage_of(exchange.usage())}});
    send({{"type", "message_stop"}});
    stream_->end();
  }
  void fail(const Refusal& refusal) override {
    stream_->event("error", anthropic_refusal(refusal).body);
    stream_->end();
  }

 private:
  [[nodiscard]] Json head() const {
    return {{"id", id_}, {"type", "message"}, {"role", "assistant"}, {"model", model_}, {"content", Json::array()}};
  }
  static void add_stop(Json& json, const Exchange& exchange) {
    const auto stop = exchange.stop_string(0);
    const bool full = exchange.reason(0) == engine::EndReason::length;
    json["stop_reason"] = stop ? "stop_sequence" : full ? "max_tokens" : "end_turn";
    json["stop_sequence"] = stop ? Json(*stop) : Json();
  }
  void send(const Json& event) { stream_->event(event["type"].get_ref<const std::string&>(), dump_json(event)); }

  std::string id_;
  std::string model_;
  std::size_t prompt_tokens_;
  std::optional<SseStream> stream_;
};

Accepted<Asked> read_message(const Json& body, const AskContext& context) {
  PLAIT_TRY(const Json chat, as_chat(body));
  auto request = read_request(Endpoint::chat_completions, chat, context.target, context.seed);
  if (!request) {
    if (request.error().param == "stop") request.error().param = "stop_sequences";
    return std::unexpected(request.error());
  }
  if (request->prompts.front().samples != 1) return bad_value("n", "is not a field of this API");
  auto wording = std::make_unique<AnthropicWording>("msg_" + context.id, context.target.model,
                                                    request->prompts.front().prompt.size());
  return Asked{.request = *std::move(request), .wording = std::move(wording)};
}

std::string_view anthropic_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

}  // namespace

HttpReply anthropic_refusal(const Refusal& refusal) {
  const Json error{{"type", anthropic_type(refusal.status)}, {"message", refusal.message}};
  return {.status = refusal.status, .body = dump_json({{"type", "error"}, {"error", error}})};
}

Dialect anthropic_dialect() { return {.path = "/v1/messages", .read = read_message, .refuse = anthropic_refusal}; }

}  // namespace plait::serving
