// SPDX-License-Identifier: Apache-2.0
//
// How a strategy chooses among the answers of its strands: reasoning/aggregate.h with what it needs of a run.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reasoning/option_reader.h"
#include "reasoning/program.h"
#include "reasoning/strategy.h"
#include "reasoning/thinking.h"
#include "reasoning/verifier.h"

namespace plait::reasoning {

enum class SelectRule {
  majority,    ///< What most come to.
  verifier,    ///< The first one that the verifier takes, else the one nearest to that.
  likelihood,  ///< The one with the highest mean log-probability of its tokens.
  judge,       ///< The one whose number the model says when it is shown all.
};

struct SelectOptions {
  SelectRule rule = SelectRule::majority;
  std::shared_ptr<const Verifier> verifier = {};  ///< Of `verifier`.
  /// Calls of the model that choosing takes.
  [[nodiscard]] std::size_t calls() const { return rule == SelectRule::judge ? 1 : 0; }
};

/// Reads the options `name` (majority, verifier, likelihood, judge) and `verifier`, which alone means the rule of that
/// name. Errors: invalid_argument (a rule without its verifier, a bad verifier), unsupported (a command).
[[nodiscard]] base::Result<SelectOptions> read_select(OptionReader& reader, std::string_view name);

/// Chooses one of the paths, whose answers are set: marks it, sets scores, and names the selector. Where nothing can be
/// chosen (all abstain) the answer stays empty. Errors: those of the judge's call.
[[nodiscard]] Program<Thought> choose(Thinking& thinking, std::vector<ThoughtPath> paths, const SelectOptions& options);

/// Indices of paths, the best first: by the verifier's score, else by how many come to the same; of equals the more
/// likely one, then the earlier one. Errors: the verifier's.
[[nodiscard]] base::Result<std::vector<std::size_t>> ranked(const std::vector<ThoughtPath>& paths,
                                                            const Verifier* verifier);

}  // namespace plait::reasoning
