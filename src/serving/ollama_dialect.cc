// SPDX-License-Identifier: Apache-2.0
//
// ollama's /api/chat and /api/generate: read as requests in OpenAI's shape, answered as lines of JSON.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <ctime>
#include <deque>
#include <utility>

#include "serving/dialect.h"
#include "text/timestamp.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

enum class Kind { chat, generate };

// ollama's names of options beside OpenAI's; what stands in neither list has no effect here, as there.
constexpr std::pair<const char*, const char*> kOptions[] = {
    {"temperature", "temperature"},
    {"top_p", "top_p"},
    {"top_k", "top_k"},
    {"min_p", "min_p"},
    {"seed", "seed"},
    {"stop", "stop"},
    {"repeat_penalty", "repetition_penalty"},
    {"presence_penalty", "presence_penalty"},
    {"frequency_penalty", "frequency_penalty"},
};

Accepted<void> add_options(Fields& fields, Json& asked) {
  asked["temperature"] = 0.8;  // ollama's defaults
  asked["top_k"] = 40;
  asked["top_p"] = 0.9;
  PLAIT_TRY(const Json* options, fields.object("options"));
  if (options == nullptr) return {};
  for (const auto& [theirs, ours] : kOptions) {
    if (options->contains(theirs)) asked[ours] = (*options)[theirs];
  }
  Fields inner(*options, "options.");
  PLAIT_TRY(const auto tokens, inner.whole("num_predict", -2, std::numeric_limits<std::int32_t>::max()));
  if (tokens && *tokens > 0) asked["max_tokens"] = *tokens;
  return {};
}

Accepted<void> refuse_unbuilt(Fields& fields) {
  for (const char* name : {"images", "suffix"}) {
    const Json* value = fields.find(name);
    if (value == nullptr || *value == "" || (value->is_array() && value->empty())) continue;
    return not_supported(name, "is not built yet");
  }
  return {};
}

// "json", or a schema.
void add_format(Fields& fields, Json& asked) {
  const Json* format = fields.find("format");
  if (format == nullptr || *format == "") return;
  if (*format == "json") {
    asked["response_format"] = {{"type", "json_object"}};
  } else {
    asked["response_format"] = {{"type", "json_schema"}, {"json_schema", {{"schema", *format}}}};
  }
}

// Calls have no ids here: results are those of the last calls, in their order. Nine characters are what every template
// takes.
void add_call_ids(Json& message, std::size_t& calls, std::deque<Json>& open) {
  const auto list = message.find("tool_calls");
  if (list != message.end() && list->is_array()) {
    open.clear();
    for (Json& call : *list) {
      if (!call.is_object()) continue;
      if (!call.contains("id")) call["id"] = fmt::format("call{:05}", calls++ % 100'000);
      call["type"] = "function";
      open.push_back(call["id"]);
    }
  }
  if (message.value("role", Json()) != "tool") return;
  if (message.contains("tool_name")) message["name"] = message["tool_name"];
  if (!message.contains("tool_call_id") && !open.empty()) message["tool_call_id"] = open.front();
  if (!open.empty()) open.pop_front();
}

Accepted<Json> read_chat(Fields& fields) {
  const Json* messages = fields.find("messages");
  if (messages == nullptr || !messages->is_array()) return bad_value("messages", "must be a list of messages");
  Json adapted = *messages;
  std::size_t calls = 0;
  std::deque<Json> open;
  for (std::size_t i = 0; i < adapted.size(); ++i) {
    Json& message = adapted[i];
    if (!message.is_object()) continue;  // is refused where all are
    const Json images = message.value("images", Json());
    if (images.is_array() && !images.empty())
      return not_supported(fmt::format("messages[{}].images", i), "is not built yet");
    if (message.contains("thinking")) message["reasoning_content"] = message["thinking"];
    add_call_ids(message, calls, open);
  }
  Json asked{{"messages", std::move(adapted)}};
  for (const char* name : {"tools", "tool_choice"}) {  // the second one is not ollama's, but of use
    if (const Json* value = fields.find(name); value != nullptr) asked[name] = *value;
  }
  return asked;
}

// true, false, or how much.
Accepted<void> add_thinking(Fields& fields, Json& asked) {
  const Json* think = fields.find("think");
  if (think == nullptr) return {};
  if (!think->is_boolean() && !think->is_string()) return bad_value("think", "must be true, false or a level");
  asked["chat_template_kwargs"] = {{"enable_thinking", *think != Json(false)}};
  if (think->is_string()) asked["reasoning_effort"] = *think;
  return {};
}

Accepted<Json> read_generate(Fields& fields, Endpoint& endpoint) {
  PLAIT_TRY(const auto prompt, fields.text("prompt"));
  PLAIT_TRY(const auto system, fields.text("system"));
  PLAIT_TRY(const auto raw, fields.flag("raw"));
  if (!prompt) return bad_value("prompt", "must be a string");
  if (raw.value_or(false)) {
    endpoint = Endpoint::completions;
    return Json{{"prompt", *prompt}};
  }
  Json messages = Json::array();
  if (system) messages.push_back({{"role", "system"}, {"content", *system}});
  messages.push_back({{"role", "user"}, {"content", *prompt}});
  return Json{{"messages", std::move(messages)}};
}

// The field `keep_alive`: seconds, or a duration as in "5m" or "1h30m"; negative: for ever.
Accepted<std::optional<double>> read_keep_alive(const Json& body) {
  const Json value = body.is_object() ? body.value("keep_alive", Json()) : Json();
  if (value.is_null()) return std::nullopt;
  if (value.is_number()) return value.get<double>();
  const auto bad = bad_value("keep_alive", "must be seconds, or a duration such as \"5m\"");
  if (!value.is_string()) return bad;
  std::string_view text = value.get_ref<const std::string&>();
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  double seconds = 0;
  do {
    double count = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
    if (parsed.ec != std::errc()) return bad;
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    const std::size_t unit_length = std::min(text.find_first_of("-.0123456789"), text.size());
    const std::string_view unit = text.substr(0, unit_length);
    text.remove_prefix(unit_length);
    if (unit != "h" && unit != "m" && unit != "s" && unit != "ms" && !unit.empty()) return bad;
    seconds += count * (unit == "h" ? 3600 : unit == "m" ? 60 : unit == "ms" ? 0.001 : 1);
  } while (!text.empty());
  if (!std::isfinite(seconds)) return bad;
  return negative ? -seconds : seconds;
}

std::int64_t nanoseconds(double seconds) { return static_cast<std::int64_t>(seconds * 1e9); }

class OllamaWording final : public Wording {
 public:
  OllamaWording(Kind kind, std::string model) : kind_(kind), model_(std::move(model)) {}

  [[nodiscard]] HttpReply whole(const Exchange& exchange) const override {
    if (const auto refusal = exchange.refusal()) return ollama_refusal(*refusal);
    const models::Answer answer = exchange.answer(0);
    Json line = this->line(answer.text, answer.thought, true);
    for (const models::Answer::Call& call : answer.calls) add_call(line, call.name, call.arguments);
    add_end(line, exchange);
    return {.content_type = "application/json; charset=utf-8", .body = dump_json(line)};
  }
  void open(const Responder& responder, HttpHeaders headers) override {
    responder_.emplace(responder);
    responder.begin_stream(200, "application/x-ndjson", std::move(headers));
  }
  void part(const ChoicePart& part) override {
    using Event = models::AnswerEvent::Kind;
    for (const models::AnswerEvent& event : part.events) {
      if (event.kind == Event::text) send(line(event.text, "", false));
      if (event.kind == Event::thought) send(line("", event.text, false));
      if (event.kind == Event::arguments) arguments_ += event.text;
      if (event.kind == Event::call) {
        name_ = event.text;
        arguments_.clear();
      }
      if (event.kind != Event::call_end) continue;
      Json call = line("", "", false);
      add_call(call, name_, arguments_);
      send(call);
    }
  }
  void close(const Exchange& exchange) override {
    Json line = this->line("", "", true);
    add_end(line, exchange);
    send(line);
    responder_->end();
  }
  void fail(const Refusal& refusal) override {
    send({{"error", refusal.message}});
    responder_->end();
  }

 private:
  [[nodiscard]] Json line(std::string_view text, std::string_view thought, bool done) const {
    Json line{{"model", model_}, {"created_at", text::utc_time(std::time(nullptr))}};
    if (kind_ == Kind::chat) {
      line["message"] = {{"role", "assistant"}, {"content", text}};
    } else {
      line["response"] = text;
    }
    if (!thought.empty()) (kind_ == Kind::chat ? line["message"] : line)["thinking"] = thought;
    line["done"] = done;
    return line;
  }
  // Whole calls only: what was cut off is no object.
  static void add_call(Json& line, const std::string& name, const std::string& arguments) {
    auto object = text::parse_json(arguments);
    if (!object) return;
    Json& calls = line["message"]["tool_calls"];
    calls.push_back({{"function", {{"name", name}, {"arguments", *std::move(object)}}}});
  }
  static void add_end(Json& line, const Exchange& exchange) {
    const engine::Usage& usage = exchange.engine_usage(0);
    line["done_reason"] = name(exchange.reason(0));
    line["total_duration"] = nanoseconds(usage.waited_seconds + usage.prompt_seconds + usage.decode_seconds);
    line["load_duration"] = 0;
    line["prompt_eval_count"] = usage.prompt_tokens;
    line["prompt_eval_duration"] = nanoseconds(usage.prompt_seconds);
    line["eval_count"] = usage.generated_tokens;
    line["eval_duration"] = nanoseconds(usage.decode_seconds);
  }
  void send(const Json& line) { responder_->write(dump_json(line) + '\n'); }

  Kind kind_;
  std::string model_;
  std::optional<Responder> responder_;
  std::string name_, arguments_;  // of the call at hand
};

Accepted<Asked> read_ollama(Kind kind, const Json& body, const AskContext& context) {
  if (!body.is_object()) return std::unexpected(Refusal{.message = "the body must be a JSON object"});
  Fields fields(body);
  PLAIT_TRY_VOID(refuse_unbuilt(fields));
  Endpoint endpoint = Endpoint::chat_completions;
  PLAIT_TRY(Json asked, kind == Kind::chat ? read_chat(fields) : read_generate(fields, endpoint));
  PLAIT_TRY(const auto model, fields.text("model"));
  if (!model) return bad_value("model", "is required");
  PLAIT_TRY(const auto stream, fields.flag("stream"));
  asked["stream"] = stream.value_or(true);
  PLAIT_TRY_VOID(add_options(fields, asked));
  add_format(fields, asked);
  if (endpoint == Endpoint::chat_completions) PLAIT_TRY_VOID(add_thinking(fields, asked));
  if (endpoint == Endpoint::completions && !asked.contains("max_tokens")) {
    asked["max_tokens"] = 128;  // ollama goes on until the model ends; a raw text may never do
  }
  PLAIT_TRY(Request request, read_request(endpoint, asked, context.target, context.seed));
  auto wording = std::make_unique<OllamaWording>(kind, *model);
  return Asked{.request = std::move(request), .wording = std::move(wording)};
}

Dialect dialect(Kind kind, std::string path) {
  const auto read = [kind](const Json& body, const AskContext& context) { return read_ollama(kind, body, context); };
  return {.path = std::move(path), .read = read, .refuse = ollama_refusal, .keep_alive = read_keep_alive};
}

}  // namespace

std::string without_latest(std::string model) {
  constexpr std::string_view kLatest = ":latest";
  if (model.ends_with(kLatest)) model.resize(model.size() - kLatest.size());
  return model;
}

HttpReply ollama_refusal(const Refusal& refusal) { return json_reply({{"error", refusal.message}}, refusal.status); }

Dialect ollama_chat_dialect() { return dialect(Kind::chat, "/api/chat"); }
Dialect ollama_generate_dialect() { return dialect(Kind::generate, "/api/generate"); }

}  // namespace plait::serving
