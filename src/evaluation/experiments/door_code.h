// SPDX-License-Identifier: Apache-2.0
//
// Whether a worker really reads another one's unfinished text: Alice is made to write a random code of four digits, Bob
// to repeat it, and what counts is how surprised the model is at Bob's digits. Source: the visibility figure of
// "Hogwild! Inference" (arXiv 2504.06261) as plait measures it.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/runner.h"
#include "models/tokenizer.h"

namespace plait::evaluation {

/// How Bob stands to Alice.
enum class DoorCase {
  isolated,             ///< Bob does not see her.
  concatenated,         ///< Prompt, her text and his are one sequence, but the prompt is computed by itself.
  concatenated_header,  ///< The same with a header between the two.
  finished,             ///< He sees her finished text, computed apart from his (contiguous).
  finished_in_history,  ///< The same with a header in front of his own text (combined).
  lead_2,               ///< Both write at the same time, a header between them. Her digits come two steps before his,
  lead_1,               ///< one step: at the step that predicts his digit hers is fed,
  lead_0,               ///< at the same step: too late.
  views_before,         ///< `lead_1`, but views are made before tokens are appended: a step too late.
  withheld,             ///< As `finished`, but her text has no code.
};
[[nodiscard]] std::string_view name(DoorCase which);

struct DoorOptions {
  std::size_t codes = 100;
  std::uint64_t seed = 1;
};

/// Nats per digit, for each code the mean of its four digits.
using DoorFigures = std::map<DoorCase, std::vector<double>>;

/// Errors: those of the engine; unsupported (the vocabulary has no token for each digit).
[[nodiscard]] base::Result<DoorFigures> run_door_codes(engine::Runner& runner, const models::Tokenizer& tokenizer,
                                                       const DoorOptions& options);

}  // namespace plait::evaluation
