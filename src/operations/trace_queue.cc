// SPDX-License-Identifier: Apache-2.0
#include "operations/trace_queue.h"

#include <utility>

namespace plait::operations {
namespace {

std::size_t text_bytes(const RequestRecord& record) {
  return record.input_messages.size() + record.output_messages.size();
}

}  // namespace

TraceQueue::TraceQueue(std::unique_ptr<TraceSink> sink, const TraceQueueOptions& options)
    : sink_(std::move(sink)), options_(options), waiting_(options.records_max), thread_([this] { run(); }) {}

TraceQueue::~TraceQueue() { close(0); }

// Two that come at once may go a record's text over the bound.
void TraceQueue::push(const RecordPointer& record) {
  const std::size_t bytes = text_bytes(*record);
  if (bytes_.load() + bytes > options_.bytes_max) {
    dropped_.fetch_add(1);
    return;
  }
  bytes_.fetch_add(bytes);
  if (!waiting_.send(record, parallel::WaitLimit::none())) {
    bytes_.fetch_sub(bytes);
    dropped_.fetch_add(1);
  }
}

std::vector<RecordPointer> TraceQueue::gather() {
  std::vector<RecordPointer> batch;
  auto limit = parallel::WaitLimit();
  while (batch.size() < options_.batch_max) {
    auto record = waiting_.receive(limit);
    if (!record) break;
    if (batch.empty()) limit = parallel::WaitLimit::within(options_.batch_wait);
    bytes_.fetch_sub(text_bytes(**record));
    batch.push_back(*std::move(record));
  }
  return batch;
}

void TraceQueue::run() {
  while (true) {
    const std::vector<RecordPointer> batch = gather();
    if (batch.empty()) break;  // closed
    if (give_up_.stop_requested()) {
      dropped_.fetch_add(batch.size());
      continue;
    }
    const std::size_t lost = sink_->write(batch, give_up_.get_token());
    lost_.fetch_add(lost);
    told_.fetch_add(batch.size() - lost);
  }
  const std::scoped_lock lock(mutex_);
  ended_ = true;
  ended_changed_.notify_all();
}

bool TraceQueue::close(double seconds) {
  if (!thread_.joinable()) return true;
  const TraceCounters before = counters();
  waiting_.close();
  {
    std::unique_lock lock(mutex_);
    ended_changed_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return ended_; });
  }
  give_up_.request_stop();
  thread_.join();
  const TraceCounters after = counters();
  return after.dropped == before.dropped && after.lost == before.lost;
}

TraceCounters TraceQueue::counters() const {
  return {.told = told_.load(), .dropped = dropped_.load(), .lost = lost_.load()};
}

}  // namespace plait::operations
