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

Accepted<void> check_message(const Json& message, const std::string& where) {
  if (!message.is_object()) return bad_value(where, "must be an object");
  const Json role = message.value("role", Json());
  if (!role.is_string() || std::ranges::find(kRoles, role.get_ref<const std::string&>()) == kRoles.end()) {
    return bad_value(where + ".role", fmt::format("must be one of {}", fmt::join(kRoles, ", ")));
  }
  const Json calls = message.value("tool_calls", Json());
  if (!calls.is_null() && !calls.is_array()) return bad_value(where + ".tool_calls", "must be a list");
  const Json content = message.value("content", Json());
  if (content.is_array()) return check_parts(content, where + ".content");
  if (content.is_string()) return {};
  const bool may_be_null = role == "assistant" && (!calls.is_null() || message.contains("function_call"));
  if (content.is_null() && may_be_null) return {};
  return bad_value(where + ".content", "must be a string or a list of parts");
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

Accepted<std::vector<Prompt>> chat_prompts(Fields& fields, const Target& target, bool replaced) {
  const Json* messages = fields.find("messages");
  PLAIT_TRY(const Json* kwargs, fields.object("chat_template_kwargs"));
  PLAIT_TRY(const auto effort, fields.text("reasoning_effort"));
  std::vector<Prompt> prompts;
  if (replaced) return prompts;
  if (messages == nullptr) return missing("messages");
  if (!messages->is_array() || messages->empty()) return bad_value("messages", "must be a list of messages");
  Json adapted = Json::array();
  for (std::size_t i = 0; i < messages->size(); ++i) {
    PLAIT_TRY_VOID(check_message((*messages)[i], fmt::format("messages[{}]", i)));
    adapted.push_back((*messages)[i]);
    // The newer name of the same role, which templates do not know.
    if (adapted.back()["role"] == "developer") adapted.back()["role"] = "system";
  }
  models::ChatOptions options;
  if (kwargs != nullptr) options.kwargs = *kwargs;
  if (effort) options.kwargs["reasoning_effort"] = *effort;
  auto text = target.chat->render(adapted, options);
  if (!text) {
    return std::unexpected(
        Refusal{.message = "messages: " + text.error().message, .param = "messages", .code = "invalid_value"});
  }
  // Templates that write the begin token themselves must not get a second one.
  const std::string_view bos = target.tokenizer->piece(target.tokenizer->bos());
  const bool begins = !bos.empty() && text->starts_with(bos);
  auto tokens = target.tokenizer->encode(*text, {.add_special = !begins});
  if (tokens.empty()) return bad_value("messages", "must not render to an empty prompt");
  prompts.push_back({.tokens = std::move(tokens), .text = *std::move(text)});
  return prompts;
}

}  // namespace plait::serving
