// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <mutex>
#include <string_view>
#include <vector>

#include "operations/trace_queue.h"
#include "text/json.h"

namespace plait::operations {

/// The last requests, in memory. Any thread; each call holds a lock for a moment.
class RecentRequests {
 public:
  /// Requires: capacity ≥ 1. Texts are not kept: records with some are refused by a check.
  explicit RecentRequests(std::size_t capacity);

  void add(RecordPointer record);
  /// At most `limit` records, newest first; only those of `client` unless it is empty.
  [[nodiscard]] std::vector<RecordPointer> newest(std::size_t limit, std::string_view client) const;

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::vector<RecordPointer> ring_;  // under mutex_, as the next one
  std::size_t next_ = 0;             // where the oldest stands once it is full
};

/// A record for people and programs: ids, model, status, times in seconds, tokens. Never a text of the request.
[[nodiscard]] text::Json summary_json(const RequestRecord& record);

}  // namespace plait::operations
