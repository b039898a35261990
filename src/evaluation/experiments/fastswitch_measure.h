// SPDX-License-Identifier: Apache-2.0
//
// The ways to set a sequence aside that are compared, and one run of each kind.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/runner.h"
#include "evaluation/experiments/fastswitch_replay.h"
#include "os/direct_io.h"

namespace plait::evaluation {

/// One row of the tables.
struct SwapWay {
  std::string_view name;
  std::string_view about;
  bool swaps = true;         ///< Else: computed again.
  bool pieces = false;       ///< Operations cut as if the pool were layer-major.
  bool join = false;         ///< One operation for a run of pages, else for each page.
  bool waits = false;        ///< The engine stands still while anything moves.
  bool reuse = false;        ///< The copy in the file outlives the return.
  std::uint32_t group = 16;  ///< EngineOptions::group_pages.
};

inline constexpr std::array kSwapWays{
    SwapWay{.name = "A",
            .about = "per page, standing still, in pieces of a layer (emulated)",
            .pieces = true,
            .waits = true,
            .group = 1},
    SwapWay{.name = "A'", .about = "per page, standing still", .waits = true, .group = 1},
    SwapWay{.name = "B", .about = "A' and runs of pages, groups of 16", .join = true, .waits = true},
    SwapWay{.name = "C", .about = "B and asynchronous", .join = true},
    SwapWay{.name = "D", .about = "C and copies that are used again", .join = true, .reuse = true},
    SwapWay{.name = "R", .about = "computed again, the simplest baseline", .swaps = false},
};
/// B with other groups.
inline constexpr std::array kGroupWays{
    SwapWay{.name = "B1", .about = "B with groups of 1", .join = true, .waits = true, .group = 1},
    SwapWay{.name = "B60", .about = "B with groups of 60", .join = true, .waits = true, .group = 60},
};

/// What all runs of the experiment share.
struct SwapSetup {
  std::vector<Chat> chats;
  double rate = 0;          ///< Chats per second.
  std::uint32_t pages = 0;  ///< Of the pool.
  std::size_t layers = 1;   ///< Of the model.
  std::size_t rows_max = 32;
  std::size_t period_steps = 25;
  std::filesystem::path folder = {};  ///< For the swap file.
};

/// A run and what the file saw of it.
struct SwapRun {
  ChatRun chats = {};
  double operations = 0;  ///< Reads and writes that the file got.
  os::AsyncFileMode mode = {};

  [[nodiscard]] double operations_per_swap_out() const;
  [[nodiscard]] double bytes_out_per_swap_out() const;
};

/// Errors: those of replay_chats() and of the file.
[[nodiscard]] base::Result<SwapRun> run_swap_way(engine::Runner& runner, const SwapSetup& setup, const SwapWay& way,
                                                 PriorityPattern pattern, std::uint64_t seed);

/// The same chats with memory for all of them, so that nobody is preempted. `rate` 0: all at once, for the capacity.
[[nodiscard]] base::Result<ChatRun> run_without_limit(engine::Runner& runner, const SwapSetup& setup, double rate,
                                                      std::uint64_t seed);

/// Pages that a chat fills.
[[nodiscard]] std::uint32_t chat_pages(const Chat& chat);

}  // namespace plait::evaluation
