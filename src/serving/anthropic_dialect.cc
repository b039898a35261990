// SPDX-License-Identifier: Apache-2.0
//
// Anthropic's /v1/messages: read as a chat in OpenAI's shape, answered in its own.
#include <limits>
#include <optional>
#include <utility>

#include "serving/dialect.h"
#include "serving/http/sse.h"
#include "serving/tools.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

// The blocks of a message by what they are for.
struct Blocks {
  std::string text = {};
  std::string thought = {};
  Json calls = Json::array();    // tool_use, as OpenAI's API has calls
  Json results = Json::array();  // tool_result, as its messages of the role `tool`
};

Accepted<std::string> text_member(const Json& block, const char* member, const std::string& name) {
  const Json value = block.value(member, Json());
  if (!value.is_string()) return bad_value(name + '.' + member, "must be a string");
  return value.get<std::string>();
}

Accepted<std::string> text_of(const Json& content, const std::string& param);

Accepted<void> add_call(const Json& block, const std::string& name, Blocks& blocks) {
  PLAIT_TRY(std::string id, text_member(block, "id", name));
  PLAIT_TRY(std::string tool, text_member(block, "name", name));
  const Json input = block.value("input", Json());
  if (!input.is_object()) return bad_value(name + ".input", "must be an object");
  blocks.calls.push_back({{"id", std::move(id)},
                          {"type", "function"},
                          {"function", {{"name", std::move(tool)}, {"arguments", dump_json(input)}}}});
  return {};
}

Accepted<void> add_result(const Json& block, const std::string& name, Blocks& blocks) {
  PLAIT_TRY(std::string id, text_member(block, "tool_use_id", name));
  const Json content = block.value("content", Json());
  std::string text;
  if (!content.is_null()) {
    PLAIT_TRY(text, text_of(content, name + ".content"));
  }
  if (block.value("is_error", Json()) == Json(true)) text.insert(0, "Error: ");
  blocks.results.push_back({{"role", "tool"}, {"tool_call_id", std::move(id)}, {"content", std::move(text)}});
  return {};
}

Accepted<void> add_block(const Json& block, const std::string& name, Blocks& blocks) {
  if (!block.is_object() || !block.contains("type")) return bad_value(name, "must be an object with a type");
  const Json& type = block["type"];
  if (type == "text") {
    PLAIT_TRY(const std::string text, text_member(block, "text", name));
    blocks.text += text;
    return {};
  }
  if (type == "thinking") {
    PLAIT_TRY(const std::string thought, text_member(block, "thinking", name));
    blocks.thought += thought;
    return {};
  }
  if (type == "redacted_thinking") return {};
  if (type == "tool_use") return add_call(block, name, blocks);
  if (type == "tool_result") return add_result(block, name, blocks);
  return not_supported(name, "blocks of this type are not built yet");
}

// A text, or a list of blocks.
Accepted<Blocks> blocks_of(const Json& content, const std::string& param) {
  Blocks blocks;
  if (content.is_string()) {
    blocks.text = content.get<std::string>();
    return blocks;
  }
  if (!content.is_array()) return bad_value(param, "must be a string or a list of blocks");
  for (std::size_t i = 0; i < content.size(); ++i) {
    PLAIT_TRY_VOID(add_block(content[i], param + '[' + std::to_string(i) + ']', blocks));
  }
  return blocks;
}

Accepted<std::string> text_of(const Json& content, const std::string& param) {
  PLAIT_TRY(Blocks blocks, blocks_of(content, param));
  if (!blocks.calls.empty() || !blocks.results.empty()) return bad_value(param, "must have blocks of text");
  return std::move(blocks.text);
}

Accepted<void> add_message(const Json& message, const std::string& name, Json& messages) {
  if (!message.is_object()) return bad_value(name, "must be an object");
  Fields inner(message, name + '.');
  PLAIT_TRY(const auto role, inner.text("role"));
  const bool assistant = role == "assistant";
  if (!assistant && role != "user") return bad_value(name + ".role", "must be user or assistant");
  const Json* content = inner.find("content");
  if (content == nullptr) return bad_value(name + ".content", "must be a string or a list of blocks");
  PLAIT_TRY(Blocks blocks, blocks_of(*content, name + ".content"));
  if (!(assistant ? blocks.results : blocks.calls).empty()) {
    return bad_value(name + ".content", "calls are the assistant's, and results the user's");
  }
  const bool only_results = !blocks.results.empty() && blocks.text.empty();
  for (Json& result : blocks.results) messages.push_back(std::move(result));
  if (only_results) return {};
  Json chat{{"role", assistant ? "assistant" : "user"}, {"content", std::move(blocks.text)}};
  if (!blocks.thought.empty()) chat["reasoning_content"] = std::move(blocks.thought);
  if (!blocks.calls.empty()) chat["tool_calls"] = std::move(blocks.calls);
  messages.push_back(std::move(chat));
  return {};
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
    PLAIT_TRY_VOID(add_message((*list)[i], "messages[" + std::to_string(i) + ']', messages));
  }
  name_results(messages);
  return messages;
}

Accepted<void> add_tools(Fields& fields, Json& chat) {
  const Json* tools = fields.find("tools");
  chat.erase("tools");
  if (tools == nullptr) return {};
  if (!tools->is_array()) return bad_value("tools", "must be a list of tools");
  Json list = Json::array();
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const std::string name = "tools[" + std::to_string(i) + ']';
    const Json& tool = (*tools)[i];
    if (!tool.is_object()) return bad_value(name, "must be an object");
    const Json type = tool.value("type", Json());
    if (!type.is_null() && type != "custom") return not_supported(name + ".type", "only tools of the client are there");
    Json function = Json::object();
    for (const auto& [theirs, ours] : {std::pair("name", "name"), std::pair("description", "description"),
                                       std::pair("input_schema", "parameters"), std::pair("strict", "strict")}) {
      if (tool.contains(theirs)) function[ours] = tool[theirs];
    }
    list.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  chat["tools"] = std::move(list);
  return {};
}

Accepted<void> add_tool_choice(Fields& fields, Json& chat) {
  PLAIT_TRY(const Json* given, fields.object("tool_choice"));
  chat.erase("tool_choice");
  if (given == nullptr) return {};
  Fields inner(*given, "tool_choice.");
  PLAIT_TRY(const auto type, inner.text("type"));
  PLAIT_TRY(const auto name, inner.text("name"));
  PLAIT_TRY(const auto one, inner.flag("disable_parallel_tool_use"));
  if (one.value_or(false)) chat["parallel_tool_calls"] = false;
  const std::string kind = type.value_or("");
  if (kind == "auto" || kind == "none") {
    chat["tool_choice"] = kind;
  } else if (kind == "any") {
    chat["tool_choice"] = "required";
  } else if (kind == "tool" && name) {
    chat["tool_choice"] = {{"type", "function"}, {"function", {{"name", *name}}}};
  } else {
    return bad_value("tool_choice", "must be of the type auto, any, none, or tool with a name");
  }
  return {};
}

// As there, a model thinks when it is asked to.
Accepted<void> add_thinking(Fields& fields, std::int64_t tokens_max, Json& chat) {
  PLAIT_TRY(const Json* given, fields.object("thinking"));
  chat.erase("thinking");
  std::string kind = "disabled";
  if (given != nullptr) {
    Fields inner(*given, "thinking.");
    PLAIT_TRY(const auto type, inner.text("type"));
    PLAIT_TRY(const auto budget, inner.whole("budget_tokens", 1, std::numeric_limits<std::int64_t>::max()));
    kind = type.value_or("");
    if (kind != "enabled" && kind != "disabled" && kind != "adaptive") {
      return bad_value("thinking.type", "must be enabled, disabled or adaptive");
    }
    if (kind == "enabled" && !budget) return bad_value("thinking.budget_tokens", "is required");
    if (budget && *budget >= tokens_max) return bad_value("thinking.budget_tokens", "must be below max_tokens");
    Json& additions = chat["plait"];
    if (budget && (additions.is_object() || additions.is_null())) additions["thinking_budget"] = *budget;
  }
  Json& kwargs = chat["chat_template_kwargs"];
  const bool open = kwargs.is_object() || kwargs.is_null();
  if (open && !kwargs.contains("enable_thinking")) kwargs["enable_thinking"] = kind != "disabled";
  return {};
}

// The request in OpenAI's shape; what is not known here stays as it is and becomes a warning there.
Accepted<Json> as_chat(const Json& body) {
  if (!body.is_object()) return std::unexpected(Refusal{.message = "the body must be a JSON object"});
  Fields fields(body);
  PLAIT_TRY(Json messages, chat_messages(fields));
  PLAIT_TRY(const auto tokens, fields.whole("max_tokens", 1, std::numeric_limits<std::int64_t>::max()));
  if (!tokens) return bad_value("max_tokens", "is required");
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
  PLAIT_TRY_VOID(add_tools(fields, chat));
  PLAIT_TRY_VOID(add_tool_choice(fields, chat));
  PLAIT_TRY_VOID(add_thinking(fields, *tokens, chat));
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
    const models::Answer answer = exchange.answer(0);
    Json message = head();
    message["content"] = blocks_of_answer(answer);
    add_stop(message, exchange, !answer.calls.empty());
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
    send({{"type", "ping"}});
  }
  void part(const ChoicePart& part) override {
    for (const models::AnswerEvent& event : part.events) tell(event);
  }
  void close(const Exchange& exchange) override {
    if (blocks_ == 0) begin_block(Kind::text, {{"type", "text"}, {"text", ""}});
    end_block();
    Json delta = Json::object();
    add_stop(delta, exchange, called_);
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
  using Kind = models::AnswerEvent::Kind;

  // A call that was cut off has no input that could be read, and is left out.
  static Json blocks_of_answer(const models::Answer& answer) {
    Json blocks = Json::array();
    if (!answer.thought.empty()) {
      blocks.push_back({{"type", "thinking"}, {"thinking", answer.thought}, {"signature", ""}});
    }
    if (!answer.text.empty()) blocks.push_back({{"type", "text"}, {"text", answer.text}});
    for (const models::Answer::Call& call : answer.calls) {
      auto input = text::parse_json(call.arguments);
      if (!call.complete || !input) continue;
      blocks.push_back({{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", *std::move(input)}});
    }
    if (blocks.empty()) blocks.push_back({{"type", "text"}, {"text", ""}});
    return blocks;
  }
  void begin_block(Kind kind, Json block) {
    end_block();
    open_ = kind;
    send({{"type", "content_block_start"}, {"index", blocks_++}, {"content_block", std::move(block)}});
  }
  void end_block() {
    if (open_) send({{"type", "content_block_stop"}, {"index", blocks_ - 1}});
    open_.reset();
  }
  void delta(Json delta) {
    send({{"type", "content_block_delta"}, {"index", blocks_ - 1}, {"delta", std::move(delta)}});
  }
  void tell(const models::AnswerEvent& event) {
    switch (event.kind) {
      case Kind::text:
        if (open_ != Kind::text) begin_block(Kind::text, {{"type", "text"}, {"text", ""}});
        return delta({{"type", "text_delta"}, {"text", event.text}});
      case Kind::thought:
        if (open_ != Kind::thought) {
          begin_block(Kind::thought, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
        }
        return delta({{"type", "thinking_delta"}, {"thinking", event.text}});
      case Kind::call:
        called_ = true;
        return begin_block(Kind::call,
                           {{"type", "tool_use"}, {"id", event.id}, {"name", event.text}, {"input", Json::object()}});
      case Kind::arguments:
        return delta({{"type", "input_json_delta"}, {"partial_json", event.text}});
      case Kind::call_end:
        return end_block();
    }
  }
  static void add_stop(Json& json, const Exchange& exchange, bool called) {
    const auto stop = exchange.stop_string(0);
    const bool full = exchange.reason(0) == engine::EndReason::length;
    json["stop_reason"] = stop ? "stop_sequence" : full ? "max_tokens" : called ? "tool_use" : "end_turn";
    json["stop_sequence"] = stop ? Json(*stop) : Json();
  }
  void send(const Json& event) { stream_->event(event["type"].get_ref<const std::string&>(), dump_json(event)); }

  std::string id_;
  std::string model_;
  std::size_t prompt_tokens_;
  std::optional<SseStream> stream_;
  std::optional<Kind> open_ = {};  // the block at hand
  std::size_t blocks_ = 0;         // so far
  bool called_ = false;
};

Accepted<Asked> read_message(const Json& body, const AskContext& context) {
  PLAIT_TRY(const Json chat, as_chat(body));
  auto request = read_request(Endpoint::chat_completions, chat, context.target, context.seed);
  if (!request) {
    if (request.error().param == "stop") request.error().param = "stop_sequences";
    rename_field(request.error(), ".function.parameters", ".input_schema");
    rename_field(request.error(), ".function.name", ".name");
    return std::unexpected(request.error());
  }
  if (request->prompts.front().samples != 1) return bad_value("n", "is not a field of this API");
  auto wording = std::make_unique<AnthropicWording>("msg_" + context.id, context.target.model,
                                                    request->prompts.front().prompt.size());
  return Asked{.request = *std::move(request), .reply_id = "msg_" + context.id, .wording = std::move(wording)};
}

// OpenAI's words but for these.
std::string_view anthropic_type(int status) {
  if (status == 413) return "request_too_large";
  if (status == 503) return "overloaded_error";
  return status >= 500 ? "api_error" : error_type(status);
}

}  // namespace

HttpReply anthropic_refusal(const Refusal& refusal) {
  const Json error{{"type", anthropic_type(refusal.status)}, {"message", refusal.message}};
  return json_reply({{"type", "error"}, {"error", error}}, refusal.status);
}

Dialect anthropic_dialect() { return {.path = "/v1/messages", .read = read_message, .refuse = anthropic_refusal}; }

}  // namespace plait::serving
