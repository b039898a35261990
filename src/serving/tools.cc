// SPDX-License-Identifier: Apache-2.0
#include "serving/tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "text/grammar/json_schema.h"

namespace plait::serving {
namespace {

using text::dump_json;
using text::Json;

constexpr std::size_t kToolsMax = 128, kNameMax = 128, kBytesMax = std::size_t{256} << 10U, kWarningsMax = 8;

bool is_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  return !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, fits);
}

struct Tool {
  std::string parameters = {};  // the field's name
  models::ToolSchema schema = {};
  std::optional<base::Error> fault = {};  // why its schema cannot be enforced
  bool strict = false;
};

/// Makes the schema one of an object, as calls have it.
Accepted<Json> object_schema(const Json* given, const std::string& param) {
  if (given == nullptr)
    return Json{{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
  if (!given->is_object()) return bad_value(param, "must be a JSON schema of an object");
  Json schema = *given;
  const bool elsewhere = std::ranges::any_of(std::initializer_list<const char*>{"$ref", "anyOf", "oneOf", "allOf"},
                                             [&](const char* key) { return schema.contains(key); });
  if (!schema.contains("type") && !elsewhere) schema["type"] = "object";
  const bool other = schema.contains("type") && schema["type"] != "object" && schema["type"] != Json::array({"object"});
  if (other) return bad_value(param, "must be a JSON schema of an object");
  return schema;
}

/// One tool, and what templates are given of it: they may add its description and look into its properties.
Accepted<Tool> read_tool(const Json& given, const std::string& param, Json& list) {
  if (!given.is_object()) return bad_value(param, "must be an object");
  Fields fields(given, param + '.');
  PLAIT_TRY(const auto type, fields.text("type"));
  if (type.value_or("function") != "function") return not_supported(param + ".type", "only functions can be called");
  PLAIT_TRY(const Json* function, fields.object("function"));
  if (function == nullptr) return bad_value(param + ".function", "must be an object");
  Fields inner(*function, param + ".function.");
  PLAIT_TRY(const auto name, inner.text("name"));
  if (!name || !is_name(*name)) {
    return bad_value(param + ".function.name", fmt::format("must have 1 to {} letters, digits, _, . or -", kNameMax));
  }
  PLAIT_TRY(const auto description, inner.text("description"));
  PLAIT_TRY(const auto strict, inner.flag("strict"));
  Tool tool{.parameters = inner.full_name("parameters"), .schema = {.name = *name}, .strict = strict.value_or(false)};
  PLAIT_TRY(tool.schema.parameters, object_schema(inner.find("parameters"), tool.parameters));
  const auto parsed = text::parse_json_schema(tool.schema.parameters);
  if (!parsed) tool.fault = parsed.error();
  Json shown = *function;
  if (!description) shown["description"] = "";
  shown["parameters"] = tool.schema.parameters;
  if (!shown["parameters"].contains("properties")) shown["parameters"]["properties"] = Json::object();
  list.push_back({{"type", "function"}, {"function", std::move(shown)}});
  return tool;
}

Accepted<std::vector<Tool>> read_list(Fields& fields, Json& list) {
  const Json* given = fields.find("tools");
  std::vector<Tool> tools;
  if (given == nullptr) return tools;
  if (!given->is_array()) return bad_value("tools", "must be a list of tools");
  if (given->size() > kToolsMax)
    return bad_value("tools", fmt::format("has {}, at most {} fit", given->size(), kToolsMax));
  if (const std::size_t bytes = dump_json(*given).size(); bytes > kBytesMax) {
    return bad_value("tools", fmt::format("has {} bytes, at most {} fit", bytes, kBytesMax));
  }
  for (std::size_t i = 0; i < given->size(); ++i) {
    const std::string param = fmt::format("tools[{}]", i);
    PLAIT_TRY(Tool tool, read_tool((*given)[i], param, list));
    const auto same = [&](const Tool& other) { return other.schema.name == tool.schema.name; };
    if (std::ranges::any_of(tools, same)) return bad_value(param + ".function.name", "is there twice");
    tools.push_back(std::move(tool));
  }
  return tools;
}

struct GivenChoice {
  ToolChoice kind = ToolChoice::automatic;
  std::optional<std::vector<std::string>> only = {};  // the tools that may be called
};

Accepted<std::string> named_tool(const Json& given, const std::string& param) {
  const Json function = given.is_object() ? given.value("function", given) : Json();
  const Json name = function.is_object() ? function.value("name", Json()) : Json();
  if (!name.is_string()) return bad_value(param, "must name a function");
  return name.get<std::string>();
}

Accepted<GivenChoice> read_choice_word(const Json& word, const std::string& param) {
  if (word == "none") return GivenChoice{.kind = ToolChoice::none};
  if (word == "auto") return GivenChoice{};
  if (word == "required") return GivenChoice{.kind = ToolChoice::required};
  return bad_value(param, "must be none, auto, required or a function");
}

Accepted<GivenChoice> read_choice(const Json& given) {
  if (!given.is_object()) return read_choice_word(given, "tool_choice");
  const Json type = given.value("type", Json());
  if (type == "function") {
    PLAIT_TRY(std::string name, named_tool(given, "tool_choice"));
    return GivenChoice{.kind = ToolChoice::required, .only = std::vector<std::string>{std::move(name)}};
  }
  if (type != "allowed_tools") return bad_value("tool_choice.type", "must be function or allowed_tools");
  const Json allowed = given.value("allowed_tools", given);
  if (!allowed.is_object()) return bad_value("tool_choice.allowed_tools", "must be an object");
  PLAIT_TRY(GivenChoice choice,
            read_choice_word(allowed.value("mode", Json("auto")), "tool_choice.allowed_tools.mode"));
  const Json list = allowed.value("tools", Json());
  if (!list.is_array()) return bad_value("tool_choice.allowed_tools.tools", "must be a list of functions");
  choice.only.emplace();
  for (const Json& one : list) {
    PLAIT_TRY(std::string name, named_tool(one, "tool_choice.allowed_tools.tools"));
    choice.only->push_back(std::move(name));
  }
  return choice;
}

/// Drops the tools that may not be called.
Accepted<void> narrow(std::vector<Tool>& tools, const GivenChoice& choice) {
  if (!choice.only) return {};
  for (const std::string& name : *choice.only) {
    const auto same = [&](const Tool& tool) { return tool.schema.name == name; };
    if (std::ranges::none_of(tools, same)) {
      return bad_value("tool_choice",
                       fmt::format("names \"{}\", which is no tool of the request", name.substr(0, 100)));
    }
  }
  std::erase_if(
      tools, [&](const Tool& tool) { return std::ranges::find(*choice.only, tool.schema.name) == choice.only->end(); });
  return {};
}

// How the model is told where its template has no words for it.
std::string instructions(const Json& list) {
  std::string text = "These functions can be called:\n";
  for (const Json& tool : list) text += dump_json(tool["function"]) + '\n';
  return text +
         "\nTo call functions, answer with nothing but a JSON object of this form:\n"
         R"({"tool_calls": [{"name": "NAME", "arguments": {"ARGUMENT": VALUE}}]})"
         "\nIf no function is needed, answer in plain words.";
}

void put_before(Json& message, const std::string& text, bool before) {
  Json& content = message["content"];
  if (content.is_array()) {
    content.insert(before ? content.begin() : content.end(), Json{{"type", "text"}, {"text", text}});
    return;
  }
  const std::string there = content.is_string() ? content.get<std::string>() : "";
  content = there.empty() ? text : before ? text + "\n\n" + there : there + "\n\n" + text;
}

void put_instructions(const std::string& text, bool takes_system, Json& messages) {
  const auto is = [](const char* role) { return [role](const Json& message) { return message["role"] == role; }; };
  if (!messages.empty() && messages.front()["role"] == "system") return put_before(messages.front(), text, false);
  if (takes_system) {
    messages.insert(messages.begin(), Json{{"role", "system"}, {"content", text}});
    return;
  }
  const auto user = std::ranges::find_if(messages, is("user"));
  if (user != messages.end()) return put_before(*user, text, true);
  messages.insert(messages.begin(), Json{{"role", "user"}, {"content", text}});
}

std::string text_of(const Json& message) {
  const Json content = message.value("content", Json());
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  if (!content.is_array()) return text;
  for (const Json& part : content) text += (text.empty() ? "" : "\n") + part["text"].get<std::string>();
  return text;
}

Json calls_as_text(const Json& message) {
  std::string calls;
  for (const Json& call : message["tool_calls"]) {
    const Json& function = call["function"];
    const Json arguments = function.value("arguments", Json("{}"));
    calls += fmt::format(R"({}{{"name": {}, "arguments": {}}})", calls.empty() ? "" : ", ", dump_json(function["name"]),
                         arguments.is_string() ? arguments.get<std::string>() : dump_json(arguments));
  }
  const std::string text = text_of(message);
  return {{"role", "assistant"},
          {"content", fmt::format(R"({}{}{{"tool_calls": [{}]}})", text, text.empty() ? "" : "\n", calls)}};
}

/// Name of the call that a result is for.
std::string called(const Json& messages, const Json& result) {
  if (const Json name = result.value("name", Json()); name.is_string()) return name.get<std::string>();
  const Json id = result.value("tool_call_id", Json());
  for (const Json& message : messages) {
    const Json calls = message.value("tool_calls", Json());
    for (const Json& call : calls.is_array() ? calls : Json::array()) {
      if (call.value("id", Json()) == id) return call["function"]["name"].get<std::string>();
    }
  }
  return "the function";
}

Json as_texts(const Json& messages) {
  Json texts = Json::array();
  bool in_results = false;
  for (const Json& message : messages) {
    const Json calls = message.value("tool_calls", Json());
    const bool result = message["role"] == "tool" || message["role"] == "function";
    if (result) {
      const std::string text = fmt::format("{} answered:\n{}", called(messages, message), text_of(message));
      if (in_results) {
        put_before(texts.back(), text, false);
      } else {
        texts.push_back({{"role", "user"}, {"content", text}});
      }
    } else {
      texts.push_back(calls.is_array() && !calls.empty() ? calls_as_text(message) : message);
    }
    in_results = result;
  }
  return texts;
}

}  // namespace

Accepted<ToolSet> read_tools(Fields& fields, std::vector<std::string>& warnings) {
  ToolSet set;
  Json list = Json::array();
  PLAIT_TRY(std::vector<Tool> tools, read_list(fields, list));
  for (const char* name : {"functions", "function_call"}) {
    const Json* old = fields.find(name);
    const bool nothing = old == nullptr || *old == "none" || *old == "auto" || (old->is_array() && old->empty());
    if (!nothing) return not_supported(name, "give tools and tool_choice instead");
  }
  PLAIT_TRY(const auto several, fields.flag("parallel_tool_calls"));
  const Json* given = fields.find("tool_choice");
  GivenChoice choice;
  if (given != nullptr) {
    PLAIT_TRY(choice, read_choice(*given));
  }
  if (tools.empty() && choice.kind == ToolChoice::required) return bad_value("tool_choice", "needs tools");
  if (tools.empty() || choice.kind == ToolChoice::none) return set;
  std::vector<std::string> faults;
  PLAIT_TRY_VOID(narrow(tools, choice));
  if (tools.empty()) return set;
  for (Tool& tool : tools) {
    if (tool.fault) {
      if (tool.strict || choice.kind == ToolChoice::required) return bad_value(tool.parameters, tool.fault->message);
      faults.push_back(fmt::format("{}: {}: any object is taken", tool.parameters, tool.fault->message.substr(0, 200)));
      tool.schema.parameters = nullptr;
    }
    set.callable.push_back(std::move(tool.schema));
  }
  if (faults.size() > kWarningsMax) faults.resize(kWarningsMax);
  std::ranges::move(faults, std::back_inserter(warnings));
  set.list = std::move(list);
  set.choice = choice.kind;
  set.several = several.value_or(true);
  return set;
}

models::ToolFormat format_for(const models::ChatTemplate::Traits& traits) {
  return traits.prints_tools ? traits.tool_format : models::ToolFormat::json;
}

void name_results(Json& messages) {
  std::map<std::string, Json> names;  // by the call's id
  for (Json& message : messages) {
    if (message.contains("tool_calls")) {
      for (const Json& call : message["tool_calls"]) names[call["id"].get<std::string>()] = call["function"]["name"];
    }
    if (!message.contains("tool_call_id")) continue;
    const auto name = names.find(message["tool_call_id"].get<std::string>());
    if (name != names.end()) message["name"] = name->second;
  }
}

void put_tools(const ToolSet& tools, const models::ChatTemplate::Traits& traits, Json& messages,
               models::ChatOptions& options) {
  if (format_for(traits) != models::ToolFormat::json) {
    options.tools = tools.list;
    return;
  }
  messages = as_texts(messages);
  if (!tools.list.is_null()) put_instructions(instructions(tools.list), traits.takes_system, messages);
}

}  // namespace plait::serving
