// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace plait::evaluation {

std::string gates_text(const std::vector<Gate>& gates) {
  std::string text;
  for (const Gate& gate : gates) {
    text += fmt::format("{}  {}: {:.4g} ({} {:.4g})\n", gate.holds() ? "holds " : "FAILS ", gate.what, gate.value,
                        gate.at_most ? "at most" : "at least", gate.limit);
  }
  return text;
}

text::Json gates_json(const std::vector<Gate>& gates) {
  text::Json json = text::Json::array();
  for (const Gate& gate : gates) {
    json.push_back({{"what", gate.what},
                    {"value", gate.value},
                    {gate.at_most ? "at_most" : "at_least", gate.limit},
                    {"holds", gate.holds()}});
  }
  return json;
}

void ExperimentRegistry::add(Experiment experiment) {
  PLAIT_CHECK(find(experiment.name) == nullptr, experiment.name);
  experiments_.push_back(std::move(experiment));
}

const Experiment* ExperimentRegistry::find(std::string_view name) const {
  const auto at = std::ranges::find(experiments_, name, &Experiment::name);
  return at == experiments_.end() ? nullptr : &*at;
}

}  // namespace plait::evaluation
