// SPDX-License-Identifier: Apache-2.0
#include "serving/stored/responses_items.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

#include "serving/stored/desk.h"

namespace plait::serving {
namespace {

using text::Json;

std::string_view part_type(std::string_view role) { return role == "assistant" ? "output_text" : "input_text"; }

// The text of a part of a message.
Accepted<std::string> text_of_part(const Json& part, const std::string& param) {
  const Json type = part.is_object() ? part.value("type", Json()) : Json();
  if (!type.is_string()) return bad_value(param, "must be an object with a `type`");
  const char* member = type == "refusal" ? "refusal" : "text";
  if (type != "input_text" && type != "output_text" && type != "refusal" && type != "text") {
    return not_supported(param, "plait reads text parts only");
  }
  if (!part.contains(member) || !part[member].is_string()) {
    return bad_value(param + '.' + member, "must be a string");
  }
  return part[member].get<std::string>();
}

// A text, or a list of parts. `param`: its name in refusals.
Accepted<std::vector<std::string>> read_texts(const Json* content, const std::string& param) {
  std::vector<std::string> texts;
  if (content != nullptr && content->is_string()) {
    texts.push_back(content->get<std::string>());
    return texts;
  }
  if (content == nullptr || !content->is_array()) return bad_value(param, "must be a string or a list of parts");
  for (std::size_t i = 0; i < content->size(); ++i) {
    PLAIT_TRY(std::string text, text_of_part((*content)[i], fmt::format("{}[{}]", param, i)));
    texts.push_back(std::move(text));
  }
  return texts;
}

Accepted<Json> read_message(Fields& fields) {
  PLAIT_TRY(const auto given, fields.text("role"));
  const std::string role = given.value_or("");
  if (role != "user" && role != "assistant" && role != "system" && role != "developer") {
    return bad_value(fields.full_name("role"), "must be one of user, assistant, system, developer");
  }
  PLAIT_TRY(const auto texts, read_texts(fields.find("content"), fields.full_name("content")));
  Json parts = Json::array();
  for (const std::string& text : texts) {
    Json part{{"type", part_type(role)}, {"text", text}};
    if (role == "assistant") part["annotations"] = Json::array();
    parts.push_back(std::move(part));
  }
  return Json{{"id", new_id("msg_")},
              {"type", "message"},
              {"status", "completed"},
              {"role", role},
              {"content", std::move(parts)}};
}

// A thought in plain words; one that is encrypted or only summed up says nothing here.
Accepted<Json> read_reasoning(Fields& fields) {
  const Json* content = fields.find("content");
  if (content == nullptr || !content->is_array() || content->empty()) return Json();
  Json parts = Json::array();
  for (std::size_t i = 0; i < content->size(); ++i) {
    const Json& part = (*content)[i];
    const Json text = part.is_object() ? part.value("text", Json()) : Json();
    if (!text.is_string())
      return bad_value(fmt::format("{}[{}].text", fields.full_name("content"), i), "must be a string");
    parts.push_back({{"type", "reasoning_text"}, {"text", text}});
  }
  return Json{{"id", new_id("rs_")},
              {"type", "reasoning"},
              {"status", "completed"},
              {"summary", Json::array()},
              {"content", std::move(parts)}};
}

Accepted<std::string> read_name(Fields& fields, std::string_view name) {
  PLAIT_TRY(auto given, fields.text(name));
  if (!given || given->empty()) return bad_value(fields.full_name(name), "must be a string that is not empty");
  return *std::move(given);
}

Accepted<Json> read_call(Fields& fields) {
  PLAIT_TRY(std::string call, read_name(fields, "call_id"));
  PLAIT_TRY(std::string name, read_name(fields, "name"));
  PLAIT_TRY(const auto arguments, fields.text("arguments"));
  if (!arguments) return bad_value(fields.full_name("arguments"), "must be JSON as a string");
  PLAIT_TRY(const auto status, fields.text("status"));
  return Json{{"id", new_id("fc_")},
              {"type", "function_call"},
              {"status", status == "incomplete" ? "incomplete" : "completed"},
              {"call_id", std::move(call)},
              {"name", std::move(name)},
              {"arguments", *arguments}};
}

Accepted<Json> read_call_output(Fields& fields, const CallIds& calls) {
  PLAIT_TRY(std::string call, read_name(fields, "call_id"));
  if (!calls.contains(call)) {
    return bad_value(fields.full_name("call_id"), "must be that of a call in the conversation before it");
  }
  PLAIT_TRY(const auto texts, read_texts(fields.find("output"), fields.full_name("output")));
  return Json{{"id", new_id("fco_")},
              {"type", "function_call_output"},
              {"status", "completed"},
              {"call_id", std::move(call)},
              {"output", fmt::format("{}", fmt::join(texts, "\n"))}};
}

// An item as it is kept. Null for an item that says nothing to a model.
Accepted<Json> read_item(const Json& item, const std::string& param, const CallIds& calls) {
  if (!item.is_object()) return bad_value(param, "must be an object");
  Fields fields(item, param + '.');
  PLAIT_TRY(const auto given, fields.text("type"));
  const std::string type = given.value_or("message");
  if (type == "message") return read_message(fields);
  if (type == "reasoning") return read_reasoning(fields);
  if (type == "function_call") return read_call(fields);
  if (type == "function_call_output") return read_call_output(fields, calls);
  return not_supported(param, "items are of the type message, reasoning, function_call or function_call_output here");
}

std::string text_of(const Json& parts) {
  std::string text;
  for (const Json& part : parts) text += part["text"].get_ref<const std::string&>();
  return text;
}

}  // namespace

void add_call_ids(const Json& items, CallIds& ids) {
  for (const Json& item : items) {
    if (item["type"] == "function_call" && item["status"] == "completed")
      ids.insert(item["call_id"].get<std::string>());
  }
}

Accepted<Json> read_input(Fields& fields, CallIds calls) {
  const Json* input = fields.find("input");
  Json items = Json::array();
  if (input != nullptr && input->is_string()) {
    PLAIT_TRY(Json item, read_item({{"role", "user"}, {"content", *input}}, "input", calls));
    items.push_back(std::move(item));
    return items;
  }
  if (input == nullptr || !input->is_array() || input->empty()) {
    return bad_value("input", "must be a string or a list of items");
  }
  for (std::size_t i = 0; i < input->size(); ++i) {
    PLAIT_TRY(Json item, read_item((*input)[i], fmt::format("input[{}]", i), calls));
    if (item.is_null()) continue;
    add_call_ids(Json::array({item}), calls);
    items.push_back(std::move(item));
  }
  return items;
}

void add_messages(const Json& items, Json& messages) {
  std::string thought;
  const auto add = [&](Json message) {
    if (!thought.empty()) message["reasoning_content"] = std::exchange(thought, {});
    messages.push_back(std::move(message));
  };
  for (const Json& item : items) {
    const Json& type = item["type"];
    if (type == "reasoning") {
      thought += text_of(item["content"]);
    } else if (type == "function_call_output") {
      messages.push_back({{"role", "tool"}, {"tool_call_id", item["call_id"]}, {"content", item["output"]}});
    } else if (type == "function_call") {
      if (item["status"] != "completed") continue;
      const bool goes_on = thought.empty() && !messages.empty() && messages.back()["role"] == "assistant";
      if (!goes_on) add({{"role", "assistant"}, {"content", nullptr}});
      messages.back()["tool_calls"].push_back(
          {{"id", item["call_id"]},
           {"type", "function"},
           {"function", {{"name", item["name"]}, {"arguments", item["arguments"]}}}});
    } else if (item["role"] == "assistant") {
      add({{"role", "assistant"}, {"content", text_of(item["content"])}});
    } else {
      messages.push_back({{"role", item["role"]}, {"content", text_of(item["content"])}});
    }
  }
}

}  // namespace plait::serving
