// SPDX-License-Identifier: Apache-2.0
//
// What a model's text says: its thoughts, its answer, and its calls of tools, as they come.
//
//   AnswerParser parser({.tools = ToolFormat::hermes, .names = {"weather"}});
//   for (std::string_view piece : text) show(parser.push(piece));
//   show(parser.finish());
//
// Nothing fails: what is no call is text. The events are the same however the text was cut into pieces, but for where
// texts and arguments are cut. A call is told when its name is known and its arguments have begun; all of these that
// were told are the beginning of a JSON object. A call whose arguments break off in the middle ends there, without
// `call_end`, and what follows is text.
//
// Between parts space is not text: before a call, behind a call and behind a thought.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/tool_format.h"
#include "text/json_prefix.h"

namespace plait::models {

/// What an answer may be made of. By default of text alone.
struct AnswerSyntax {
  std::optional<ToolFormat> tools = {};
  std::vector<std::string> names = {};  ///< Of the tools that may be called.
  bool thinks = false;                  ///< It may begin with a thought in <think> and </think>.
  bool thought_open = false;            ///< It begins within a thought: the prompt opened it.
  std::uint64_t id_seed = 0;            ///< Of the calls' ids, see call_id().

  [[nodiscard]] bool is_plain() const { return !tools && !thinks && !thought_open; }
};

struct AnswerEvent {
  enum class Kind : std::uint8_t {
    text,
    thought,
    call,       ///< A call begins: `text` is the tool's name, `id` the call's.
    arguments,  ///< More of its arguments.
    call_end,   ///< They are a whole JSON object.
  };
  Kind kind = Kind::text;
  std::size_t call = 0;  ///< Which one of the answer.
  std::string text = {};
  std::string id = {};
  friend bool operator==(const AnswerEvent&, const AnswerEvent&) = default;
};

/// All events of an answer together.
struct Answer {
  struct Call {
    std::string id = {};
    std::string name = {};
    std::string arguments = {};  ///< JSON as the model wrote it.
    bool complete = false;
    friend bool operator==(const Call&, const Call&) = default;
  };
  std::string text = {};
  std::string thought = {};
  std::vector<Call> calls = {};

  void add(const AnswerEvent& event);
  friend bool operator==(const Answer&, const Answer&) = default;
};

class AnswerParser {  // a value; for one answer
 public:
  explicit AnswerParser(AnswerSyntax syntax);

  /// What is certain now. O(bytes) but for calls that do not come about, which cost up to 1 KiB each.
  [[nodiscard]] std::vector<AnswerEvent> push(std::string_view piece);
  /// The text is over: what was held back. The last call.
  [[nodiscard]] std::vector<AnswerEvent> finish();

 private:
  enum class State : std::uint8_t { begin, thought, text, arguments, tail };
  using Events = std::vector<AnswerEvent>;

  void run(Events& events);
  bool step(Events& events);
  bool begin(Events& events);
  bool thought(Events& events);
  bool text(Events& events);
  bool arguments(Events& events);
  bool tail(Events& events);
  void tell(Events& events, AnswerEvent::Kind kind, std::string_view more);
  void tell_text(Events& events, std::size_t bytes);
  void begin_call(Events& events, std::string_view name);
  void drop(std::size_t bytes) { at_ += bytes; }
  [[nodiscard]] std::string_view rest() const { return std::string_view(held_).substr(at_); }

  AnswerSyntax syntax_;
  State state_ = State::begin;
  std::string held_;  // what is not told yet begins at at_
  std::size_t at_ = 0;
  bool over_ = false;       // finish() was called
  bool fresh_ = false;      // behind a thought or a call: leading space is no text
  bool told_text_ = false;  // something but space: an answer that is a call as a whole cannot come any more
  bool in_list_ = false;    // of calls, in formats that have one
  std::size_t calls_ = 0;
  text::JsonPrefix json_;
};

/// Of a text that is complete.
[[nodiscard]] Answer read_answer(std::string_view text, const AnswerSyntax& syntax);

}  // namespace plait::models
