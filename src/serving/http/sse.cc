// SPDX-License-Identifier: Apache-2.0
#include "serving/http/sse.h"

#include <algorithm>
#include <utility>

namespace plait::serving {
namespace {

std::string one_line(std::string_view text) {
  std::string line(text);
  std::ranges::replace_if(line, [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  return line;
}

// A field for each line; CR, LF and CRLF end one, as the reader has it.
void append_lines(std::string& event, std::string_view data) {
  while (true) {
    const std::size_t end = data.find_first_of("\r\n");
    event.append("data: ").append(data.substr(0, end)).append("\n");
    if (end == std::string_view::npos) return;
    data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
  }
}

}  // namespace

SseStream::SseStream(Responder responder, HttpHeaders headers) : responder_(std::move(responder)) {
  headers.add("cache-control", "no-cache");
  headers.add("x-accel-buffering", "no");  // or nginx holds events back
  responder_.begin_stream(200, "text/event-stream; charset=utf-8", std::move(headers));
}

void SseStream::event(std::string_view name, std::string_view data, std::string_view id) const {
  std::string event;
  event.reserve(name.size() + data.size() + id.size() + 32);
  if (!id.empty()) event.append("id: ").append(one_line(id)).append("\n");
  if (!name.empty()) event.append("event: ").append(one_line(name)).append("\n");
  append_lines(event, data);
  responder_.write(std::move(event += "\n"));
}

void SseStream::comment(std::string_view text) const { responder_.write(": " + one_line(text) + "\n\n"); }

void SseStream::done() const {
  event("[DONE]");
  end();
}

}  // namespace plait::serving
