// SPDX-License-Identifier: Apache-2.0
//
// From a conversation in OpenAI's shape to the text that a model reads.
//
//   PLAIT_TRY(auto chat, ChatTemplate::make(file.get<std::string_view>("tokenizer.chat_template"), {.bos = "<s>", .eos
//   = "</s>"})); PLAIT_TRY(auto prompt, chat.render(messages, {}));     // encode with parse_special = true,
//   add_special = false if the text
//                                                          // already begins with the bos token
// Messages are objects with `role`, `content` (string, null, or a list of {"type": "text", "text"} parts), `tool_calls`
// (`function.arguments` as JSON text or object), `tool_call_id`, `name`, `reasoning_content`; unknown members reach the
// template too.
//
// What is adapted, found out by rendering a probe when the template is made:
//   - arguments as JSON text become objects for templates that only print objects well, and objects become text for
//   those that
//     only print text; a template that takes both gets what the caller gave;
//   - content lists become one text (parts joined by a line feed) for templates that do not read lists, and texts
//   become
//     lists for those that only read lists.
// A template that refuses the system role with an exception is not second-guessed: the exception is the error.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "models/tokenizer.h"
#include "text/json.h"
#include "text/template.h"

namespace plait::models {

/// Texts of the model's special tokens, as templates see them in `bos_token` and `eos_token`.
struct SpecialTexts {
  std::string bos = {};
  std::string eos = {};
};

struct ChatOptions {
  bool add_generation_prompt = true;  ///< End with the opening of the assistant's turn.
  text::Json tools = nullptr;         ///< Array of tools in OpenAI's shape, or null.
  text::Json kwargs =
      text::Json::object();  ///< More variables (`enable_thinking`, ...); win over bos_token and eos_token.
  text::RenderOptions render = {};
};

/// Tokens of a rendered text. Templates that write the begin token themselves do not get a second one. Any thread.
[[nodiscard]] std::vector<base::TokenId> encode_chat(const Tokenizer& tokenizer, std::string_view rendered);

class ChatTemplate {  // immutable, cheap to copy; every method may be called from any thread
 public:
  /// `source` none or empty: the plain prompt. Errors: as text::Template::parse.
  static base::Result<ChatTemplate> make(std::optional<std::string_view> source, SpecialTexts special);

  /// The model brought no template and gets a plain prompt ("User: ...\nAssistant:"): worth a note to the user.
  [[nodiscard]] bool is_plain() const { return !template_.has_value(); }

  /// Errors: invalid_argument if messages or tools are not of the shape above, naming the field;
  /// invalid_data if the template raises; out_of_resources.
  [[nodiscard]] base::Result<std::string> render(const text::Json& messages, const ChatOptions& options = {}) const;

  /// What the probe found.
  struct Traits {
    bool wants_argument_objects = false;
    bool wants_argument_text = false;
    bool reads_content_lists = false;
    bool needs_content_lists = false;
    bool prints_tools = false;       ///< Mentions the tools it is given.
    bool prints_tool_calls = false;  ///< Mentions the assistant's tool calls.
    friend bool operator==(const Traits&, const Traits&) = default;
  };
  [[nodiscard]] const Traits& traits() const { return traits_; }

 private:
  [[nodiscard]] base::Result<std::string> render_raw(const text::Json& messages, const ChatOptions& options) const;
  [[nodiscard]] Traits probe() const;

  std::optional<text::Template> template_;
  SpecialTexts special_;
  Traits traits_;
};

}  // namespace plait::models
