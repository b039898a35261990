// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/lab_model.h"

#include <fmt/format.h>

#include "os/cpu.h"

namespace plait::evaluation {

base::Result<LabModel> load_lab_model(const ExperimentOptions& options) {
  if (options.model.empty()) {
    return base::fail(
        base::ErrorCode::invalid_argument,
        "the model is not here; `plait model pull smollm2-135m` fetches the usual one, --model names another");
  }
  LabModel lab;
  lab.team = std::make_unique<parallel::Team>(os::usable_cores());
  PLAIT_TRY(lab.model, models::Model::load(options.model, {}, *lab.team));
  lab.name = options.model.filename().string();
  lab.machine = fmt::format("{}, {} threads", os::cpu_features().model_name, lab.team->size());
  return lab;
}

}  // namespace plait::evaluation
