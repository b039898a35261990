// SPDX-License-Identifier: Apache-2.0
#include "serving/strand_events.h"

#include <algorithm>

namespace plait::serving {

void StrandEventLog::add(std::string_view name, const text::Json& data) {
  kept_.push_back({std::string(name), text::dump_json(data)});
  bytes_ += kept_.back().data.size();
  ++last_;
  while (kept_.size() > 1 && (kept_.size() > limits_.events_max || bytes_ > limits_.bytes_max)) {
    bytes_ -= kept_.front().data.size();
    kept_.pop_front();
  }
  for (const SseStream& reader : readers_) reader.event(name, kept_.back().data, std::to_string(last_));
}

bool StrandEventLog::read(const Responder& responder, std::uint64_t after) {
  drop_gone();
  if (readers_.size() >= limits_.readers_max) return false;
  const SseStream stream(responder);
  const std::uint64_t first = last_ - kept_.size();  // the number before that of the first one that is kept
  std::uint64_t next = std::min(after, last_);
  if (next < first) {
    stream.event("gap", text::dump_json({{"missed", first - next}}));
    next = first;
  }
  for (; next < last_; ++next) {
    const Event& event = kept_[static_cast<std::size_t>(next - first)];
    stream.event(event.name, event.data, std::to_string(next + 1));
  }
  readers_.push_back(stream);
  return true;
}

void StrandEventLog::drop_gone() {
  std::erase_if(readers_, [](const SseStream& reader) { return reader.responder().gone(); });
}

void StrandEventLog::end() {
  for (const SseStream& reader : readers_) reader.end();
  readers_.clear();
}

}  // namespace plait::serving
