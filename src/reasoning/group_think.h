// SPDX-License-Identifier: Apache-2.0
//
// Several thinkers on one question who see each other's every token as it comes. In the layout `slots` thinker n has
// the positions P + (n - 1) B ... P + n B - 1 for ever, P tokens of prompt and a budget of B tokens each: nothing moves
// when others grow, and distances may be negative. In `last` each finds itself behind all others, as the workers of
// reasoning/hogwild.h do: the control for positions that no training has seen. In the end one row reads what all have
// written, without computing it again, and writes the answer.
//
// Source: "Group Think: Multiple Concurrent Reasoning Agents Collaborating at Token Level Granularity" (arXiv
// 2505.11107); the positions are reconstructed. A token is seen by all from the step on in which it is fed
// (mask `step`), or by thinkers before its own one from the next step on (`causal`).
#pragma once

#include <cstddef>

#include "reasoning/strategy.h"

namespace plait::reasoning {

struct GroupThinkOptions {
  std::size_t thinkers = 4;  ///< 1 to 16.
  std::size_t budget = 256;  ///< Tokens of each, its name included; less where the context does not hold them.
  bool slots = true;
  /// A token is seen by all in the step in which it is fed; else, in that step, only by the thinkers behind: what a
  /// causal mask over tokens in the order of their generation makes of it. With slots.
  bool step_mask = true;
  bool answer = true;  ///< One row writes an answer in the end; else the answer is what the thinkers wrote.
};

/// "group-think".
[[nodiscard]] StrategyEntry group_think_strategy();
[[nodiscard]] std::unique_ptr<Strategy> make_group_think(const GroupThinkOptions& options);

}  // namespace plait::reasoning
