// SPDX-License-Identifier: Apache-2.0
//
// A search that hands parts of itself to children: the model writes a block of calls, each child searches from its own
// short prompt, and the parent goes on from their results alone, in place of the block. What was computed of the parent
// before the block stays. One level: a child's block is text like any other.
//
// Source: "Learning Adaptive Parallel Reasoning with Language Models" (arXiv 2504.15466). The language is that of
// reasoning/spawn_grammar.h, so this is for models that were trained on it.
#pragma once

#include <cstddef>
#include <memory>

#include "reasoning/strategy.h"

namespace plait::reasoning {

struct SpawnOptions {
  std::size_t children_max = 10;                        ///< Of one block; 0: blocks come to nothing. At most 64.
  std::size_t child_tokens_max = 0;                     ///< 0: as of any call.
  std::size_t blocks_max = 32;                          ///< Blocks that are carried out.
  std::shared_ptr<const class Verifier> verifier = {};  ///< Says whether the answer is right, if there is one.
};

/// "spawn".
[[nodiscard]] StrategyEntry spawn_strategy();
[[nodiscard]] std::unique_ptr<Strategy> make_spawn(SpawnOptions options);

}  // namespace plait::reasoning
