// SPDX-License-Identifier: Apache-2.0
//
// One answer out of several. Every choice names the selector that made it: a majority needs nothing but the answers, a
// verifier is an oracle, and the figures of one say nothing about the other ("To Backtrack or Not to Backtrack", arXiv
// 2504.07052). Results depend on the set of candidates only, never on the order in which they came. Pure but for the
// verifier.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "reasoning/verifier.h"

namespace plait::reasoning {

struct Candidate {
  std::size_t index = 0;    ///< Of its path: no two candidates share it.
  std::string answer = {};  ///< As final_answer() gives it.
  double mean_logprob = 0;  ///< Of its tokens; the same for all if unknown. Not a number: less than any other.
  bool abstains = false;    ///< Says itself that it has none.
};

enum class Selector { majority, likelihood, verifier, score };
/// "majority", "likelihood", "verifier", "score".
[[nodiscard]] std::string_view name(Selector selector);

/// What was chosen, and out of what.
struct Choice {
  Selector selector = Selector::majority;
  std::optional<std::size_t> index = {};  ///< Of the candidate; nothing if none came into question.
  std::string answer = {};                ///< The candidate's, as it is.
  std::size_t candidates = 0;
  std::size_t abstained = 0;  ///< Of them: those that say so, and those without an answer.
  std::size_t votes = 0;      ///< For this answer: candidates whose answer has the same normal form.
  double score = 0;           ///< By likelihood the mean log-probability, by a verifier its score, else 0.
};

/// The answer of most candidates, compared in normal form. Of answers with equally many the one whose best candidate is
/// better, and of that answer the best candidate: the one with the larger mean log-probability, then the smaller index
/// ("Outline-Guided Path Exploration", arXiv 2602.08344).
[[nodiscard]] Choice majority_vote(std::span<const Candidate> candidates);

/// The candidate with the largest mean log-probability, then the smallest index.
[[nodiscard]] Choice most_likely(std::span<const Candidate> candidates);

/// The first candidate by index whose answer is verified; later ones are not looked at. Errors: the verifier's.
[[nodiscard]] base::Result<Choice> first_verified(std::span<const Candidate> candidates, const Verifier& verifier);

/// The candidate with the highest score, then as most_likely(). Errors: the verifier's.
[[nodiscard]] base::Result<Choice> highest_score(std::span<const Candidate> candidates, const Verifier& verifier);

/// What stands in the last complete `\boxed{…}` of a text, braces balanced, a part of `text`; nothing where there is
/// none.
[[nodiscard]] std::optional<std::string_view> boxed(std::string_view text);

/// The part of a text that counts as its answer, trimmed: what stands in the last `\boxed{…}`; else what follows the
/// last "answer:" or "answer is", in any case, on its line or, if there is nothing, on the next line that has
/// something; else the last line that is not empty. Linear time.
[[nodiscard]] std::string final_answer(std::string_view text);

}  // namespace plait::reasoning
