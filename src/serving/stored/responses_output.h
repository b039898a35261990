// SPDX-License-Identifier: Apache-2.0
//
// The output items of /v1/responses, and the events that tell of them while they come.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "models/answer_parser.h"
#include "text/json.h"

namespace plait::serving {

/// Makes items of an answer: thoughts are `reasoning`, text is a `message`, each call is a `function_call`. An item
/// ends where the next one begins. A value as long as `send` allows it; one thread.
class ResponseOutput {
 public:
  /// Is told of each event: its type, and its members but for type and number.
  using Send = std::function<void(const char* type, text::Json more)>;

  explicit ResponseOutput(Send send = {}) : send_(std::move(send)) {}

  void add(const models::AnswerEvent& event);
  /// The answer is over: `full` if for want of tokens, so that its last item may be cut off. An answer without items
  /// gets an empty message.
  void finish(bool full);
  /// The items so far.
  [[nodiscard]] const text::Json& items() const { return items_; }

 private:
  using Kind = models::AnswerEvent::Kind;

  void begin(Kind kind, text::Json item);
  void begin_text(Kind kind);
  void add_text(Kind kind, const std::string& text);
  void add_arguments(const std::string& text);
  void end(const char* status);
  void end_text();
  void send(const char* type, text::Json more) const;
  [[nodiscard]] text::Json in_item(text::Json more) const;
  [[nodiscard]] text::Json in_content(text::Json more) const;

  Send send_;
  text::Json items_ = text::Json::array();
  std::optional<Kind> open_ = {};  // what the last item is, while it is not over: text, thought or call
};

}  // namespace plait::serving
