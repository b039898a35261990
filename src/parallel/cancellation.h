// SPDX-License-Identifier: Apache-2.0
//
// Asking work to stop, and how long a blocking call may wait. A token is the standard one: whoever works polls
// stop_requested(), hands it to calls that wait, or registers a std::stop_callback.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <utility>

namespace plait::parallel {

/// Asks whether to stop. Copies are cheap and ask the same; a default one never says so. Any thread.
using CancellationToken = std::stop_token;

/// The other end of tokens. Cancelled itself when its parent is; never the other way round. Any thread; not copyable.
class Cancellation {
 public:
  Cancellation() = default;
  explicit Cancellation(const CancellationToken& parent) { link_.emplace(parent, Forward{source_}); }
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  ~Cancellation() = default;

  /// For good. Callbacks registered with the tokens run on this thread before it returns.
  void cancel() { source_.request_stop(); }
  [[nodiscard]] bool cancelled() const { return source_.stop_requested(); }
  [[nodiscard]] CancellationToken token() const { return source_.get_token(); }

 private:
  struct Forward {
    std::stop_source source;
    void operator()() { source.request_stop(); }
  };
  std::stop_source source_;
  std::optional<std::stop_callback<Forward>> link_;
};

/// How long a blocking call may wait: until the deadline, or until the token says to stop.
struct WaitLimit {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  CancellationToken token = {};

  /// Not at all.
  [[nodiscard]] static WaitLimit none() { return {.deadline = std::chrono::steady_clock::time_point::min()}; }
  /// So long from now.
  [[nodiscard]] static WaitLimit within(std::chrono::steady_clock::duration duration, CancellationToken token = {}) {
    return {.deadline = std::chrono::steady_clock::now() + duration, .token = std::move(token)};
  }
};

}  // namespace plait::parallel
