// SPDX-License-Identifier: Apache-2.0
#include "serving/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace plait::serving {
namespace {

using text::Json;

constexpr std::array<std::string_view, 6> kRoles{"system", "developer", "user", "assistant", "tool", "function"};

std::unexpected<Refusal> missing(std::string param) {
  std::string message = fmt::format("{} is missing", param);
  return std::unexpected(
      Refusal{.message = std::move(message), .param = std::move(param), .code = "missing_required_parameter"});
}

Accepted<Prompt> prompt_of_text(const Json& text, const Target& target, const std::string& param) {
  Prompt prompt{.tokens = {}, .text = text.get<std::string>()};
  prompt.tokens = target.tokenizer->encode(prompt.text);
  if (prompt.tokens.empty() && target.tokenizer->bos() != base::kNoToken) {
    prompt.tokens.push_back(target.tokenizer->bos());  // an empty prompt begins a text
  }
  if (prompt.tokens.empty()) return bad_value(param, "must not be empty");
  return prompt;
}

Accepted<Prompt> prompt_of_ids(const Json& ids, const Target& target, const std::string& param) {
  PLAIT_TRY(auto tokens, token_list(ids, target.vocabulary, param));
  if (tokens.empty()) return bad_value(param, "must not be empty");
  std::string text = target.tokenizer->decode(tokens, true);
  return Prompt{.tokens = std::move(tokens), .text = std::move(text)};
}

// A part that is no text names itself.
Accepted<void> check_parts(const Json& parts, const std::string& where) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Json& part = parts[i];
    const std::string param = fmt::format("{}[{}]", where, i);
    const Json type = part.is_object() ? part.value("type", Json()) : Json();
    if (!type.is_string()) return bad_value(param, "must be an object with a `type`");
    if (type != "text") return not_supported(param, "plait reads text parts only");
    if (!part.contains("text") || !part["text"].is_string()) return bad_value(param + ".text", "must be a string");
  }
  return {};
}

Accepted<void> check_calls(const Json& calls, const std::string& where) {
  if (calls.is_null()) return {};
  if (!calls.is_array()) return bad_value(where, "must be a list");
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::string param = fmt::format("{}[{}].function", where, i);
    const Json function = calls[i].is_object() ? calls[i].value("function", Json()) : Json();
    if (!function.is_object()) return bad_value(param, "must be an object");
    if (!function.value("name", Json()).is_string()) return bad_value(param + ".name", "must be a string");
    const Json arguments = function.value("arguments", Json("{}"));
    if (!arguments.is_string() && !arguments.is_object()) {
      return bad_value(param + ".arguments", "must be JSON as a string, or an object");
    }
  }
  return {};
}

Accepted<void> check_message(const Json& message, const std::string& where) {
  if (!message.is_object()) return bad_value(where, "must be an object");
  const Json role = message.value("role", Json());
  if (!role.is_string() || std::ranges::find(kRoles, role.get_ref<const std::string&>()) == kRoles.end()) {
    return bad_value(where + ".role", fmt::format("must be one of {}", fmt::join(kRoles, ", ")));
  }
  const Json calls = message.value("tool_calls", Json());
  PLAIT_TRY_VOID(check_calls(calls, where + ".tool_calls"));
  const Json content = message.value("content", Json());
  if (content.is_array()) return check_parts(content, where + ".content");
  if (content.is_string()) return {};
  const bool may_be_null = role == "assistant" && (!calls.is_null() || message.contains("function_call"));
  if (content.is_null() && may_be_null) return {};
  return bad_value(where + ".content", "must be a string or a list of parts");
}

// The field to blame is the one without which the template renders.
std::unexpected<Refusal> refused_chat(const models::ChatTemplate& chat, const Json& messages,
                                      models::ChatOptions options, bool only_effort, const base::Error& error) {
  const auto refusal = [&](std::string param) {
    std::string message = error.message.starts_with(param) ? error.message : param + ": " + error.message;
    return std::unexpected(Refusal{.message = std::move(message), .param = std::move(param), .code = "invalid_value"});
  };
  constexpr std::string_view kKwargs = "chat_template_kwargs";
  if (error.message.starts_with(kKwargs)) return refusal(error.message.substr(0, error.message.find(':')));
  if (options.kwargs.empty()) return refusal("messages");
  options.kwargs = Json::object();
  if (!chat.prompt(messages, options)) return refusal("messages");
  return refusal(only_effort ? "reasoning_effort" : std::string(kKwargs));
}

}  // namespace

Accepted<std::vector<Prompt>> completion_prompts(Fields& fields, const Target& target, bool replaced,
                                                 const char* field) {
  const Json* value = fields.find(field);
  std::vector<Prompt> prompts;
  if (replaced) return prompts;
  if (value == nullptr) return missing(field);
  if (value->is_string()) {
    PLAIT_TRY(auto prompt, prompt_of_text(*value, target, field));
    prompts.push_back(std::move(prompt));
    return prompts;
  }
  if (!value->is_array() || value->empty()) {
    return bad_value(field, "must be a string, a list of strings, or token ids");
  }
  if (value->front().is_number()) {
    PLAIT_TRY(auto prompt, prompt_of_ids(*value, target, field));
    prompts.push_back(std::move(prompt));
    return prompts;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    const Json& item = (*value)[i];
    const std::string param = fmt::format("{}[{}]", field, i);
    if (!item.is_string() && !item.is_array()) return bad_value(param, "must be a string or a list of token ids");
    PLAIT_TRY(auto prompt, item.is_string() ? prompt_of_text(item, target, param) : prompt_of_ids(item, target, param));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

Accepted<std::vector<Prompt>> chat_prompts(Fields& fields, const Target& target, bool replaced, const ToolSet& tools) {
  const Json* messages = fields.find("messages");
  PLAIT_TRY(const Json* kwargs, fields.object("chat_template_kwargs"));
  PLAIT_TRY(const auto effort, fields.text("reasoning_effort"));
  std::vector<Prompt> prompts;
  if (messages == nullptr && replaced) return prompts;
  if (messages == nullptr) return missing("messages");
  if (!messages->is_array() || (messages->empty() && !replaced)) {
    return bad_value("messages", "must be a list of messages");
  }
  Json adapted = Json::array();
  for (std::size_t i = 0; i < messages->size(); ++i) {
    PLAIT_TRY_VOID(check_message((*messages)[i], fmt::format("messages[{}]", i)));
    adapted.push_back((*messages)[i]);
    // The newer name of the same role, which templates do not know.
    if (adapted.back()["role"] == "developer") adapted.back()["role"] = "system";
  }
  if (replaced) return prompts;
  models::ChatOptions options;
  if (kwargs != nullptr) options.kwargs = *kwargs;
  if (effort) options.kwargs["reasoning_effort"] = *effort;
  if (effort == "none" && !options.kwargs.contains("enable_thinking")) options.kwargs["enable_thinking"] = false;
  put_tools(tools, target.chat->traits(), adapted, options);
  auto prompt = target.chat->prompt(adapted, options);
  if (!prompt) {
    const bool only_effort = effort && (kwargs == nullptr || kwargs->empty());
    return refused_chat(*target.chat, adapted, options, only_effort, prompt.error());
  }
  auto tokens = chat_tokens(*prompt, *target.tokenizer);
  if (tokens.empty()) return bad_value("messages", "must not render to an empty prompt");
  prompts.push_back({.tokens = std::move(tokens), .text = std::move(prompt->text)});
  return prompts;
}

}  // namespace plait::serving
