// SPDX-License-Identifier: Apache-2.0
//
// From the threads that serve to one that tells: a bounded queue in front of a file or a collector. Who serves never
// waits; what there is no room for is dropped and counted.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/units.h"
#include "operations/request_record.h"
#include "parallel/channel.h"

namespace plait::operations {

/// Shared by everyone who tells of a request; nobody changes it.
using RecordPointer = std::shared_ptr<const RequestRecord>;

/// Where requests are told. One thread.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  /// Tells of these requests and returns how many it could not tell. It may take its time, but ends soon after
  /// `give_up` says so.
  [[nodiscard]] virtual std::size_t write(std::span<const RecordPointer> records, const std::stop_token& give_up) = 0;
};

struct TraceQueueOptions {
  std::size_t records_max = 2048;                  ///< That wait.
  base::Bytes bytes_max = base::Bytes{32} << 20U;  ///< Of the texts of those that wait.
  std::size_t batch_max = 64;                      ///< Requests that the sink gets at a time.
  std::chrono::milliseconds batch_wait{1000};      ///< How long the first of a batch waits for others.
};

/// In requests, since the beginning.
struct TraceCounters {
  std::uint64_t told = 0;
  std::uint64_t dropped = 0;  ///< There was no room, or the end came first.
  std::uint64_t lost = 0;     ///< The sink could not tell.
};

class TraceQueue {
 public:
  TraceQueue(std::unique_ptr<TraceSink> sink, const TraceQueueOptions& options);
  /// close(0)
  ~TraceQueue();
  TraceQueue(const TraceQueue&) = delete;
  TraceQueue& operator=(const TraceQueue&) = delete;

  /// Any thread; never waits for the sink. Nothing after close().
  void push(const RecordPointer& record);
  /// Takes no more, tells what it has, and ends the thread: within about `seconds`, then the rest is dropped. True if
  /// nothing was. Again: nothing. One thread.
  bool close(double seconds);
  /// Any thread.
  [[nodiscard]] TraceCounters counters() const;

 private:
  void run();
  [[nodiscard]] std::vector<RecordPointer> gather();

  const std::unique_ptr<TraceSink> sink_;
  const TraceQueueOptions options_;
  parallel::Channel<RecordPointer> waiting_;
  std::atomic<std::size_t> bytes_ = 0;  // of the texts of those in waiting_
  std::atomic<std::uint64_t> told_ = 0;
  std::atomic<std::uint64_t> dropped_ = 0;
  std::atomic<std::uint64_t> lost_ = 0;
  std::stop_source give_up_;
  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;  // under mutex_
  std::thread thread_;
};

}  // namespace plait::operations
