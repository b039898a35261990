// SPDX-License-Identifier: Apache-2.0
//
// Rows that name the letters of an alphabet, by a script: each names one that it sees nowhere. Rows that see each other
// divide the work, rows that do not repeat each other: whether tokens are seen as they come, made a figure. Source: the
// coverage figure of "Group Think" (arXiv 2505.11107), with a script in place of a model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluation/chart.h"
#include "text/json.h"

namespace plait::evaluation {

struct LetterOptions {
  std::size_t lists = 100;  ///< Seeds.
  std::vector<std::size_t> rows = {1, 2, 4};
};

/// [tokens of each row]: letters named so far by anybody, of all, mean over lists.
using Coverage = std::vector<double>;

struct LetterFigures {
  std::map<std::size_t, Coverage> together = {};      ///< By rows: they see each other.
  std::map<std::size_t, Coverage> independent = {};   ///< The same rows, each by itself.
  std::map<std::size_t, double> steps_together = {};  ///< Tokens of each row until all letters are named, means.
  std::map<std::size_t, double> steps_independent = {};
  std::map<std::size_t, double> repeats_together = {};  ///< Letters named more than once, per list.
  std::map<std::size_t, double> repeats_independent = {};

  /// Steps of so many rows together over those of one.
  [[nodiscard]] double steps_ratio(std::size_t rows) const;
};

/// Errors: those of the engine.
[[nodiscard]] base::Result<LetterFigures> run_letter_lists(const LetterOptions& options);

[[nodiscard]] std::string letters_text(const LetterFigures& figures);
[[nodiscard]] text::Json letters_json(const LetterFigures& figures);
[[nodiscard]] ChartPanel letters_panel(const LetterFigures& figures);

}  // namespace plait::evaluation
