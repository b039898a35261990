// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "evaluation/experiment.h"
#include "models/model.h"
#include "parallel/team.h"

namespace plait::evaluation {

/// The model of an experiment, with threads on all cores. The team outlives the model.
struct LabModel {
  std::unique_ptr<parallel::Team> team;
  std::unique_ptr<models::Model> model;
  std::string name;     ///< Of its file.
  std::string machine;  ///< "AMD EPYC, 2 threads"
};

/// Errors: invalid_argument (no model is named or here); those of loading it.
[[nodiscard]] base::Result<LabModel> load_lab_model(const ExperimentOptions& options);

}  // namespace plait::evaluation
