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

bool passes(const ExperimentReport& report, bool quick) {
  return std::ranges::all_of(report.gates, [&](const Gate& gate) { return gate.holds() || (quick && !gate.exact); });
}

std::string summary_text(const std::vector<ExperimentRun>& runs) {
  std::size_t name = 10;
  std::size_t what = 4;
  for (const ExperimentRun& run : runs) {
    name = std::max(name, run.name.size());
    if (!run.report) continue;
    for (const Gate& gate : run.report->gates) what = std::max(what, gate.what.size());
  }
  std::string text =
      fmt::format("{:<{}}  {:<{}}  {:>10}  {:>13}  holds\n", "experiment", name, "what", what, "value", "limit");
  for (const ExperimentRun& run : runs) {
    if (!run.report) {
      text += fmt::format("{:<{}}  did not run: {}\n", run.name, name, run.report.error().text());
      continue;
    }
    for (const Gate& gate : run.report->gates) {
      const std::string limit = fmt::format("{} {:.4g}", gate.at_most ? "<=" : ">=", gate.limit);
      text += fmt::format("{:<{}}  {:<{}}  {:>10.4g}  {:>13}  {}\n", run.name, name, gate.what, what, gate.value, limit,
                          gate.holds() ? "yes" : "NO");
    }
  }
  return text;
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
