// SPDX-License-Identifier: Apache-2.0
#include "models/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace plait::models {
namespace {

using base::ErrorCode;
using text::Json;

constexpr std::string_view kNeedle = "nEEdle";

bool prints(const base::Result<std::string>& rendered, std::string_view what) {
  return rendered.has_value() && rendered->find(what) != std::string::npos;
}

Json user_says(Json content) { return {{"role", "user"}, {"content", std::move(content)}}; }

Json text_part(std::string_view text) { return Json::array({{{"type", "text"}, {"text", text}}}); }

Json call_with(Json arguments) {
  Json call = {{"id", "call00001"}, {"type", "function"}};
  call["function"] = {{"name", "probe_function"}, {"arguments", std::move(arguments)}};
  return {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", Json::array({std::move(call)})}};
}

Json probe_tool() {
  Json function = {{"name", "probe_function"}, {"description", "A probe."}};
  function["parameters"] = {{"type", "object"}, {"properties", Json::object()}, {"required", Json::array()}};
  return Json::array({{{"type", "function"}, {"function", std::move(function)}}});
}

base::Result<void> check_messages(const Json& messages) {
  if (!messages.is_array()) return base::fail(ErrorCode::invalid_argument, "messages: must be an array");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    const auto bad = [&](std::string_view what) {
      return base::fail(ErrorCode::invalid_argument, fmt::format("messages[{}]{}", i, what));
    };
    if (!message.is_object()) return bad(": must be an object");
    if (const auto role = message.find("role"); role == message.end() || !role->is_string()) {
      return bad(".role: must be a string");
    }
    if (const auto calls = message.find("tool_calls"); calls != message.end()) {
      if (!calls->is_array() && !calls->is_null()) return bad(".tool_calls: must be an array");
      if (std::ranges::any_of(*calls, [](const Json& call) { return !call.is_object(); })) {
        return bad(".tool_calls: must hold objects");
      }
    }
  }
  return {};
}

// The texts of a content list in lines; nothing if it holds anything but texts.
std::optional<std::string> joined_parts(const Json& parts) {
  std::string text;
  bool first = true;
  for (const Json& part : parts) {
    const bool is_text = part.is_object() && part.value("type", Json()) == "text" && part.contains("text");
    if (!is_text || !part["text"].is_string()) return std::nullopt;
    if (!std::exchange(first, false)) text += '\n';
    text += part["text"].get_ref<const std::string&>();
  }
  return text;
}

void adapt_content(Json& message, const ChatTemplate::Traits& traits) {
  const auto content = message.find("content");
  if (content == message.end()) return;
  if (content->is_array() && !traits.reads_content_lists) {
    if (auto text = joined_parts(*content)) *content = *std::move(text);
  } else if (content->is_string() && traits.needs_content_lists) {
    *content = text_part(content->get_ref<const std::string&>());
  }
}

void adapt_arguments(Json& call, const ChatTemplate::Traits& traits) {
  const auto function = call.find("function");
  if (function == call.end() || !function->is_object()) return;
  const auto arguments = function->find("arguments");
  if (arguments == function->end()) return;
  if (arguments->is_string() && traits.wants_argument_objects) {
    auto parsed = text::parse_json(arguments->get_ref<const std::string&>());
    if (parsed && parsed->is_object()) *arguments = *std::move(parsed);
  } else if (arguments->is_object() && traits.wants_argument_text) {
    *arguments = text::dump_json(*arguments);
  }
}

Json adapted(Json messages, const ChatTemplate::Traits& traits) {
  for (Json& message : messages) {
    adapt_content(message, traits);
    if (const auto calls = message.find("tool_calls"); calls != message.end() && calls->is_array()) {
      for (Json& call : *calls) adapt_arguments(call, traits);
    }
  }
  return messages;
}

std::string capitalised(std::string role) {
  if (!role.empty() && role[0] >= 'a' && role[0] <= 'z') role[0] = static_cast<char>(role[0] - 'a' + 'A');
  return role;
}

// "System text", then "User: ..." and "Assistant: ..." lines.
std::string plain_prompt(const Json& messages, bool add_generation_prompt) {
  std::string prompt;
  for (const Json& message : messages) {
    const Json content = message.value("content", Json());
    std::string text = content.is_string()  ? content.get<std::string>()
                       : content.is_array() ? joined_parts(content).value_or(text::dump_json(content))
                       : content.is_null()  ? std::string()
                                            : text::dump_json(content);
    const std::string& role = message["role"].get_ref<const std::string&>();
    prompt += role == "system" ? fmt::format("{}\n\n", text) : fmt::format("{}: {}\n", capitalised(role), text);
  }
  if (add_generation_prompt) prompt += "Assistant:";
  return prompt;
}

}  // namespace

std::vector<base::TokenId> encode_chat(const Tokenizer& tokenizer, std::string_view rendered) {
  const std::string_view bos = tokenizer.piece(tokenizer.bos());
  const bool begins = !bos.empty() && rendered.starts_with(bos);
  return tokenizer.encode(rendered, {.add_special = !begins});
}

base::Result<ChatTemplate> ChatTemplate::make(std::optional<std::string_view> source, SpecialTexts special) {
  ChatTemplate chat;
  chat.special_ = std::move(special);
  if (source.has_value() && !source->empty()) {
    PLAIT_TRY(chat.template_, text::Template::parse(*source));
    chat.traits_ = chat.probe();
  }
  return chat;
}

base::Result<std::string> ChatTemplate::render_raw(const Json& messages, const ChatOptions& options) const {
  Json variables = {{"messages", messages},      {"tools", options.tools},
                    {"documents", nullptr},      {"add_generation_prompt", options.add_generation_prompt},
                    {"bos_token", special_.bos}, {"eos_token", special_.eos}};
  for (const auto& [name, value] : options.kwargs.items()) variables[name] = value;
  return template_->render(variables, options.render);
}

// What a template can do is seen from what it prints: a marker in the content, or the arguments as JSON or a Python
// mapping.
ChatTemplate::Traits ChatTemplate::probe() const {
  Traits traits;
  ChatOptions options;
  options.render.limits.steps_max = 200'000;
  options.render.limits.work_bytes_max = std::uint64_t{16} << 20U;
  const auto shows = [&](const Json& messages, std::string_view what) {
    return prints(render_raw(messages, options), what);
  };
  const bool reads_text = shows(Json::array({user_says(kNeedle)}), kNeedle);
  // A template that takes a list for a string prints it whole, with its keys.
  const auto list = render_raw(Json::array({user_says(text_part(kNeedle))}), options);
  traits.reads_content_lists = prints(list, kNeedle) && !prints(list, "'type'") && !prints(list, "\"type\"");
  traits.needs_content_lists = traits.reads_content_lists && !reads_text;
  const Json content = traits.needs_content_lists ? text_part("hi") : Json("hi");
  const auto shows_arguments = [&](Json arguments) {
    const auto out = render_raw(Json::array({user_says(content), call_with(std::move(arguments))}), options);
    return prints(out, "\"nEEdle\":") || prints(out, "'nEEdle':");
  };
  const bool objects = shows_arguments({{kNeedle, "x"}});
  const bool texts = shows_arguments(R"({"nEEdle": "x"})");
  traits.wants_argument_objects = objects && !texts;
  traits.wants_argument_text = texts && !objects;
  traits.prints_tool_calls = objects || texts;
  options.tools = probe_tool();
  traits.prints_tools = shows(Json::array({user_says(content)}), "probe_function");
  return traits;
}

base::Result<std::string> ChatTemplate::render(const Json& messages, const ChatOptions& options) const {
  PLAIT_TRY_VOID(check_messages(messages));
  if (!options.tools.is_null() && !options.tools.is_array()) {
    return base::fail(ErrorCode::invalid_argument, "tools: must be an array");
  }
  if (!options.kwargs.is_object()) {
    return base::fail(ErrorCode::invalid_argument, "chat_template_kwargs: must be an object");
  }
  if (is_plain()) return plain_prompt(messages, options.add_generation_prompt);
  return render_raw(adapted(messages, traits_), options);
}

}  // namespace plait::models
