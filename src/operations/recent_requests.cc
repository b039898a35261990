// SPDX-License-Identifier: Apache-2.0
#include "operations/recent_requests.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "text/timestamp.h"

namespace plait::operations {
namespace {

double rounded(double seconds) { return std::round(seconds * 1e6) / 1e6; }

}  // namespace

RecentRequests::RecentRequests(std::size_t capacity) : capacity_(capacity) { PLAIT_CHECK(capacity >= 1, capacity); }

void RecentRequests::add(RecordPointer record) {
  PLAIT_CHECK(record->input_messages.empty() && record->output_messages.empty(), record->id);
  const std::scoped_lock lock(mutex_);
  if (ring_.size() < capacity_) {
    ring_.push_back(std::move(record));
    return;
  }
  ring_[next_].swap(record);  // the old one goes after the lock
  next_ = (next_ + 1) % capacity_;
}

std::vector<RecordPointer> RecentRequests::newest(std::size_t limit, std::string_view client) const {
  std::vector<RecordPointer> found;
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i < ring_.size() && found.size() < limit; ++i) {
    const RecordPointer& record = ring_[(next_ + ring_.size() - 1 - i) % ring_.size()];
    if (client.empty() || record->client == client) found.push_back(record);
  }
  return found;
}

text::Json summary_json(const RequestRecord& record) {
  text::Json json{{"id", record.id},
                  {"time", text::utc_time(record.arrived)},
                  {"trace_id", hex(record.context.trace)},
                  {"client", record.client},
                  {"endpoint", record.endpoint},
                  {"model", record.model},
                  {"status", record.status}};
  if (!record.error.empty()) json["error"] = record.error;
  json["stream"] = record.parameters && record.parameters->stream;
  json["seconds"] = rounded(record.seconds);
  if (record.first_text_seconds) json["first_token_seconds"] = rounded(*record.first_text_seconds);
  json["prompt_tokens"] = record.prompt_tokens;
  json["cached_tokens"] = record.cached_tokens;
  json["generated_tokens"] = record.generated_tokens;
  json["answers"] = text::Json::array();
  for (const GenerationRecord& one : record.generations) {
    json["answers"].push_back({{"reason", one.reason},
                               {"tokens", one.tokens},
                               {"queue_seconds", rounded(one.waited_seconds)},
                               {"prompt_seconds", rounded(one.prompt_seconds)},
                               {"decode_seconds", rounded(one.decode_seconds)},
                               {"preemptions", one.preemptions}});
  }
  return json;
}

}  // namespace plait::operations
