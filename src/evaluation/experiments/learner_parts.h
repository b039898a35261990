// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evaluation/experiment.h"
#include "evaluation/experiments/claim_table.h"

namespace plait::evaluation {

/// What the parts of the report on learners add to.
struct LearnerParts {
  explicit LearnerParts(std::uint64_t drawn) : seed(drawn), table(drawn) {}

  std::uint64_t seed;  ///< Of problems.
  ClaimTable table;
  std::vector<Gate> gates = {};
  std::string text = {};
  text::Json json = text::Json::object();
  std::vector<ChartPanel> panels = {};
};

}  // namespace plait::evaluation
