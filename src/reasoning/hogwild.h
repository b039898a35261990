// SPDX-License-Identifier: Apache-2.0
//
// Several workers think about one question and read each other's unfinished sentences. What a worker sees in front of
// its own unfinished step of work, by layout:
//
//   contiguous    the prompt, all that the others have written, a separator
//   interleaved   the prompt, the finished steps of all in the order in which they were finished
//   combined      the prompt, the finished steps, a header, the others' unfinished steps, a second header
//
// A step of work ends at an empty line behind the end of a sentence. It becomes part of the common history where it
// stands: keys and values are neither computed again nor rotated, as a view says where a span begins (engine/engine.h,
// watch_instead()). The run ends when somebody writes \boxed{...}, when all have ended or when the budget does; then,
// if nobody has, one row that sees everything is made to.
//
// Source: "Hogwild! Inference: Parallel LLM Generation via Concurrent Attention" (arXiv 2504.06261). Different from its
// code: a worker may end its text (`forbid_end` is the paper's way), and prompts are our own.
#pragma once

#include <cstddef>
#include <memory>

#include "reasoning/strategy.h"

namespace plait::reasoning {

enum class WorkLayout { combined, contiguous, interleaved };
/// "combined", "contiguous", "interleaved".
[[nodiscard]] std::string_view name(WorkLayout layout);

struct HogwildOptions {
  std::size_t workers = 2;  ///< 1 to 8.
  WorkLayout layout = WorkLayout::combined;
  std::size_t question_every = 256;  ///< Tokens of all workers between two questions about redundant work; 0: none.
  std::size_t answer_tokens = 16;    ///< Of the answer that is forced in the end.
  bool forbid_end = false;           ///< Workers cannot end their texts.
};

/// "hogwild".
[[nodiscard]] StrategyEntry hogwild_strategy();
[[nodiscard]] std::unique_ptr<Strategy> make_hogwild(const HogwildOptions& options);

/// Whether a step of work ends here: an empty line behind the end of a sentence.
[[nodiscard]] bool ends_step(std::string_view text);

}  // namespace plait::reasoning
