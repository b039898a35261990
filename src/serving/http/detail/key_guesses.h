// SPDX-License-Identifier: Apache-2.0
//
// How many wrong API keys an address may try. A key that `plait key` made has 256 bits, so nobody guesses one; this
// keeps those who try from costing much, and from finding one that somebody made by hand.
//
// An address may be a proxy with many people behind it. So one of them cannot lock out the others: keys that were right
// from this address before stay right. A key that is right and new there is refused like a wrong one as long as the
// bound is passed, or it would still be found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace plait::serving::detail {

class KeyGuesses {  // one thread
 public:
  static constexpr std::size_t kAddressesMax = 16384;
  static constexpr std::size_t kOwnersMax = 256;  // remembered of one address

  /// A key came from `address`; `owner` is whose it is, empty if it is wrong. False: it must not open anything now,
  /// whatever it is. `per_minute` 0: always true. `now` in seconds of a clock that does not go back.
  [[nodiscard]] bool hears(const std::string& address, std::string_view owner, std::uint32_t per_minute, double now);
  /// After hears() was false: when to come again.
  [[nodiscard]] int wait_seconds(const std::string& address, double now) const;
  [[nodiscard]] std::size_t addresses() const { return addresses_.size(); }

 private:
  struct Address {
    double left = 0;
    double filled_at = 0;
    double per_minute = 0;
    std::vector<std::string> owners = {};  // whose keys were right here
  };
  void make_room(double now);

  std::unordered_map<std::string, Address> addresses_;
};

}  // namespace plait::serving::detail
