// SPDX-License-Identifier: Apache-2.0
#include "serving/http/detail/key_guesses.h"

#include <algorithm>
#include <cmath>

namespace plait::serving::detail {
namespace {

double filled(double left, double seconds, double per_minute) {
  return std::min(per_minute, left + seconds * per_minute / 60);
}

}  // namespace

bool KeyGuesses::hears(const std::string& address, std::string_view owner, std::uint32_t per_minute, double now) {
  if (per_minute == 0) return true;
  if (addresses_.size() >= kAddressesMax && !addresses_.contains(address)) make_room(now);
  const auto [at, is_new] = addresses_.try_emplace(address);
  Address& entry = at->second;
  const double most = per_minute;
  entry.left = is_new || entry.per_minute != most ? most : filled(entry.left, now - entry.filled_at, most);
  entry.filled_at = now;
  entry.per_minute = most;
  if (!owner.empty() && std::ranges::find(entry.owners, owner) != entry.owners.end()) return true;
  if (entry.left < 1) return false;
  if (owner.empty()) {
    entry.left -= 1;
  } else {
    if (entry.owners.size() >= kOwnersMax) entry.owners.erase(entry.owners.begin());
    entry.owners.emplace_back(owner);
  }
  return true;
}

int KeyGuesses::wait_seconds(const std::string& address, double now) const {
  const auto at = addresses_.find(address);
  if (at == addresses_.end()) return 1;
  const Address& entry = at->second;
  const double missing = 1 - filled(entry.left, now - entry.filled_at, entry.per_minute);
  return std::max(1, static_cast<int>(std::ceil(missing * 60 / entry.per_minute)));
}

// Addresses that have not guessed lately are as good as new ones. If all have, they start again: so many addresses have
// more guesses than one bound could take away.
void KeyGuesses::make_room(double now) {
  std::erase_if(addresses_, [&](const auto& item) {
    const Address& entry = item.second;
    return filled(entry.left, now - entry.filled_at, entry.per_minute) >= entry.per_minute;
  });
  if (addresses_.size() >= kAddressesMax) addresses_.clear();
}

}  // namespace plait::serving::detail
