// SPDX-License-Identifier: Apache-2.0
//
// Sends traces to a collector: OTLP over HTTP with JSON.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http.h"
#include "operations/otlp.h"
#include "operations/trace_queue.h"

namespace plait::operations {

struct OtlpOptions {
  std::string url = {};                                           ///< "http://localhost:4318/v1/traces"
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< They hold secrets, and are told to nobody else.
  std::chrono::seconds timeout{10};                               ///< Of one attempt.
  int attempts_max = 5;                                           ///< Then a batch is lost.
  /// Before the second attempt; twice as long before each next one, up to the longest, and up to a fifth less by
  /// chance. A collector that says Retry-After gets that, also up to the longest.
  std::chrono::milliseconds pause_first{1000};
  std::chrono::milliseconds pause_longest{30'000};
  TraceResource resource = {};
  TraceIds ids = {};
  /// Told when the collector stops taking traces, and when it does again. Called on the queue's thread. May be empty.
  std::function<void(std::string_view line)> say = {};
};

/// Again after 429, 502, 503, 504 and when no answer comes, as OTLP asks; other answers than 2xx lose the batch.
class OtlpExporter final : public TraceSink {
 public:
  explicit OtlpExporter(OtlpOptions options) : options_(std::move(options)) {}

  [[nodiscard]] std::size_t write(std::span<const RecordPointer> records, const std::stop_token& give_up) override;

 private:
  /// What came of one attempt.
  struct Attempt {
    bool taken = false;
    bool again = false;  // worth another attempt
    std::chrono::milliseconds retry_after{0};
    std::string why = {};
  };
  [[nodiscard]] Attempt send(const net::Request& request, std::string_view body, const std::stop_token& give_up) const;
  [[nodiscard]] std::chrono::milliseconds pause_before(int attempt, std::chrono::milliseconds retry_after);
  void say_change(bool works, std::string_view why);

  OtlpOptions options_;
  bool works_ = true;
  std::uint64_t pauses_ = 0;
};

/// The address without the name and password that may stand in it, for people.
[[nodiscard]] std::string shown_url(std::string_view url);

}  // namespace plait::operations
