// SPDX-License-Identifier: Apache-2.0
//
// What a paper claims beside what is measured here: the table that reports of experiments begin with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluation/experiment.h"
#include "evaluation/proportion.h"
#include "text/json.h"

namespace plait::evaluation {

struct Claim {
  std::string what = {};
  std::string paper = "-";  ///< Its figure, or that of whoever says so.
  double ours = 0;
  std::string baseline = "-";        ///< The simplest one's figure, and what it is.
  std::size_t n = 0;                 ///< What was measured so often; 0: it was not.
  std::optional<double> error = {};  ///< Standard error, where there is chance.
};

class ClaimTable {
 public:
  explicit ClaimTable(std::uint64_t seed) : seed_(seed) {}

  void add(Claim claim) { claims_.push_back(std::move(claim)); }
  void add(std::string what, std::string paper, const Proportion& ours, std::string baseline = "-");
  [[nodiscard]] std::string text() const;
  [[nodiscard]] text::Json json() const;

 private:
  std::uint64_t seed_;
  std::vector<Claim> claims_;
};

/// The wall clock of rows that run together, beside the same one after another.
struct PaceClaim {
  std::string what = {};
  std::string paper = "-";
  std::size_t width = 8;
  double limit = 0;
  bool serial_over_batch = false;  ///< The ratio is a gain, at least the limit; else a share, at most that.
};
/// Measures it on the model of the options and adds the row and its gate. Without a model: a row that says so.
[[nodiscard]] base::Result<void> add_pace(const ExperimentOptions& options, const PaceClaim& claim, ClaimTable& table,
                                          std::vector<Gate>& gates);

}  // namespace plait::evaluation
