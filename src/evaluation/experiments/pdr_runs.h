// SPDX-License-Identifier: Apache-2.0
//
// The strategies `pdr` and `refine` on the scripted model of planted_drafts.h: what holds of every run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluation/countdown.h"
#include "evaluation/experiments/planted_drafts.h"
#include "evaluation/experiments/scripted_thinking.h"
#include "evaluation/proportion.h"
#include "reasoning/parallel_distill_refine.h"

namespace plait::evaluation {

class PdrRuns {
 public:
  /// `rows_max` calls at the same time.
  [[nodiscard]] static base::Result<std::unique_ptr<PdrRuns>> make(std::size_t rows_max = 256);
  [[nodiscard]] base::Result<reasoning::Thought> run(const reasoning::Strategy& strategy,
                                                     const CountdownProblem& problem, const PlantedOptions& options,
                                                     std::uint64_t seed);
  [[nodiscard]] const PlantedDrafts& drafts() const { return drafts_; }

 private:
  PdrRuns();
  std::unique_ptr<models::Tokenizer> tokenizer_;
  PlantedDrafts drafts_;
  std::unique_ptr<ScriptedThinking> model_;
};

/// A schedule beside one answer that is improved as often as the same tokens pay for.
struct BudgetFigures {
  reasoning::PdrBudget pdr = {};
  reasoning::PdrBudget refine = {};
  double cached = 0;            ///< The part of all prompt tokens that was found computed.
  double shown_over_draft = 0;  ///< e / d.
  std::size_t refinements = 0;
  [[nodiscard]] double ratio() const {
    return static_cast<double>(pdr.sequential) / static_cast<double>(refine.sequential);
  }
};

/// What holds of every run, whatever the drafts say.
struct PdrFigures {
  double workspace_excess = -1e9;  ///< Tokens of a workspace beyond its limit: the most.
  double context_growth = 0;       ///< Tokens by which later rounds' prompts differ from the second one's.
  double prefill_excess = -1e9;    ///< Tokens computed of a round's prompts beyond the prefix and one for each draft.
  Proportion distinct;             ///< Rounds whose drafts all differ.
  Proportion any_order;            ///< Runs that are the same with three calls at a time.
  Proportion broken;               ///< Runs that count drafts that broke down, and go on with the others.
  Proportion fallbacks;            ///< Runs that go on with the workspace before, where a whole round broke down.
  std::size_t broken_drafts = 0;
  std::map<std::string, BudgetFigures> budgets;  ///< By distiller and what it reads.
};
[[nodiscard]] base::Result<PdrFigures> run_pdr_checks(const std::vector<CountdownProblem>& problems,
                                                      std::uint64_t seed);

}  // namespace plait::evaluation
