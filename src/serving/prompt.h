// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/id.h"
#include "serving/fields.h"
#include "serving/request.h"
#include "serving/tools.h"

namespace plait::serving {

/// What a model is to go on from: at least one token.
struct Prompt {
  std::vector<base::TokenId> tokens = {};
  std::string text = {};  ///< As the client wrote it, or what the tokens say.
};

/// The field `prompt`, or one of another name that is like it: a string, a list of strings, a list of token ids, or a
/// list of such lists. `replaced`: something else is the prompt; then it may be missing and nothing is returned.
/// The name must outlive the reader of the fields.
[[nodiscard]] Accepted<std::vector<Prompt>> completion_prompts(Fields& fields, const Target& target, bool replaced,
                                                               const char* field = "prompt");

/// The fields `messages`, `chat_template_kwargs` and `reasoning_effort`, and the tools, as the model's template renders
/// them: one prompt. An effort of "none" is `enable_thinking: false` where nothing else is said about that.
[[nodiscard]] Accepted<std::vector<Prompt>> chat_prompts(Fields& fields, const Target& target, bool replaced,
                                                         const ToolSet& tools);

}  // namespace plait::serving
