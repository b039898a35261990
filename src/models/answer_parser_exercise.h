// SPDX-License-Identifier: Apache-2.0
//
// What must hold of an answer's events, whatever the text: for the test and the fuzz target.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "models/answer_parser.h"
#include "text/json.h"
#include "text/utf8.h"

namespace plait::models {

/// Adds events; texts and arguments that go on become one.
inline void append_events(std::vector<AnswerEvent>& events, std::vector<AnswerEvent> more) {
  for (AnswerEvent& event : more) {
    const bool goes_on = !events.empty() && events.back().kind == event.kind && events.back().call == event.call &&
                         event.kind != AnswerEvent::Kind::call && event.kind != AnswerEvent::Kind::call_end;
    if (goes_on) {
      events.back().text += event.text;
    } else {
      events.push_back(std::move(event));
    }
  }
}

/// `next` says how long the next piece is.
template <class Next>
std::vector<AnswerEvent> in_pieces(std::string_view text, const AnswerSyntax& syntax, Next next) {
  AnswerParser parser(syntax);
  std::vector<AnswerEvent> events;
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, next());
    append_events(events, parser.push(piece));
    text.remove_prefix(piece.size());
  }
  append_events(events, parser.finish());
  return events;
}

inline std::vector<AnswerEvent> whole(std::string_view text, const AnswerSyntax& syntax) {
  return in_pieces(text, syntax, [&] { return text.size(); });
}

/// In two pieces at every place, and byte by byte, the events are those of the whole text; calls are in order, and the
/// arguments of those that ended are JSON objects.
inline void for_every_split(std::string_view text, const AnswerSyntax& syntax) {
  const std::vector<AnswerEvent> expected = whole(text, syntax);
  for (std::size_t at = 1; at < text.size(); ++at) {
    bool first = true;
    const auto pieces = in_pieces(text, syntax, [&] { return std::exchange(first, false) ? at : text.size(); });
    PLAIT_CHECK(pieces == expected, at);
  }
  PLAIT_CHECK(in_pieces(text, syntax, [] { return std::size_t{1}; }) == expected);
  Answer answer;
  for (const AnswerEvent& event : expected) {
    if (event.kind == AnswerEvent::Kind::call) PLAIT_CHECK(event.call == answer.calls.size());
    answer.add(event);
  }
  PLAIT_CHECK(answer == read_answer(text, syntax));
  for (const Answer::Call& call : answer.calls) {
    PLAIT_CHECK(call.arguments.starts_with('{'));
    if (!call.complete || !text::is_valid(call.arguments)) continue;
    const auto arguments = text::parse_json(call.arguments);
    PLAIT_CHECK(arguments.has_value() && arguments->is_object());
  }
}

}  // namespace plait::models
