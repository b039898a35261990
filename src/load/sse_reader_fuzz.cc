// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a stream of events and as an answer: the events do not depend on where the stream is cut, and an answer
// that is none says why.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "load/answer_reader.h"
#include "load/sse_reader.h"

namespace {

using plait::load::AnswerReader;
using plait::load::SseReader;

std::vector<std::string> events_of(std::string_view stream, std::size_t piece) {
  std::vector<std::string> events;
  SseReader reader;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    static_cast<void>(reader.feed(stream.substr(at, piece), [&](std::string_view data) { events.emplace_back(data); }));
  }
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view stream(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> events = events_of(stream, size + 1);
  for (const std::size_t piece : {1U, 7U}) PLAIT_CHECK(events_of(stream, piece) == events);
  AnswerReader answer;
  for (const std::string& event : events) {
    answer.event(event, [](std::size_t, std::string_view text) { PLAIT_CHECK(!text.empty()); });
  }
  PLAIT_CHECK(!answer.error() || !answer.error()->empty());
  PLAIT_CHECK(plait::load::error_message(stream).size() <= 200);
  return 0;
}
