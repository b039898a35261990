// SPDX-License-Identifier: Apache-2.0
#include "serving/http/detail/admission.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace plait::serving::detail {

void Admission::fill(Client& client, const HttpClientLimits& limits, double now) {
  const double tokens_max = limits.requests_per_minute;
  const bool fresh = client.tokens_max != tokens_max;
  client.per_second = tokens_max / 60;
  client.tokens_max = tokens_max;
  client.tokens =
      fresh ? tokens_max : std::min(tokens_max, client.tokens + (now - client.filled_at) * client.per_second);
  client.filled_at = now;
}

std::expected<std::shared_ptr<void>, Admission::Denied> Admission::enter(const std::string& client,
                                                                         const HttpClientLimits& limits,
                                                                         std::size_t in_flight_max, double now) {
  const std::lock_guard lock(mutex_);
  if (in_flight_ >= in_flight_max) return std::unexpected(Denied{.reason = HttpRefusal::in_flight});
  if (clients_.size() >= forget_at_) forget_quiet(now);
  Client& entry = clients_[client];
  if (limits.in_flight_max != 0 && entry.in_flight >= limits.in_flight_max) {
    return std::unexpected(Denied{.reason = HttpRefusal::client_in_flight});
  }
  fill(entry, limits, now);
  if (limits.requests_per_minute != 0) {
    if (entry.tokens < 1) {
      const double wait_s = std::ceil((1 - entry.tokens) / entry.per_second);
      return std::unexpected(
          Denied{.reason = HttpRefusal::rate, .retry_after_s = std::max(1, static_cast<int>(wait_s))});
    }
    entry.tokens -= 1;
  }
  auto place = std::shared_ptr<void>(nullptr, [self = shared_from_this(), client](void*) { self->leave(client); });
  ++entry.in_flight;
  ++in_flight_;
  return place;
}

void Admission::leave(const std::string& client) {
  const std::lock_guard lock(mutex_);
  const auto at = clients_.find(client);
  if (--at->second.in_flight == 0 && at->second.per_second == 0) clients_.erase(at);
  if (--in_flight_ == 0) idle_.notify_all();
}

// Clients whose bucket is full again are as good as new ones.
void Admission::forget_quiet(double now) {
  std::erase_if(clients_, [&](const auto& item) {
    const Client& client = item.second;
    const double tokens = client.tokens + (now - client.filled_at) * client.per_second;
    return client.in_flight == 0 && tokens >= client.tokens_max;
  });
  forget_at_ = std::max<std::size_t>(1024, 2 * clients_.size());
}

std::size_t Admission::in_flight() const {
  const std::lock_guard lock(mutex_);
  return in_flight_;
}

bool Admission::wait_idle(double seconds) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return in_flight_ == 0; });
}

}  // namespace plait::serving::detail
