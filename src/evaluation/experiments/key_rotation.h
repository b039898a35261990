// SPDX-License-Identifier: Apache-2.0
//
// The other way to let rows see each other at moving positions: turn the keys, not the queries. A reader's positions of
// the others' tokens move whenever somebody in front of them grows, so at each step each reader needs these keys turned
// anew, a copy of its own. Source: the official code of "Hogwild! Inference" (eqimp/hogwild_llm), in its simplest form.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "kernels/rope.h"
#include "models/model.h"
#include "parallel/team.h"
#include "tensor/half.h"

namespace plait::evaluation {

/// Only that work, on keys of random numbers: f16 made floats, turned, and stored as f16, for all layers and key-value
/// heads. It is the least that this way can cost: keys lie as the rotation wants them, each token after the other; a
/// reader's own keys and the prompt stay as they are; copies are written into the same memory for all layers; and that
/// rows can then no longer share the reading of a span does not count.
class KeyRotation {
 public:
  /// For up to so many rows and tokens of each. Model and team must outlive it.
  KeyRotation(const models::Model& model, parallel::Team& team, std::size_t rows_most, std::size_t tokens_most);

  /// What `rows` rows behind one prompt need while they write so many tokens each.
  /// Requires: no more rows and tokens than said before.
  void run(std::size_t rows, std::size_t prompt, std::size_t tokens);

 private:
  /// What one reader needs of another row: its angles.
  struct History {
    std::size_t row = 0;
    std::array<std::vector<float>, models::kLayerGroups> cos = {};  ///< [pairs]
    std::array<std::vector<float>, models::kLayerGroups> sin = {};
  };
  void place(std::size_t rows, std::size_t prompt, std::size_t length);
  void turn(std::size_t layer, std::size_t history, std::size_t head, std::size_t length);

  const models::Model& model_;
  parallel::Team& team_;
  std::size_t rows_most_;
  std::size_t head_numbers_;  ///< Of a row's keys in one head: tokens times dims.
  std::array<kernels::RopeTable, models::kLayerGroups> tables_;
  std::vector<tensor::f16> keys_;        ///< [layer][row][head][token][dim]
  std::vector<float> floats_;            ///< [history][head][token][dim]
  std::vector<tensor::f16> turned_;      ///< The same.
  std::vector<History> histories_ = {};  ///< [reader * (rows - 1) + other]
};

}  // namespace plait::evaluation
