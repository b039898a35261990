// SPDX-License-Identifier: Apache-2.0
//
// What the lab can run: an experiment measures the claims of one paper and says whether they hold here. The registry is
// an object that main() fills; nothing registers itself.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "evaluation/chart.h"
#include "text/json.h"

namespace plait::evaluation {

struct ExperimentOptions {
  bool quick = false;                   ///< Small enough for a test of the program; its figures mean nothing.
  double scale = 1;                     ///< Makes what is repeated (trajectories, keys) so many times more. > 0.
  std::filesystem::path model = {};     ///< File of the model, for experiments that run one.
  std::filesystem::path learners = {};  ///< Folder of trained models, for the experiment that compares them.
};

/// A figure and the line that it must not cross.
struct Gate {
  std::string what;
  double value = 0;
  double limit = 0;
  bool at_most = true;  ///< Else: at least.
  bool exact = false;   ///< Holds at any size and speed, so a quick run is held to it too.

  [[nodiscard]] bool holds() const { return at_most ? value <= limit : value >= limit; }
};

struct ExperimentReport {
  std::string text;      ///< Tables for people: ours, the paper's bound, the simplest baseline.
  text::Json json = {};  ///< The same for programs.
  Chart chart = {};      ///< The figure.
  std::vector<Gate> gates = {};
};

/// The gates as lines, and as an array of objects.
[[nodiscard]] std::string gates_text(const std::vector<Gate>& gates);
[[nodiscard]] text::Json gates_json(const std::vector<Gate>& gates);

/// Whether all gates hold that a run is held to: all, or the exact ones of a quick one.
[[nodiscard]] bool passes(const ExperimentReport& report, bool quick);

/// One of several experiments that ran one after the other.
struct ExperimentRun {
  std::string name;
  base::Result<ExperimentReport> report;
};
/// One table of all gates: experiment, what, value, limit, whether it holds. Of an experiment that failed: why.
[[nodiscard]] std::string summary_text(const std::vector<ExperimentRun>& runs);

struct Experiment {
  std::string name;   ///< As in `plait-lab run NAME`.
  std::string about;  ///< One line.
  std::function<base::Result<ExperimentReport>(const ExperimentOptions&)> run;
};

class ExperimentRegistry {
 public:
  /// Requires: no other experiment has this name.
  void add(Experiment experiment);
  /// The experiment of a name, or null. Valid until the next add().
  [[nodiscard]] const Experiment* find(std::string_view name) const;
  /// In the order of add().
  [[nodiscard]] const std::vector<Experiment>& all() const { return experiments_; }

 private:
  std::vector<Experiment> experiments_;
};

}  // namespace plait::evaluation
