// SPDX-License-Identifier: Apache-2.0
//
// Who has what of an engine at one moment, for people who look at it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace plait::engine {

/// What a client has in the engine now: generations that have not ended.
struct ClientLoad {
  std::string client = {};
  double weight = 1;
  int level = 0;
  std::size_t running = 0;
  std::size_t waiting = 0;
  double service = 0;  ///< Charges since the client was last unknown, see EngineOptions::unit.
};

/// A client that is remembered.
struct ClientUse {
  std::string name = {};
  double weight = 1;
  int level = 0;            ///< As it is served now.
  double service = 0;       ///< What its requests were charged: tokens computed, unless EngineOptions::unit says else.
  std::size_t running = 0;  ///< Generations.
  std::size_t waiting = 0;  ///< The same.
  std::size_t sequences = 0;  ///< Those and idle ones.
  std::uint32_t pages = 0;    ///< That its sequences stand on, shared ones counted once for each sequence.
};

/// Pages of 16 tokens of the larger pool; all but `away` together are all of it.
struct PageUse {
  std::uint32_t free = 0;
  std::uint32_t cached = 0;  ///< Only the prefix cache has them: they go when others need room.
  std::uint32_t own = 0;     ///< Of one sequence, in the cache or not; also those that a transfer still reads.
  std::uint32_t shared = 0;  ///< Of several.
  std::size_t away = 0;      ///< What sequences have in the host tier.
};

struct Snapshot {
  std::vector<ClientUse> clients;  ///< Those with sequences first, then who had most; at most kSnapshotClients.
  std::size_t clients_known = 0;
  PageUse pages = {};
};
inline constexpr std::size_t kSnapshotClients = 100;

}  // namespace plait::engine
