// SPDX-License-Identifier: Apache-2.0
//
// How models write calls of tools in their text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "models/tokenizer.h"

namespace plait::models {

enum class ToolFormat : std::uint8_t {
  hermes,         ///< <tool_call>\n{"name": "f", "arguments": {…}}\n</tool_call>, one after the other: Hermes, Qwen.
  llama,          ///< {"name": "f", "parameters": {…}} as the whole answer: Llama 3.
  mistral,        ///< [TOOL_CALLS] [{"name": "f", "arguments": {…}}, …]
  mistral_named,  ///< [TOOL_CALLS]f[ARGS]{…}, one after the other: Mistral since 2025.
  json,           ///< {"tool_calls": [{"name": "f", "arguments": {…}}, …]} as the whole answer: told by instructions.
};
[[nodiscard]] std::string_view name(ToolFormat format);

/// The text that a call cannot do without and that no usual answer has.
struct ToolOpening {
  std::string_view text = {};  ///< As the model writes it. It has its first character only once.
  bool at_start = false;       ///< Only at the beginning of an answer, and with other space between its marks too.
};
[[nodiscard]] ToolOpening opening_of(ToolFormat format);

/// Of what a template printed for a call of `function` with arguments that have a member; json if that is no form known
/// here.
[[nodiscard]] ToolFormat tool_format_of(std::string_view printed, std::string_view function);

/// The id of call `index` of an answer: "call_" and 24 characters, of Mistral's formats nine characters. A pure
/// function of its arguments.
[[nodiscard]] std::string call_id(ToolFormat format, std::uint64_t seed, std::size_t index);

/// Control tokens that are part of how calls and thoughts are written: text to whoever reads them.
[[nodiscard]] std::vector<base::TokenId> answer_marks(const Tokenizer& tokenizer);

inline constexpr std::string_view kThoughtOpening = "<think>", kThoughtClosing = "</think>";

}  // namespace plait::models
