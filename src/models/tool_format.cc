// SPDX-License-Identifier: Apache-2.0
#include "models/tool_format.h"

#include <fmt/format.h>

#include "base/random.h"

namespace plait::models {

std::string_view name(ToolFormat format) {
  switch (format) {
    case ToolFormat::hermes:
      return "hermes";
    case ToolFormat::llama:
      return "llama";
    case ToolFormat::mistral:
      return "mistral";
    case ToolFormat::mistral_named:
      return "mistral_named";
    case ToolFormat::json:
      break;
  }
  return "json";
}

ToolOpening opening_of(ToolFormat format) {
  switch (format) {
    case ToolFormat::hermes:
      return {.text = "<tool_call>"};
    case ToolFormat::llama:
      return {.text = R"({"name": ")", .at_start = true};
    case ToolFormat::mistral:
    case ToolFormat::mistral_named:
      return {.text = "[TOOL_CALLS]"};
    case ToolFormat::json:
      break;
  }
  return {.text = R"({"tool_calls": [)", .at_start = true};
}

ToolFormat tool_format_of(std::string_view printed, std::string_view function) {
  const auto has = [&](std::string_view text) { return printed.contains(text); };
  if (has(fmt::format("[TOOL_CALLS]{}[", function))) return ToolFormat::mistral_named;
  const std::size_t name = printed.find(fmt::format(R"("name": "{}")", function));
  if (name == std::string_view::npos) return ToolFormat::json;
  const std::string_view before = printed.substr(0, name), behind = printed.substr(name);
  if (before.contains("[TOOL_CALLS]") && behind.contains(R"("arguments")")) return ToolFormat::mistral;
  if (before.contains("<tool_call>") && behind.contains("</tool_call>")) return ToolFormat::hermes;
  return before.ends_with('{') && behind.contains(R"("parameters": )") ? ToolFormat::llama : ToolFormat::json;
}

std::string call_id(ToolFormat format, std::uint64_t seed, std::size_t index) {
  constexpr std::string_view kCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  const bool mistral = format == ToolFormat::mistral || format == ToolFormat::mistral_named;
  std::string id = mistral ? "" : "call_";
  const std::uint64_t stream = base::child_seed(seed, index);
  for (std::size_t i = mistral ? 9 : 24; i > 0; --i)
    id += kCharacters[base::random_u64(stream, i) % kCharacters.size()];
  return id;
}

std::vector<base::TokenId> answer_marks(const Tokenizer& tokenizer) {
  std::vector<base::TokenId> marks;
  for (const std::string_view text :
       {kThoughtOpening, kThoughtClosing, std::string_view("<tool_call>"), std::string_view("</tool_call>"),
        std::string_view("[TOOL_CALLS]"), std::string_view("[ARGS]"), std::string_view("[CALL_ID]"),
        std::string_view("<|python_tag|>")}) {
    const base::TokenId id = tokenizer.find(text);
    if (id != base::kNoToken && tokenizer.kind(id) == TokenKind::control && !tokenizer.is_end_of_generation(id)) {
      marks.push_back(id);
    }
  }
  return marks;
}

}  // namespace plait::models
