// SPDX-License-Identifier: Apache-2.0
//
// Chats on the real engine: each is one sequence that is asked turn after turn, its answers forced token by token, so
// that every run computes the same and only when and where differs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/engine.h"
#include "evaluation/experiments/fastswitch_trace.h"

namespace plait::evaluation {

struct ChatReplayOptions {
  /// Arrivals per second, which also scales the pauses; 0: all chats come at once and do not pause.
  double rate = 0;
  /// Favoured chats have level 0, the others level 1, drawn anew after so many steps; nothing: all have level 0.
  std::optional<PriorityPattern> priorities = {};
  std::size_t period_steps = 25;  ///< 1 / f
  std::uint64_t seed = 1;         ///< Of the texts and the priorities.
  engine::EngineOptions engine = {};
  /// Waits until this time of the clock when there is nothing to do.
  std::function<void(double seconds)> sleep_until = {};
};

/// What one replay gave. Times in seconds.
struct ChatRun {
  std::vector<double> first_tokens = {};  ///< [turn]: from the moment at which the user asks to the first token.
  std::vector<double> gaps = {};          ///< Between two tokens of an answer.
  double seconds = 0;
  double tokens = 0;        ///< Of prompts and answers, each once.
  double live_tokens = 0;   ///< Held by chats that have begun and are not over, mean over steps.
  double idle_share = 0;    ///< Of the pages: nobody's, mean over steps in which somebody waits to run.
  double waiting_mean = 0;  ///< Sequences that wait to run, mean over steps.
  double running_mean = 0;
  /// One number for the logits of each choice, sorted: equal lists mean equal bits of everything that was computed.
  std::vector<std::uint64_t> choices = {};
  std::uint64_t pages_leaked = 0;  ///< Not free after the last chat was closed, slots of the tiers included.
  engine::EngineCounters counters = {};
};

/// Errors: those of the engine, that of a generation that failed. Requires: runner, clock and the tiers in
/// options.engine outlive the call; sleep_until is set if rate > 0.
[[nodiscard]] base::Result<ChatRun> replay_chats(engine::Runner& runner, std::span<const Chat> chats,
                                                 const ChatReplayOptions& options,
                                                 const base::Clock& clock = base::steady_clock());

/// How many numbers stand in one of two sorted lists and not in the other.
[[nodiscard]] std::size_t choices_apart(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b);

}  // namespace plait::evaluation
