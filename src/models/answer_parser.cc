// SPDX-License-Identifier: Apache-2.0
//
// What is not told yet stands in held_. A step looks at it, tells or drops some of it and says whether to look again.
// It waits only where more text could decide otherwise. So what comes out does not depend on the pieces.
#include "models/answer_parser.h"

#include <algorithm>

namespace plait::models {
namespace {

// The most that is held back or looked at: of space, and of what may become a call.
constexpr std::size_t kLookMax = 1024;

bool is_space(char byte) { return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r'; }

std::size_t leading_space(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::find_if_not(text, is_space) - text.begin());
}

/// Bytes of the text before the space at its end, of which only so much is held back.
std::size_t without_space(std::string_view text) {
  std::size_t size = text.size();
  while (size > 0 && text.size() - size < kLookMax && is_space(text[size - 1])) --size;
  return size;
}

/// Bytes at the end of `text` that `wanted` may begin with.
std::size_t begun(std::string_view text, std::string_view wanted) {
  for (std::size_t size = std::min(text.size(), wanted.size() - 1); size > 0; --size) {
    if (text.ends_with(wanted.substr(0, size))) return size;
  }
  return 0;
}

enum class Seen : std::uint8_t { yes, no, more };

/// Reads a text that may go on. Once something was not there, nothing is read any more.
class Look {
 public:
  Look(std::string_view text, bool over) : text_(text.substr(0, kLookMax)), whole_(over || text.size() >= kLookMax) {}

  [[nodiscard]] Seen seen() const { return seen_; }
  [[nodiscard]] std::size_t at() const { return at_; }

  bool literal(std::string_view wanted) {
    if (seen_ != Seen::yes) return false;
    const std::string_view there = text_.substr(at_, wanted.size());
    if (there != wanted) return fail(wanted.starts_with(there));
    at_ += wanted.size();
    return true;
  }
  /// As literal(), behind any space.
  bool mark(std::string_view wanted) {
    space();
    return literal(wanted);
  }
  void space() { at_ += leading_space(text_.substr(at_)); }
  /// The next character, 0 if there is none.
  char peek() {
    if (seen_ != Seen::yes) return 0;
    if (at_ < text_.size()) return text_[at_];
    fail(true);
    return 0;
  }
  /// What stands before `end`, which is a character that must follow.
  bool until(char end, std::string_view& out) {
    if (seen_ != Seen::yes) return false;
    const std::size_t found = text_.find(end, at_);
    if (found == std::string_view::npos) return fail(true);
    out = text_.substr(at_, found - at_);
    at_ = found;
    return true;
  }
  bool string(std::string_view& out) { return mark("\"") && until('"', out) && literal("\""); }

 private:
  bool fail(bool may_come) {
    seen_ = may_come && !whole_ ? Seen::more : Seen::no;
    return false;
  }

  std::string_view text_;
  bool whole_;
  std::size_t at_ = 0;
  Seen seen_ = Seen::yes;
};

/// A call up to its arguments: {"name": "f", "arguments": and the { that follows is left.
bool object_head(Look& look, std::string_view& name) {
  std::string_view key, value;
  if (!look.mark("{")) return false;
  while (look.string(key) && look.mark(":")) {
    if (key == "arguments" || key == "parameters") {
      look.space();
      return look.peek() == '{' || look.literal("{");
    }
    if (!look.string(value) || !look.mark(",")) return false;
    if (key == "name") name = value;
  }
  return false;
}

/// f[ARGS] or f[CALL_ID]x[ARGS]; the { that follows is left.
bool named_head(Look& look, std::string_view& name) {
  std::string_view id;
  if (!look.until('[', name)) return false;
  name = name.substr(leading_space(name));
  name = name.substr(0, without_space(name));
  Look with_id = look;
  if (with_id.literal("[CALL_ID]") && with_id.until('[', id)) look = with_id;
  if (with_id.seen() == Seen::more) return look = with_id, false;
  if (!look.literal("[ARGS]")) return false;
  look.space();
  return look.peek() == '{' || look.literal("{");
}

}  // namespace

void Answer::add(const AnswerEvent& event) {
  switch (event.kind) {
    case AnswerEvent::Kind::text:
      text += event.text;
      break;
    case AnswerEvent::Kind::thought:
      thought += event.text;
      break;
    case AnswerEvent::Kind::call:
      calls.push_back({.id = event.id, .name = event.text});
      break;
    case AnswerEvent::Kind::arguments:
      calls[event.call].arguments += event.text;
      break;
    case AnswerEvent::Kind::call_end:
      calls[event.call].complete = true;
      break;
  }
}

AnswerParser::AnswerParser(AnswerSyntax syntax) : syntax_(std::move(syntax)) {
  std::ranges::sort(syntax_.names);
  if (syntax_.thought_open) {
    state_ = State::thought;
    fresh_ = true;
  } else if (!syntax_.thinks) {
    state_ = State::text;
  }
}

void AnswerParser::tell(Events& events, AnswerEvent::Kind kind, std::string_view more) {
  if (more.empty()) return;
  const std::size_t call = kind == AnswerEvent::Kind::arguments ? calls_ - 1 : 0;
  if (!events.empty() && events.back().kind == kind && events.back().call == call) {
    events.back().text += more;
  } else {
    events.push_back({.kind = kind, .call = call, .text = std::string(more)});
  }
}

void AnswerParser::tell_text(Events& events, std::size_t bytes) {
  if (bytes == 0) return;
  tell(events, AnswerEvent::Kind::text, rest().substr(0, bytes));
  fresh_ = false;
  told_text_ = told_text_ || leading_space(rest().substr(0, bytes)) < bytes;
  drop(bytes);
}

void AnswerParser::begin_call(Events& events, std::string_view name) {
  events.push_back({.kind = AnswerEvent::Kind::call,
                    .call = calls_,
                    .text = std::string(name),
                    .id = call_id(*syntax_.tools, syntax_.id_seed, calls_)});
  ++calls_;
  json_ = {};
  state_ = State::arguments;
}

bool AnswerParser::begin(Events& /*events*/) {
  Look look(rest(), over_);
  if (look.mark(kThoughtOpening)) {
    drop(look.at());
    state_ = State::thought;
    fresh_ = true;
    return true;
  }
  if (look.seen() == Seen::more) return false;
  state_ = State::text;
  return true;
}

bool AnswerParser::thought(Events& events) {
  if (fresh_) drop(leading_space(rest()));
  const std::string_view text = rest();
  fresh_ = fresh_ && text.empty();
  const std::size_t close = text.find(kThoughtClosing);
  const bool closed = close != std::string_view::npos;
  const std::size_t end = closed ? close : text.size() - (over_ ? 0 : begun(text, kThoughtClosing));
  const std::size_t told = without_space(text.substr(0, end));
  tell(events, AnswerEvent::Kind::thought, text.substr(0, told));
  drop(closed ? close + kThoughtClosing.size() : told);
  if (!closed) return false;
  state_ = State::text;
  fresh_ = true;
  return true;
}

bool AnswerParser::text(Events& events) {
  if (fresh_) drop(leading_space(rest()));
  const std::string_view text = rest();
  std::size_t candidate = std::string_view::npos;
  if (syntax_.tools) {
    const ToolOpening opening = opening_of(*syntax_.tools);
    if (!opening.at_start) candidate = text.find(opening.text.front());
    if (opening.at_start && !told_text_) candidate = leading_space(text);
  }
  if (candidate >= text.size()) {
    const bool may_call = syntax_.tools && !(opening_of(*syntax_.tools).at_start && told_text_);
    tell_text(events, over_ || !may_call ? text.size() : without_space(text));
    return false;
  }
  Look look(text.substr(candidate), over_);
  std::string_view name;
  bool found = false;
  bool list = false;
  switch (*syntax_.tools) {
    case ToolFormat::hermes:
      found = look.literal("<tool_call>") && object_head(look, name);
      break;
    case ToolFormat::llama:
      if (look.peek() == '<' && look.literal("<|python_tag|>")) look.space();
      found = object_head(look, name);
      break;
    case ToolFormat::mistral:
    case ToolFormat::mistral_named:
      if (!look.literal("[TOOL_CALLS]")) break;
      look.space();
      list = look.peek() == '[';
      found = list ? look.literal("[") && object_head(look, name) : named_head(look, name);
      break;
    case ToolFormat::json:
      list = true;
      found = look.literal("{") && look.mark("\"tool_calls\"") && look.mark(":") && look.mark("[") &&
              object_head(look, name);
      break;
  }
  if (found && std::ranges::binary_search(syntax_.names, name)) {
    const std::string called(name);
    const std::size_t before = without_space(text.substr(0, candidate));
    tell_text(events, before);
    drop(candidate - before + look.at());
    in_list_ = list;
    begin_call(events, called);
    return true;
  }
  if (!found && look.seen() == Seen::more) {
    tell_text(events, without_space(text.substr(0, candidate)));
    return false;
  }
  tell_text(events, candidate + 1);
  return true;
}

bool AnswerParser::arguments(Events& events) {
  const std::string_view text = rest();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const text::JsonPrefix::Step step = json_.push(text[i]);
    if (step == text::JsonPrefix::Step::taken) continue;
    const bool complete = step == text::JsonPrefix::Step::complete;
    tell(events, AnswerEvent::Kind::arguments, text.substr(0, i + (complete ? 1 : 0)));
    drop(i + (complete ? 1 : 0));
    if (complete) events.push_back({.kind = AnswerEvent::Kind::call_end, .call = calls_ - 1});
    told_text_ = told_text_ || !complete;
    state_ = complete ? State::tail : State::text;
    fresh_ = true;
    return true;
  }
  tell(events, AnswerEvent::Kind::arguments, text);
  drop(text.size());
  return false;
}

/// What belongs to a call behind its arguments. What is not there is not missed.
bool AnswerParser::tail(Events& events) {
  Look look(rest(), over_);
  std::size_t end = 0;
  std::string_view name, key, value;
  bool next = false;
  if (in_list_ || *syntax_.tools == ToolFormat::hermes || *syntax_.tools == ToolFormat::llama) {
    look.space();
    while (look.peek() == ',' && look.mark(",") && look.string(key) && look.mark(":") && look.string(value)) {
      look.space();
    }
    if (look.mark("}")) {
      end = look.at();
      if (*syntax_.tools == ToolFormat::hermes && look.mark("</tool_call>")) end = look.at();
      look.space();
      if (*syntax_.tools == ToolFormat::llama && look.peek() == ';' && look.literal(";")) end = look.at();
      if (in_list_ && look.peek() == ',') {
        next = look.literal(",") && object_head(look, name) && std::ranges::binary_search(syntax_.names, name);
      } else if (in_list_ && look.literal("]")) {
        end = look.at();
        if (*syntax_.tools == ToolFormat::json && look.mark("}")) end = look.at();
      }
    }
  }
  if (look.seen() == Seen::more) return false;
  if (next) {
    const std::string called(name);
    drop(look.at());
    begin_call(events, called);
    return true;
  }
  drop(end);
  state_ = State::text;
  return true;
}

bool AnswerParser::step(Events& events) {
  switch (state_) {
    case State::begin:
      return begin(events);
    case State::thought:
      return thought(events);
    case State::text:
      return text(events);
    case State::arguments:
      return arguments(events);
    case State::tail:
      break;
  }
  return tail(events);
}

void AnswerParser::run(Events& events) {
  while (step(events)) {
  }
  held_.erase(0, at_);
  at_ = 0;
}

AnswerParser::Events AnswerParser::push(std::string_view piece) {
  Events events;
  held_ += piece;
  run(events);
  return events;
}

AnswerParser::Events AnswerParser::finish() {
  Events events;
  over_ = true;
  run(events);
  return events;
}

Answer read_answer(std::string_view text, const AnswerSyntax& syntax) {
  Answer answer;
  if (syntax.is_plain()) {
    answer.text = text;
    return answer;
  }
  AnswerParser parser(syntax);
  for (const AnswerEvent& event : parser.push(text)) answer.add(event);
  for (const AnswerEvent& event : parser.finish()) answer.add(event);
  return answer;
}

}  // namespace plait::models
