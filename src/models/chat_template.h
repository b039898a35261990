// SPDX-License-Identifier: Apache-2.0
//
// From a conversation in OpenAI's shape to the text that a model reads.
//
//   PLAIT_TRY(auto chat, ChatTemplate::make(file.get<std::string_view>("tokenizer.chat_template"),
//                                           special_texts(*tokenizer)));
//   PLAIT_TRY(auto prompt, chat.prompt(messages));
//   auto tokens = chat_tokens(prompt, *tokenizer);
//
// Control tokens of a prompt come from the template alone: "<|im_end|>" in a message, a name or an argument is text to
// the model as well. control_marks.h says how.
//
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
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "models/control_marks.h"
#include "models/tokenizer.h"
#include "models/tool_format.h"
#include "text/json.h"
#include "text/template.h"

namespace plait::models {

/// Texts of the model's special tokens, as templates see them in `bos_token` and `eos_token`.
struct SpecialTexts {
  std::string bos = {};
  std::string eos = {};
  std::vector<std::string> control = {};  ///< All that the tokenizer finds with parse_special only.
};
[[nodiscard]] SpecialTexts special_texts(const Tokenizer& tokenizer);

struct ChatOptions {
  bool add_generation_prompt = true;  ///< End with the opening of the assistant's turn.
  text::Json tools = nullptr;         ///< Array of tools in OpenAI's shape, or null.
  /// More variables (`enable_thinking`, …). Those that are not a client's to give are refused: messages, tools,
  /// add_generation_prompt, bos_token, eos_token.
  text::Json kwargs = text::Json::object();
  text::RenderOptions render = {};
};

/// The prompt as a model reads it, with a begin token where the tokenizer wants one and the template wrote none.
[[nodiscard]] std::vector<base::TokenId> chat_tokens(const ChatPrompt& prompt, const Tokenizer& tokenizer);

class ChatTemplate {  // immutable, cheap to copy; every method may be called from any thread
 public:
  /// `source` none or empty: the plain prompt. Errors: as text::Template::parse.
  static base::Result<ChatTemplate> make(std::optional<std::string_view> source, SpecialTexts special);

  /// The model brought no template and gets a plain prompt ("User: ...\nAssistant:"): worth a note to the user.
  [[nodiscard]] bool is_plain() const { return !template_.has_value(); }

  /// Errors: invalid_argument if messages, tools or kwargs are not as they should be, naming the field;
  /// invalid_data if the template raises; out_of_resources.
  [[nodiscard]] base::Result<ChatPrompt> prompt(const text::Json& messages, const ChatOptions& options = {}) const;
  /// The prompt's text.
  [[nodiscard]] base::Result<std::string> render(const text::Json& messages, const ChatOptions& options = {}) const;

  /// What the probe found.
  struct Traits {
    bool wants_argument_objects = false;
    bool wants_argument_text = false;
    bool reads_content_lists = false;
    bool needs_content_lists = false;
    bool prints_tools = false;                  ///< Mentions the tools it is given.
    bool prints_tool_calls = false;             ///< Mentions the assistant's tool calls.
    bool takes_system = true;                   ///< Does not refuse a system message.
    bool thinks = false;                        ///< Knows of thoughts in <think> and </think>.
    ToolFormat tool_format = ToolFormat::json;  ///< How it prints calls; json: in no way known here, or not at all.
    friend bool operator==(const Traits&, const Traits&) = default;
  };
  [[nodiscard]] const Traits& traits() const { return traits_; }

 private:
  [[nodiscard]] base::Result<std::string> render_raw(const text::Json& messages, const ChatOptions& options) const;
  [[nodiscard]] Traits probe() const;
  void take_marks(std::string_view source, ControlMarks& marks);

  std::optional<text::Template> template_;
  SpecialTexts special_;  // with marks; `control` is empty
  std::shared_ptr<const ControlMarks> marks_;
  Traits traits_;
};

}  // namespace plait::models
