// SPDX-License-Identifier: Apache-2.0
//
// The grammar of calls in a format: names of tools that there are, arguments that fit their schemas.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "models/tool_format.h"
#include "text/grammar/grammar.h"
#include "text/json.h"

namespace plait::models {

struct ToolSchema {
  std::string name = {};            ///< Letters, digits, `_`, `.` and `-`.
  text::Json parameters = nullptr;  ///< JSON Schema of an object; null: any object.
};

struct ToolGrammarOptions {
  bool several = true;          ///< One call or more; else exactly one. In the format `llama` there is always one.
  bool behind_thought = false;  ///< Up to two line ends may come first.
};

/// Calls as the format writes them, from its opening to the end of the answer: nothing may follow them. Errors: those
/// of json_schema_grammar(); invalid_argument (no tools).
[[nodiscard]] base::Result<text::Grammar> tool_grammar(ToolFormat format, std::span<const ToolSchema> tools,
                                                       const ToolGrammarOptions& options = {});

}  // namespace plait::models
