// SPDX-License-Identifier: Apache-2.0
//
// How well a model predicts a text, and how far two models' predictions are apart, position by position (teacher
// forcing: every prediction sees the text's own tokens before it).
//
// The text is cut into windows that are read on their own; the second half of each window is scored, so that every
// scored token has at least half a window of context. This is how llama.cpp's perplexity tool scores, position for
// position.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "models/model.h"
#include "parallel/team.h"

namespace plait::models {

struct ScoreOptions {
  std::size_t window = 512;                       ///< Tokens read together. At least 4.
  std::size_t windows_max = 0;                    ///< Most windows to read; 0: all whole windows of the text.
  std::optional<base::TokenId> first_token = {};  ///< Stands in for each window's first token (models that want one).
  /// Called after each window with windows done and in all; false stops with `interrupted`. May be empty.
  std::function<bool(std::size_t done, std::size_t total)> progress = {};
};

struct Candidate {
  base::TokenId token = base::kNoToken;
  float logit = 0;
};

/// One prediction: what was thought about the token at `index` of the text.
struct PositionScore {
  std::size_t index = 0;
  base::TokenId token = base::kNoToken;  ///< What the text has there.
  base::TokenId top = base::kNoToken;    ///< The likeliest token; the lowest id among equals.
  double log_probability = 0;            ///< Of `token`, natural.
  // Against a base model, else zero:
  double base_log_probability = 0;
  double divergence = 0;                   ///< KL(base || model) in nats.
  std::array<Candidate, 8> base_top = {};  ///< The base's likeliest tokens, descending.
};

/// Scores the text with `model` and, if not null, compares with `base`, which must have the same vocabulary.
/// Errors: invalid_argument (text shorter than a window, window beyond a context, vocabularies differ); those of
/// forward(); interrupted.
[[nodiscard]] base::Result<std::vector<PositionScore>> score_text(const Model& model, const Model* base,
                                                                  std::span<const base::TokenId> tokens,
                                                                  const ScoreOptions& options, parallel::Team& team);

/// A mean over positions and its standard error.
struct Estimate {
  double value = 0;
  double error = 0;
};

struct ScoreSummary {
  std::size_t positions = 0;
  Estimate perplexity;
  // Against a base model, else zero:
  Estimate base_perplexity;
  Estimate divergence;  ///< Mean KL(base || model).
  Estimate same_top;    ///< Share of positions where both have the same likeliest token.
  double margin_max =
      0;  ///< Of all positions where they differ: the most by which the base prefers its own, in logits.
};

[[nodiscard]] ScoreSummary summarise(std::span<const PositionScore> scores);

}  // namespace plait::models
