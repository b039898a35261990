// SPDX-License-Identifier: Apache-2.0
#include "models/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace plait::models {
namespace {

using base::ErrorCode;
using text::Json;

constexpr std::string_view kNeedle = "nEEdle";
// Variables that say what the template and the server say, not the client.
constexpr std::array<std::string_view, 5> kProtected{"messages", "tools", "add_generation_prompt", "bos_token",
                                                     "eos_token"};

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

// Conversations of all the kinds that templates tell apart.
std::vector<Json> probe_conversations() {
  const Json system = {{"role", "system"}, {"content", "Be brief."}};
  const Json answer = {{"role", "assistant"}, {"content", "hello"}};
  const Json call = call_with({{kNeedle, "x"}});
  const Json result = {
      {"role", "tool"}, {"tool_call_id", "call00001"}, {"name", "probe_function"}, {"content", "{\"found\": 1}"}};
  const Json user = user_says("hi");
  return {Json::array({user}),
          Json::array({system, user}),
          Json::array({user, answer, user}),
          Json::array({system, user, answer, user, answer}),
          Json::array({user, call}),
          Json::array({user, call, result}),
          Json::array({user, call, result, answer, user})};
}

text::TemplateLimits probe_limits() {
  text::TemplateLimits limits;
  limits.steps_max = 200'000;
  limits.work_bytes_max = std::uint64_t{16} << 20U;
  return limits;
}

base::Result<void> check_kwargs(const Json& kwargs) {
  constexpr std::size_t kVariablesMax = 256;  // each is looked for among all others
  if (!kwargs.is_object()) return base::fail(ErrorCode::invalid_argument, "chat_template_kwargs: must be an object");
  if (kwargs.size() > kVariablesMax) {
    return base::fail(ErrorCode::invalid_argument,
                      fmt::format("chat_template_kwargs: at most {} variables are allowed", kVariablesMax));
  }
  for (const std::string_view name : kProtected) {
    if (!kwargs.contains(name)) continue;
    return base::fail(ErrorCode::invalid_argument,
                      fmt::format("chat_template_kwargs.{}: is not a variable that a request may set", name));
  }
  return {};
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

base::Result<ChatTemplate> ChatTemplate::make(std::optional<std::string_view> source, SpecialTexts special) {
  ChatTemplate chat;
  auto marks = std::make_shared<ControlMarks>(special.control);
  if (source.has_value() && !source->empty()) {
    PLAIT_TRY(chat.template_, text::Template::parse(*source));
    chat.special_ = {.bos = special.bos, .eos = special.eos};
    chat.traits_ = chat.probe();
    chat.take_marks(*source, *marks);
    chat.traits_.thinks = source->contains(kThoughtClosing);
  }
  chat.marks_ = std::move(marks);
  return chat;
}

// A source in which marks would change anything, such as a comparison with a token's text, is used without them. Then
// all that it writes counts as put together.
void ChatTemplate::take_marks(std::string_view source, ControlMarks& marks) {
  ChatTemplate marked = *this;
  if (auto parsed = text::Template::parse(marks.mark(source))) marked.template_ = *std::move(parsed);
  marked.special_ = {.bos = marks.mark(special_.bos), .eos = marks.mark(special_.eos)};
  bool same = true;
  std::vector<ChatPrompt> plain_prompts;
  std::vector<ChatPrompt> marked_prompts;
  for (const Json& conversation : probe_conversations()) {
    for (const bool open : {true, false}) {
      for (const bool with_tools : {true, false}) {
        ChatOptions options{.add_generation_prompt = open};
        if (with_tools) options.tools = probe_tool();
        options.render.limits = probe_limits();
        options.render.now.emplace();  // the same for both
        const Json messages = adapted(conversation, traits_);
        const auto a = render_raw(messages, options);
        const auto b = marked.render_raw(messages, options);
        if (a) plain_prompts.push_back({.text = *a});
        if (b) marked_prompts.push_back(marks.unmark(*b));
        same = same && a.has_value() == b.has_value() && (!a || *a == marked_prompts.back().text);
      }
    }
  }
  for (const ChatPrompt& prompt : same ? marked_prompts : plain_prompts) marks.learn(prompt);
  if (same) *this = std::move(marked);
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
  options.render.limits = probe_limits();
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
  const auto call = render_raw(
      Json::array({user_says(content), call_with(objects ? Json{{kNeedle, "x"}} : Json(R"({"nEEdle": "x"})"))}),
      options);
  if (call && traits.prints_tool_calls) traits.tool_format = tool_format_of(*call, "probe_function");
  traits.takes_system =
      !reads_text || shows(Json::array({{{"role", "system"}, {"content", kNeedle}}, user_says(content)}), kNeedle);
  options.tools = probe_tool();
  traits.prints_tools = shows(Json::array({user_says(content)}), "probe_function");
  return traits;
}

base::Result<ChatPrompt> ChatTemplate::prompt(const Json& messages, const ChatOptions& options) const {
  PLAIT_TRY_VOID(check_messages(messages));
  if (!options.tools.is_null() && !options.tools.is_array()) {
    return base::fail(ErrorCode::invalid_argument, "tools: must be an array");
  }
  PLAIT_TRY_VOID(check_kwargs(options.kwargs));
  if (is_plain()) return ChatPrompt{.text = plain_prompt(messages, options.add_generation_prompt)};
  const ChatOptions guarded{.add_generation_prompt = options.add_generation_prompt,
                            .tools = marks_->guard(options.tools),
                            .kwargs = marks_->guard(options.kwargs),
                            .render = options.render};
  PLAIT_TRY(const std::string text, render_raw(marks_->guard(adapted(messages, traits_)), guarded));
  return marks_->unmark(text);
}

base::Result<std::string> ChatTemplate::render(const Json& messages, const ChatOptions& options) const {
  PLAIT_TRY(ChatPrompt made, prompt(messages, options));
  return std::move(made.text);
}

SpecialTexts special_texts(const Tokenizer& tokenizer) {
  SpecialTexts special{.bos = std::string(tokenizer.piece(tokenizer.bos())),
                       .eos = std::string(tokenizer.piece(tokenizer.eos()))};
  for (const std::string_view text : tokenizer.control_texts()) special.control.emplace_back(text);
  return special;
}

std::vector<base::TokenId> chat_tokens(const ChatPrompt& prompt, const Tokenizer& tokenizer) {
  // Templates that write the begin token themselves must not get a second one.
  const base::TokenId bos = tokenizer.bos();
  const std::string_view text = tokenizer.piece(bos);
  const bool marked = !prompt.control_at.empty() && prompt.control_at.front() == ByteRange{0, text.size()};
  const bool begins = !text.empty() && prompt.text.starts_with(text) && (marked || !is_special(tokenizer.kind(bos)));
  return tokenizer.encode(prompt.text, {.add_special = !begins, .control_at = prompt.control_at});
}

}  // namespace plait::models
