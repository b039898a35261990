// SPDX-License-Identifier: Apache-2.0
//
// Who may have how many requests in flight, and how many a minute.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "serving/http/counters.h"
#include "serving/http/message.h"

namespace plait::serving::detail {

/// Any thread. Held by shared pointers: what enter() gives keeps it alive.
class Admission : public std::enable_shared_from_this<Admission> {
 public:
  struct Denied {
    HttpRefusal reason = HttpRefusal::in_flight;
    int retry_after_s = 1;
  };

  /// A place that is free again when the last copy of the pointer is gone. Requests a minute are a bucket that holds a
  /// minute's worth and is filled evenly: a denied request takes nothing from it. `client` is its name for quotas,
  /// `now` in seconds of a clock that does not go back.
  [[nodiscard]] std::expected<std::shared_ptr<void>, Denied> enter(const std::string& client,
                                                                   const HttpClientLimits& limits,
                                                                   std::size_t in_flight_max, double now);
  [[nodiscard]] std::size_t in_flight() const;
  /// Waits until nothing is in flight; false if that took longer.
  [[nodiscard]] bool wait_idle(double seconds);

 private:
  struct Client {
    std::uint32_t in_flight = 0;
    double tokens = 0;
    double filled_at = 0;
    double per_second = 0;  // 0: no quota
    double tokens_max = 0;
  };

  void leave(const std::string& client);
  static void fill(Client& client, const HttpClientLimits& limits, double now);
  void forget_quiet(double now);

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t in_flight_ = 0;
  std::unordered_map<std::string, Client> clients_;
  std::size_t forget_at_ = 1024;  // clients
};

}  // namespace plait::serving::detail
