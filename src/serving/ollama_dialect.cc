// SPDX-License-Identifier: Apache-2.0
//
// ollama's /api/chat and /api/generate: read as requests in OpenAI's shape, answered as lines of JSON.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <utility>

#include "serving/dialect.h"

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
  for (const char* name : {"tools", "images", "suffix"}) {
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

Accepted<Json> read_chat(Fields& fields) {
  const Json* messages = fields.find("messages");
  if (messages == nullptr) return bad_value("messages", "must be a list of messages");
  return Json{{"messages", *messages}};
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

std::int64_t nanoseconds(double seconds) { return static_cast<std::int64_t>(seconds * 1e9); }

class OllamaWording final : public Wording {
 public:
  OllamaWording(Kind kind, std::string model) : kind_(kind), model_(std::move(model)) {}

  [[nodiscard]] HttpReply whole(const Exchange& exchange) const override {
    if (const auto refusal = exchange.refusal()) return ollama_refusal(*refusal);
    Json line = this->line(exchange.text(0), true);
    add_end(line, exchange);
    return {.content_type = "application/json; charset=utf-8", .body = dump_json(line)};
  }
  void open(const Responder& responder, HttpHeaders headers) override {
    responder_.emplace(responder);
    responder.begin_stream(200, "application/x-ndjson", std::move(headers));
  }
  void part(const ChoicePart& part) override {
    if (!part.text.empty()) send(line(part.text, false));
  }
  void close(const Exchange& exchange) override {
    Json line = this->line("", true);
    add_end(line, exchange);
    send(line);
    responder_->end();
  }
  void fail(const Refusal& refusal) override {
    send({{"error", refusal.message}});
    responder_->end();
  }

 private:
  [[nodiscard]] Json line(std::string_view text, bool done) const {
    const std::time_t now = std::time(nullptr);
    Json line{{"model", model_}, {"created_at", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now))}};
    if (kind_ == Kind::chat) {
      line["message"] = {{"role", "assistant"}, {"content", text}};
    } else {
      line["response"] = text;
    }
    line["done"] = done;
    return line;
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
};

Accepted<Asked> read_ollama(Kind kind, const Json& body, const AskContext& context) {
  if (!body.is_object()) return std::unexpected(Refusal{.message = "the body must be a JSON object"});
  Fields fields(body);
  PLAIT_TRY_VOID(refuse_unbuilt(fields));
  Endpoint endpoint = Endpoint::chat_completions;
  PLAIT_TRY(Json asked, kind == Kind::chat ? read_chat(fields) : read_generate(fields, endpoint));
  PLAIT_TRY(const auto model, fields.text("model"));
  if (!model) return bad_value("model", "is required");
  asked["model"] = without_latest(*model);
  PLAIT_TRY(const auto stream, fields.flag("stream"));
  asked["stream"] = stream.value_or(true);
  PLAIT_TRY_VOID(add_options(fields, asked));
  add_format(fields, asked);
  if (endpoint == Endpoint::completions && !asked.contains("max_tokens")) {
    asked["max_tokens"] = 128;  // ollama goes on until the model ends; a raw text may never do
  }
  PLAIT_TRY(Request request, read_request(endpoint, asked, context.target, context.seed));
  auto wording = std::make_unique<OllamaWording>(kind, *model);
  return Asked{.request = std::move(request), .wording = std::move(wording)};
}

Dialect dialect(Kind kind, std::string path) {
  const auto read = [kind](const Json& body, const AskContext& context) { return read_ollama(kind, body, context); };
  return {.path = std::move(path), .read = read, .refuse = ollama_refusal};
}

}  // namespace

std::string without_latest(std::string model) {
  constexpr std::string_view kLatest = ":latest";
  if (model.ends_with(kLatest)) model.resize(model.size() - kLatest.size());
  return model;
}

HttpReply ollama_refusal(const Refusal& refusal) {
  return {.status = refusal.status, .body = dump_json({{"error", refusal.message}})};
}

Dialect ollama_chat_dialect() { return dialect(Kind::chat, "/api/chat"); }
Dialect ollama_generate_dialect() { return dialect(Kind::generate, "/api/generate"); }

}  // namespace plait::serving
