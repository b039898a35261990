// SPDX-License-Identifier: Apache-2.0
//
// Who has what of an engine at one moment, for people who look at it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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

/// What a sequence does, or else waits for.
enum class SequenceState : std::uint8_t {
  idle,          ///< Nobody wants it to go on.
  decode,        ///< It has a row of each step.
  prompt,        ///< Its prompt is computed.
  waits_prompt,  ///< For SequenceUse::behind, which computes what its prompt begins with.
  waits_swap,    ///< Its pages are on the way back.
  waits_row,     ///< For a place in the batch.
  waits_pages,   ///< For pages that others have, or behind somebody who does.
};
/// "idle", …
[[nodiscard]] std::string_view name(SequenceState state);

/// A sequence that is there. Numbers are those of SequenceId.
struct SequenceUse {
  std::uint64_t id = 0;
  std::string client = {};
  SequenceState state = SequenceState::idle;
  std::optional<std::uint64_t> behind = {};
  std::optional<std::uint64_t> parent = {};  ///< It was forked from this one.
  std::size_t tokens = 0;                    ///< Its own, computed or not.
  std::size_t computed = 0;                  ///< Of these.
  std::size_t generated = 0;                 ///< By the present generation.
  std::size_t preemptions = 0;               ///< Of it.
  double seconds = 0;                        ///< Since it was asked for.
  std::uint32_t own = 0;                     ///< Pages that no other sequence has,
  std::uint32_t shared = 0;                  ///< and that others have, too;
  std::size_t away = 0;                      ///< and what is in the host tier.
};

struct Snapshot {
  std::vector<SequenceUse> sequences;  ///< Those that run first, then those that wait: at most kSnapshotSequences.
  std::vector<ClientUse> clients;      ///< Those with sequences first, then who had most; at most kSnapshotClients.
  std::size_t clients_known = 0;
  std::size_t rows_max = 0;        ///< That anybody may take,
  std::size_t rows_newcomers = 0;  ///< and more for clients of which nothing runs: EngineOptions::rows_newcomers.
  PageUse pages = {};
};
inline constexpr std::size_t kSnapshotSequences = 100;
inline constexpr std::size_t kSnapshotClients = 100;

}  // namespace plait::engine
