// SPDX-License-Identifier: Apache-2.0
#include "serving/content.h"

#include <utility>

namespace plait::serving {
namespace {

using text::Json;

Json text_part(std::string text) { return {{"type", "text"}, {"content", std::move(text)}}; }

Json message(const std::string& role, Json parts) { return {{"role", role}, {"parts", std::move(parts)}}; }

// A text, or a list of parts of which only those with a text are told.
Json parts_of(const Json& content) {
  Json parts = Json::array();
  if (content.is_string()) parts.push_back(text_part(content.get<std::string>()));
  if (!content.is_array()) return parts;
  for (const Json& part : content) {
    if (!part.is_object()) continue;
    const auto text = part.find("text");
    if (text != part.end() && text->is_string()) {
      parts.push_back(text_part(text->get<std::string>()));
    } else if (const auto type = part.find("type"); type != part.end() && type->is_string()) {
      parts.push_back({{"type", *type}});
    }
  }
  return parts;
}

void add_prompts(const Json& prompt, Json& messages) {
  if (prompt.is_string()) messages.push_back(message("user", parts_of(prompt)));
  if (!prompt.is_array()) return;
  for (const Json& one : prompt) {
    if (one.is_string()) messages.push_back(message("user", parts_of(one)));
  }
}

// The items of /v1/responses: messages, and what came of calls.
void add_items(const Json& input, Json& messages) {
  for (const Json& item : input) {
    if (!item.is_object()) continue;
    const auto role = item.find("role");
    const auto output = item.find("output");
    if (role != item.end() && role->is_string() && item.contains("content")) {
      messages.push_back(message(role->get<std::string>(), parts_of(item["content"])));
    } else if (output != item.end()) {
      messages.push_back(message("tool", parts_of(*output)));
    }
  }
}

std::optional<std::string> within_bound(const Json& messages) {
  std::string text = text::dump_json(messages);
  return text.size() <= kContentBytesMax ? std::optional(std::move(text)) : std::nullopt;
}

Json answer_parts(const models::Answer& answer) {
  Json parts = Json::array();
  if (!answer.thought.empty()) parts.push_back({{"type", "reasoning"}, {"content", answer.thought}});
  if (!answer.text.empty() || answer.calls.empty()) parts.push_back(text_part(answer.text));
  for (const models::Answer::Call& call : answer.calls) {
    parts.push_back({{"type", "tool_call"}, {"id", call.id}, {"name", call.name}, {"arguments", call.arguments}});
  }
  return parts;
}

}  // namespace

std::optional<std::string> input_messages(const Json& body) {
  Json messages = Json::array();
  if (!body.is_object()) return std::string();
  for (const char* name : {"system", "instructions"}) {
    if (const auto system = body.find(name); system != body.end() && !system->is_null()) {
      messages.push_back(message("system", parts_of(*system)));
    }
  }
  if (const auto list = body.find("messages"); list != body.end() && list->is_array()) {
    for (const Json& one : *list) {
      if (!one.is_object()) continue;
      const auto role = one.find("role");
      const auto content = one.find("content");
      messages.push_back(message(role != one.end() && role->is_string() ? role->get<std::string>() : "user",
                                 content != one.end() ? parts_of(*content) : Json::array()));
    }
  }
  if (const auto prompt = body.find("prompt"); prompt != body.end()) add_prompts(*prompt, messages);
  if (const auto input = body.find("input"); input != body.end()) {
    add_prompts(*input, messages);
    if (input->is_array()) add_items(*input, messages);
  }
  return within_bound(messages);
}

std::optional<std::string> output_messages(const Exchange& exchange) {
  Json messages = Json::array();
  for (std::size_t i = 0; i < exchange.size(); ++i) {
    Json answer = message("assistant", answer_parts(exchange.answer(i)));
    answer["finish_reason"] = name(exchange.reason(i));
    messages.push_back(std::move(answer));
  }
  return within_bound(messages);
}

}  // namespace plait::serving
