// SPDX-License-Identifier: Apache-2.0
//
// The tools of a request: what the model may call, and how its prompt says so.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/chat_template.h"
#include "models/tool_format.h"
#include "models/tool_grammar.h"
#include "serving/fields.h"
#include "text/json.h"

namespace plait::serving {

enum class ToolChoice : std::uint8_t {
  none,       ///< No calls, and the model is not told of tools.
  automatic,  ///< The model decides.
  required,   ///< Nothing but calls.
};

struct ToolSet {
  text::Json list = nullptr;                      ///< In OpenAI's shape, as templates print it; null: none.
  std::vector<models::ToolSchema> callable = {};  ///< Those that may be called.
  ToolChoice choice = ToolChoice::none;
  bool several = true;  ///< More calls than one in an answer.
};

/// The fields `tools`, `tool_choice` and `parallel_tool_calls`. At most 128 tools and 256 KiB of them. A schema that
/// cannot be enforced is refused by its name if the tool is `strict` or a call is required; else any object fits, and a
/// warning says so.
[[nodiscard]] Accepted<ToolSet> read_tools(Fields& fields, std::vector<std::string>& warnings);

/// Tools, earlier calls and their results as the template prints them; for a template that prints no tools, or calls in
/// a form that is not known here, as texts: instructions in the system message, calls as the model is to write them,
/// results as the user's words.
void put_tools(const ToolSet& tools, const models::ChatTemplate::Traits& traits, text::Json& messages,
               models::ChatOptions& options);

/// Puts the name of its call into each result of a call: some templates print that.
void name_results(text::Json& messages);

/// How this model writes calls.
[[nodiscard]] models::ToolFormat format_for(const models::ChatTemplate::Traits& traits);

}  // namespace plait::serving
