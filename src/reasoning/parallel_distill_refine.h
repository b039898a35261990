// SPDX-License-Identifier: Apache-2.0
//
// Rounds of short drafts written at the same time. After each round what they say is distilled into a workspace of at
// most so many tokens, from which the next round begins; in the end one call answers. No call's context grows with the
// number of rounds. Refinement is the same with one strand: each call improves the answer before it.
//
// Source: "Rethinking Thinking Tokens: LLMs as Improvement Operators" (arXiv 2510.01123); prompts are our own. The
// distiller is shown the end of each draft, where its answer stands, not all that led there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "reasoning/selection.h"
#include "reasoning/strategy.h"

namespace plait::reasoning {

enum class Distiller {
  summary,     ///< A call of the model.
  top_k,       ///< The best drafts, the same for all of the next round.
  per_sample,  ///< Each of the next drafts has its own choice of the better half.
  random_k,    ///< Any drafts: the control.
};

struct PdrOptions {
  std::vector<std::size_t> rounds = {4, 2};  ///< Drafts of each. 1 to 8 rounds of 1 to 64 drafts.
  std::size_t keep = 2;                      ///< Drafts that top_k, per_sample and random_k keep.
  Distiller distiller = Distiller::summary;
  std::size_t workspace_tokens = 512;
  std::size_t shown_tokens = 128;  ///< Of each draft, its end, that a distiller sees.
  SelectOptions select = {};       ///< What makes a draft good; without a verifier the vote and the likelihood do.
};

/// "pdr" and "refine".
[[nodiscard]] StrategyEntry pdr_strategy();
[[nodiscard]] StrategyEntry refine_strategy();
[[nodiscard]] std::unique_ptr<Strategy> make_pdr(PdrOptions options);
[[nodiscard]] std::unique_ptr<Strategy> make_refine(std::size_t rounds);

/// Tokens in and out along the accepted path, and of all calls.
struct PdrBudget {
  std::size_t sequential = 0;
  std::size_t total = 0;
};
/// From the ledger of a run: per round the draft with the most tokens in and out, the distiller's call, the last call.
[[nodiscard]] PdrBudget pdr_budget(std::span<const CallRecord> calls);
/// In closed form: prompts of `p` tokens, drafts of `d`, a workspace of `c`, `e` tokens of each draft shown to the
/// distiller if it is a call of the model.
[[nodiscard]] PdrBudget pdr_budget(std::span<const std::size_t> rounds, std::size_t p, std::size_t d, std::size_t c,
                                   std::size_t e, bool distiller_calls);

}  // namespace plait::reasoning
