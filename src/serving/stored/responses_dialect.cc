// SPDX-License-Identifier: Apache-2.0
//
// OpenAI's /v1/responses: read as a chat, answered as items.
#include <algorithm>
#include <array>
#include <future>
#include <limits>
#include <optional>
#include <utility>

#include "serving/http/sse.h"
#include "serving/stored/responses.h"
#include "serving/stored/responses_items.h"
#include "serving/stored/responses_output.h"
#include "serving/tools.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

/// What is asked, in the words of this API, and how the response begins.
struct Question {
  Json chat = {};      ///< The request in the shape of /v1/chat/completions.
  Json response = {};  ///< The response, as far as it is known before the answer.
  Json input = {};     ///< Its own input items.
  bool keeps = false;
  bool may_truncate = false;
};

// `text.format` as `response_format`. Null if there is none.
Accepted<Json> read_format(Fields& fields) {
  PLAIT_TRY(const Json* text, fields.object("text"));
  if (text == nullptr) return Json();
  Fields inner(*text, "text.");
  PLAIT_TRY(const Json* format, inner.object("format"));
  if (format == nullptr) return Json();
  if (format->value("type", Json()) != "json_schema") return *format;
  Json schema = *format;
  schema.erase("type");
  return Json{{"type", "json_schema"}, {"json_schema", std::move(schema)}};
}

// What is known and not done here is refused by name.
Accepted<void> refuse_unbuilt(Fields& fields) {
  const Json* include = fields.find("include");
  if (include != nullptr && !(include->is_array() && include->empty())) {
    return not_supported("include", "is not built yet");
  }
  PLAIT_TRY(const auto background, fields.flag("background"));
  if (background.value_or(false)) return not_supported("background", "responses are answered at once here");
  for (const char* name : {"conversation", "prompt"}) {
    if (fields.find(name) != nullptr) return not_supported(name, "is not built here; see previous_response_id");
  }
  PLAIT_TRY(const auto logprobs, fields.whole("top_logprobs", 0, 20));
  if (logprobs.value_or(0) > 0) return not_supported("top_logprobs", "is not built yet");
  return {};
}

// The tools as a chat has them: here a function's members stand beside its type.
Json chat_tools(const Json& tools) {
  if (!tools.is_array()) return tools;
  Json list = Json::array();
  for (const Json& tool : tools) {
    Json function = tool;
    if (tool.is_object()) {
      function.erase("type");
      function = Json{{"type", tool.value("type", Json())}, {"function", std::move(function)}};
    }
    list.push_back(std::move(function));
  }
  return list;
}

// The tools as the response shows them.
Json shown_tools(const Json& body) {
  Json list = Json::array();
  const Json given = body.value("tools", Json());
  if (!given.is_array()) return list;
  for (const Json& tool : given) {
    Json shown{{"type", "function"}, {"description", nullptr}, {"parameters", nullptr}, {"strict", false}};
    if (tool.is_object()) shown.update(tool);
    list.push_back(std::move(shown));
  }
  return list;
}

// The members of this API that a chat does not have.
constexpr std::array kOwnMembers{"background",
                                 "conversation",
                                 "include",
                                 "input",
                                 "instructions",
                                 "max_output_tokens",
                                 "max_tool_calls",
                                 "metadata",
                                 "previous_response_id",
                                 "prompt",
                                 "prompt_cache_key",
                                 "prompt_cache_retention",
                                 "reasoning",
                                 "safety_identifier",
                                 "store",
                                 "stream_options",
                                 "text",
                                 "tool_choice",
                                 "tools",
                                 "top_logprobs",
                                 "truncation"};

// The response before its answer.
Json response_head(const Json& body, const AskContext& context) {
  const auto given = [&](const char* name, Json usual) {
    const Json value = body.value(name, Json());
    return value.is_null() ? std::move(usual) : value;
  };
  const Json text = given("text", Json::object());
  const Json format = text.value("format", Json());
  return {{"id", new_id("resp_")},
          {"object", "response"},
          {"created_at", context.created},
          {"status", "in_progress"},
          {"background", false},
          {"error", nullptr},
          {"incomplete_details", nullptr},
          {"instructions", given("instructions", nullptr)},
          {"max_output_tokens", given("max_output_tokens", nullptr)},
          {"model", context.target.model},
          {"output", Json::array()},
          {"parallel_tool_calls", given("parallel_tool_calls", true)},
          {"previous_response_id", given("previous_response_id", nullptr)},
          {"reasoning", given("reasoning", {{"effort", nullptr}, {"summary", nullptr}})},
          {"store", false},
          {"temperature", given("temperature", 1.0)},
          {"text", {{"format", format.is_null() ? Json{{"type", "text"}} : format}}},
          {"tool_choice", given("tool_choice", "auto")},
          {"tools", shown_tools(body)},
          {"top_p", given("top_p", 1.0)},
          {"truncation", given("truncation", "disabled")},
          {"usage", nullptr},
          {"user", given("user", nullptr)},
          {"metadata", given("metadata", Json::object())}};
}

Accepted<Json> read_chat(const Json& body, Fields& fields) {
  Json chat = body;
  for (const char* name : kOwnMembers) chat.erase(name);
  PLAIT_TRY(const auto tokens, fields.whole("max_output_tokens", 1, std::numeric_limits<std::int64_t>::max()));
  if (tokens) chat["max_completion_tokens"] = *tokens;
  PLAIT_TRY(Json format, read_format(fields));
  if (!format.is_null()) chat["response_format"] = std::move(format);
  if (const Json* tools = fields.find("tools")) chat["tools"] = chat_tools(*tools);
  if (const Json* choice = fields.find("tool_choice")) chat["tool_choice"] = *choice;
  PLAIT_TRY(const Json* reasoning, fields.object("reasoning"));
  if (reasoning != nullptr) {
    Fields inner(*reasoning, "reasoning.");
    PLAIT_TRY(const auto effort, inner.text("effort"));
    if (effort) chat["reasoning_effort"] = *effort;
  }
  return chat;
}

Accepted<Question> read_question(const Json& body, const AskContext& context, const Responses* kept) {
  if (!body.is_object()) return std::unexpected(Refusal{.message = "the body must be a JSON object"});
  Fields fields(body);
  Question question;
  PLAIT_TRY_VOID(refuse_unbuilt(fields));
  PLAIT_TRY(const auto instructions, fields.text("instructions"));
  PLAIT_TRY(const auto previous, fields.text("previous_response_id"));
  PLAIT_TRY(const auto store, fields.flag("store"));
  PLAIT_TRY(const auto truncation, fields.text("truncation"));
  if (truncation && *truncation != "auto" && *truncation != "disabled") {
    return bad_value("truncation", "must be auto or disabled");
  }
  if (kept == nullptr && (previous || store.value_or(false))) {
    return not_supported(previous ? "previous_response_id" : "store", "this server keeps nothing");
  }
  question.may_truncate = truncation == "auto";
  question.keeps = kept != nullptr && store.value_or(true);
  PLAIT_TRY(Json metadata, read_metadata(fields));
  Json before = Json::array();
  if (previous) {
    PLAIT_TRY(before, kept->conversation(context.owner, *previous));
  }
  CallIds calls;
  add_call_ids(before, calls);
  PLAIT_TRY(question.input, read_input(fields, std::move(calls)));
  PLAIT_TRY(question.chat, read_chat(body, fields));
  Json messages = Json::array();
  if (instructions) messages.push_back({{"role", "system"}, {"content", *instructions}});
  add_messages(before, messages);
  add_messages(question.input, messages);
  name_results(messages);
  question.chat["messages"] = std::move(messages);
  question.response = response_head(body, context);
  question.response["store"] = question.keeps;
  question.response["metadata"] = std::move(metadata);
  return question;
}

// A refusal that speaks of the chat, as this API calls it.
Refusal in_our_words(Refusal refusal) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kNames{
      {{"messages", "input"}, {"max_completion_tokens", "max_output_tokens"}, {"response_format", "text.format"}}};
  for (const auto& [theirs, ours] : kNames) {
    if (refusal.param == theirs || refusal.param.starts_with(std::string(theirs) + '.')) {
      refusal.param.replace(0, theirs.size(), ours);
    }
  }
  rename_field(refusal, ".function.", ".");
  return refusal;
}

// The chat without its `count` oldest messages but for instructions, and without results whose call is gone.
Json without_oldest(const Json& chat, std::size_t count) {
  Json shorter = chat;
  Json& messages = shorter["messages"];
  for (std::size_t i = 0; i < messages.size();) {
    const bool keeps = messages[i]["role"] == "system" || messages[i]["role"] == "developer";
    const bool orphan = messages[i]["role"] == "tool" && i + 1 < messages.size();
    if (keeps) {
      ++i;
    } else if (count > 0 || orphan) {
      messages.erase(messages.begin() + static_cast<std::ptrdiff_t>(i));
      count -= count > 0 ? 1 : 0;
    } else {
      break;
    }
  }
  return shorter;
}

// With `truncation: auto`, drops as few of the oldest messages as makes the rest fit, with some room for an answer.
Accepted<Request> read_fitting(const Question& question, const AskContext& context) {
  const auto read = [&](const Json& chat) {
    return read_request(Endpoint::chat_completions, chat, context.target, context.seed);
  };
  auto request = read(question.chat);
  const auto too_long = [](const auto& result) { return !result && result.error().code == "context_length_exceeded"; };
  if (!question.may_truncate || !too_long(request)) return request;
  Json probe = question.chat;
  if (!probe.contains("max_completion_tokens")) {
    probe["max_completion_tokens"] = std::max<std::size_t>(1, context.target.context / 8);
  }
  std::size_t low = 0;                                  // too few
  std::size_t high = question.chat["messages"].size();  // the last message stays, whatever it takes
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (too_long(read(without_oldest(probe, middle))) ? low : high) = middle;
  }
  const std::size_t most = question.chat["messages"].size() - 1;
  return read(without_oldest(question.chat, std::min(high, most)));
}

Json usage_of(const Json& usage) {
  return {{"input_tokens", usage["prompt_tokens"]},
          {"input_tokens_details", {{"cached_tokens", usage["prompt_tokens_details"]["cached_tokens"]}}},
          {"output_tokens", usage["completion_tokens"]},
          {"output_tokens_details", {{"reasoning_tokens", 0}}},
          {"total_tokens", usage["total_tokens"]},
          {"plait", usage["plait"]}};
}

/// The events of a stream, numbered. Copies speak into the same stream: one after the other.
class Events {
 public:
  Events(const Responder& responder, HttpHeaders headers) : stream_(responder, std::move(headers)) {}
  void send(const char* type, Json more) {
    Json event{{"type", type}, {"sequence_number", number_++}};
    event.update(std::move(more));
    stream_.event(type, dump_json(event));
  }
  void end() const { stream_.end(); }

 private:
  SseStream stream_;
  std::uint64_t number_ = 0;
};

void send_failure(Events& events, Json response, const Refusal& refusal) {
  response["status"] = "failed";
  response["error"] = {{"code", "server_error"}, {"message", refusal.message}};
  events.send("response.failed", {{"response", std::move(response)}});
  events.end();
}

class ResponsesWording final : public Wording {
 public:
  ResponsesWording(Question question, Responses* kept, std::string owner)
      : response_(std::move(question.response)),
        input_(std::move(question.input)),
        kept_(question.keeps ? kept : nullptr),
        owner_(std::move(owner)) {}

  // Not on the engine's thread: it may wait for the disk.
  [[nodiscard]] HttpReply whole(const Exchange& exchange) const override {
    if (const auto refusal = exchange.refusal()) return reply_of(*refusal);
    ResponseOutput output;
    for (const models::AnswerEvent& event : exchange.events(0)) output.add(event);
    output.finish(is_full(exchange));
    const Json response = finished(exchange, output);
    if (kept_ != nullptr) {
      std::promise<std::optional<Refusal>> kept;
      kept_->keep(owner_, response, input_, [&](const std::optional<Refusal>& refusal) { kept.set_value(refusal); });
      if (const auto refusal = kept.get_future().get()) return reply_of(*refusal);
    }
    return json_reply(response);
  }
  void open(const Responder& responder, HttpHeaders headers) override {
    events_.emplace(responder, std::move(headers));
    events_->send("response.created", {{"response", response_}});
    events_->send("response.in_progress", {{"response", response_}});
    output_ = ResponseOutput([this](const char* type, Json more) { events_->send(type, std::move(more)); });
  }
  void part(const ChoicePart& part) override {
    for (const models::AnswerEvent& event : part.events) output_.add(event);
  }
  void close(const Exchange& exchange) override {
    output_.finish(is_full(exchange));
    const Json response = finished(exchange, output_);
    if (kept_ == nullptr) return send_end(*events_, response);
    // The engine goes on; the end is sent when it is true that the response is kept.
    kept_->keep(owner_, response, input_, [events = *events_, response](const std::optional<Refusal>& refusal) mutable {
      refusal ? send_failure(events, response, *refusal) : send_end(events, response);
    });
  }
  void fail(const Refusal& refusal) override { send_failure(*events_, response_, refusal); }

 private:
  static bool is_full(const Exchange& exchange) { return exchange.reason(0) == engine::EndReason::length; }
  [[nodiscard]] Json finished(const Exchange& exchange, const ResponseOutput& output) const {
    Json response = response_;
    response["status"] = is_full(exchange) ? "incomplete" : "completed";
    if (is_full(exchange)) response["incomplete_details"] = {{"reason", "max_output_tokens"}};
    response["output"] = output.items();
    response["usage"] = usage_of(exchange.usage());
    return response;
  }
  static void send_end(Events& events, const Json& response) {
    const bool full = response["status"] == "incomplete";
    events.send(full ? "response.incomplete" : "response.completed", {{"response", response}});
    events.end();
  }

  const Json response_;
  const Json input_;
  Responses* const kept_;  // null: this one is not kept
  const std::string owner_;
  std::optional<Events> events_;  // of a stream, as the next one
  ResponseOutput output_;
};

}  // namespace

Dialect responses_dialect(Responses* kept) {
  const auto read = [kept](const Json& body, const AskContext& context) -> Accepted<Asked> {
    PLAIT_TRY(Question question, read_question(body, context, kept));
    auto request = read_fitting(question, context);
    if (!request) return std::unexpected(in_our_words(std::move(request).error()));
    if (request->prompts.front().samples != 1) return bad_value("n", "is not a field of this API");
    auto wording = std::make_unique<ResponsesWording>(std::move(question), kept, context.owner);
    return Asked{.request = *std::move(request), .wording = std::move(wording)};
  };
  return {.path = "/v1/responses", .read = read, .refuse = reply_of};
}

}  // namespace plait::serving
