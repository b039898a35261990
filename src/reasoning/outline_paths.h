// SPDX-License-Identifier: Apache-2.0
//
// Before a question is answered several times, the model writes as many different ways to go about it, and each answer
// follows one of them: so the answers stop repeating each other. Where the model lists too few, plain samples fill up
// and are counted.
//
// Source: "OPE: Overcoming Information Saturation in Parallel Thinking via Outline-Guided Path Exploration" (arXiv
// 2602.08344); only the idea is public, so prompts and details are our own.
#pragma once

#include <cstddef>
#include <memory>

#include "reasoning/selection.h"
#include "reasoning/strategy.h"

namespace plait::reasoning {

struct OutlinePathsOptions {
  std::size_t n = 4;        ///< Paths. 1 to 64.
  bool show_all = false;    ///< A path sees all ways, and its own at the end: more is shared of what is computed.
  bool synthesize = false;  ///< The answer is one more call over what the paths came to; else one path's is chosen.
  SelectOptions select = {};
};

/// "outlines".
[[nodiscard]] StrategyEntry outlines_strategy();
[[nodiscard]] std::unique_ptr<Strategy> make_outline_paths(OutlinePathsOptions options);

}  // namespace plait::reasoning
