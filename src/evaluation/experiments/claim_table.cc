// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/claim_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/clock.h"
#include "evaluation/experiments/lab_model.h"
#include "evaluation/experiments/watching_rows.h"

namespace plait::evaluation {

void ClaimTable::add(std::string what, std::string paper, const Proportion& ours, std::string baseline) {
  add({.what = std::move(what),
       .paper = std::move(paper),
       .ours = ours.value(),
       .baseline = std::move(baseline),
       .n = ours.n,
       .error = ours.standard_error()});
}

std::string ClaimTable::text() const {
  std::size_t what = 5;
  std::size_t paper = 5;
  std::size_t baseline = 8;
  for (const Claim& claim : claims_) {
    what = std::max(what, claim.what.size());
    paper = std::max(paper, claim.paper.size());
    baseline = std::max(baseline, claim.baseline.size());
  }
  std::string text = fmt::format("{:<{}}  {:<{}}  {:>10}  {:>8}  {:<{}}  {:>8}  seed\n", "claim", what, "paper", paper,
                                 "ours", "+-", "baseline", baseline, "n");
  for (const Claim& claim : claims_) {
    const std::string ours = claim.n == 0 ? "left out" : fmt::format("{:.4g}", claim.ours);
    const std::string error = claim.error ? fmt::format("{:.2g}", *claim.error) : "exact";
    text += fmt::format("{:<{}}  {:<{}}  {:>10}  {:>8}  {:<{}}  {:>8}  {}\n", claim.what, what, claim.paper, paper,
                        ours, claim.n == 0 ? "" : error, claim.baseline, baseline, claim.n, seed_);
  }
  return text;
}

text::Json ClaimTable::json() const {
  text::Json json = text::Json::array();
  for (const Claim& claim : claims_) {
    json.push_back({{"claim", claim.what},
                    {"paper", claim.paper},
                    {"ours", claim.n == 0 ? text::Json() : text::Json(claim.ours)},
                    {"standard_error", claim.error ? text::Json(*claim.error) : text::Json()},
                    {"baseline", claim.baseline},
                    {"n", claim.n},
                    {"seed", seed_}});
  }
  return json;
}

base::Result<void> add_pace(const ExperimentOptions& options, const PaceClaim& claim, ClaimTable& table,
                            std::vector<Gate>& gates) {
  if (options.model.empty()) {
    table.add(
        {.what = claim.what, .paper = claim.paper, .baseline = "no model is here: plait model pull smollm2-135m"});
    return {};
  }
  RowsLoad load{.prompt = 512, .tokens = 32, .widths = {claim.width}, .serial_most = claim.width, .rounds = 3};
  load.how = {RowsHow::serial, RowsHow::batch};
  if (options.quick) {
    load.prompt = 48;
    load.tokens = 4;
    load.rounds = 1;
  } else {
    load.rounds = static_cast<std::size_t>(std::max(1.0, std::round(3 * options.scale))) | 1U;
  }
  PLAIT_TRY(const LabModel lab, load_lab_model(options));
  engine::ModelRunner runner(*lab.model, *lab.team);
  PLAIT_TRY(const RowsFigures rows, run_rows(runner, load, base::steady_clock()));
  const RowsHow above = claim.serial_over_batch ? RowsHow::serial : RowsHow::batch;
  const RowsHow below = claim.serial_over_batch ? RowsHow::batch : RowsHow::serial;
  const double ratio = rows.ratio(above, claim.width, below, claim.width);
  Mean spread;
  for (std::size_t i = 0; i < load.rounds; ++i) {
    spread.add(rows.seconds(above, claim.width)[i] / rows.seconds(below, claim.width)[i]);
  }
  table.add({.what = claim.what,
             .paper = claim.paper,
             .ours = ratio,
             .baseline = fmt::format("1, one after another; {} on {}", lab.name, lab.machine),
             .n = load.rounds,
             .error = spread.standard_error()});
  gates.push_back({claim.what, ratio, claim.limit, !claim.serial_over_batch});
  return {};
}

}  // namespace plait::evaluation
