// SPDX-License-Identifier: Apache-2.0
//
// A model that lists what can be worked out apart has it worked out at the same time: it writes outlines, each becomes
// a thread that goes on from the same text, and the threads' texts are joined in the order of their outlines, never of
// their ends (reasoning/outline_grammar.h says how it all reads). The first thread stays where it is computed; only the
// others' texts are read once more.
//
// Source: "ThreadWeaver: Adaptive Threading for Efficient Parallel Reasoning in Language Models" (arXiv 2512.07843),
// state machine as in its official code.
#pragma once

#include <cstddef>
#include <memory>

#include "reasoning/strategy.h"

namespace plait::reasoning {

struct ThreadWeaverOptions {
  std::size_t threads_max = 8;  ///< Of one block; further outlines are left out. 1 to 50.
  std::size_t blocks_max = 16;  ///< After so many the text goes on alone. 1 to 64.
};

/// "threads".
[[nodiscard]] StrategyEntry thread_weaver_strategy();
[[nodiscard]] std::unique_ptr<Strategy> make_thread_weaver(const ThreadWeaverOptions& options);

}  // namespace plait::reasoning
