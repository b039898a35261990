// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/ope.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "evaluation/countdown.h"
#include "evaluation/experiments/claim_table.h"
#include "evaluation/experiments/ope_arms.h"
#include "evaluation/experiments/ope_runs.h"
#include "evaluation/proportion.h"

namespace plait::evaluation {
namespace {

using base::Result;

constexpr std::uint64_t kSeed = 53;
constexpr std::size_t kOrders = 100;

/// A row of the card's table.
struct Cell {
  double temperature = 0;
  std::size_t paths = 0;
  std::string prototype = {};  ///< pass@N, independent and with outlines.
  double ratio_least = 0;      ///< 0: no gate.
  double ratio_most = 0;
  bool distinct = false;  ///< The gate asks for as many first moves as paths.
};

std::vector<Cell> all_cells() {
  return {{.temperature = 2, .paths = 8, .prototype = ".361 .458", .ratio_least = 1.10, .distinct = true},
          {.temperature = 4, .paths = 8, .prototype = ".376 .427", .ratio_least = 1.10, .distinct = true},
          {.temperature = 4, .paths = 16, .prototype = ".427 .591", .ratio_least = 1.15},
          {.temperature = 8, .paths = 16, .prototype = ".480 .572", .ratio_least = 1.15},
          {.temperature = 16, .paths = 8, .prototype = ".373 .393", .ratio_most = 1.10}};
}

struct CellFigures {
  Cell cell;
  ArmFigures independent;
  ArmFigures outlines;
  ArmFigures one_outline;
  std::vector<Proportion> hotter = {};  ///< pass@N of independent paths at 2 and 4 times the temperature.
  Proportion one_more = {};             ///< Of one independent path more, which is more tokens than outlines take.
  Discordant discordant = {};           ///< Outlines first.
  [[nodiscard]] double ratio(const ArmFigures& arm) const {
    return arm.pass.value() / std::max(1e-9, independent.pass.value());
  }
  [[nodiscard]] double tokens_ratio() const { return outlines.tokens.value() / independent.tokens.value(); }
  [[nodiscard]] std::string name() const { return fmt::format("T = {}, N = {}", cell.temperature, cell.paths); }
};

CellFigures run_cell(const Cell& cell, std::span<const CountdownProblem> problems) {
  const auto arm = [&](double temperature, PathArm which) {
    return run_arm(problems, temperature, cell.paths, which, kSeed + static_cast<std::uint64_t>(which));
  };
  CellFigures figures{.cell = cell,
                      .independent = arm(cell.temperature, PathArm::independent),
                      .outlines = arm(cell.temperature, PathArm::outlines),
                      .one_outline = arm(cell.temperature, PathArm::one_outline)};
  for (const double times : {2.0, 4.0}) {
    figures.hotter.push_back(arm(times * cell.temperature, PathArm::independent).pass);
  }
  figures.one_more =
      run_arm(problems, cell.temperature, cell.paths + 1, PathArm::independent, kSeed).pass;  // the same and another
  figures.discordant = compare(figures.outlines, figures.independent);
  return figures;
}

std::string cells_text(const std::vector<CellFigures>& cells, double moves) {
  std::string text =
      fmt::format("{:<14}  {:>6} {:>6}  {:>5}  {:>8}  {:>9} {:>6}  {:>13}  {:>11}  {:>11}  {:>11}  {:>11}  {:>9}\n", "",
                  "pass@N", "ways", "ratio", "McNemar", "majority", "ways", "at 2T and 4T", "first moves", "values",
                  "shared", "tokens", "one way");
  for (const CellFigures& c : cells) {
    const auto both = [](const Mean& a, const Mean& b) { return fmt::format("{:.2f} {:.2f}", a.value(), b.value()); };
    const ArmFigures& i = c.independent;
    const ArmFigures& o = c.outlines;
    text += fmt::format(
        "{:<14}  {:>6.3f} {:>6.3f}  {:>5.2f}  {:>8.1e}  {:>9.3f} {:>6.3f}  {:>6.3f} {:>6.3f}  {:>11}  {:>11}  {:>11}  "
        "{:>11}  {:>9.3f}\n",
        c.name(), i.pass.value(), o.pass.value(), c.ratio(o), c.discordant.p(), i.majority.value(), o.majority.value(),
        c.hotter[0].value(), c.hotter[1].value(), both(i.first_moves, o.first_moves), both(i.values, o.values),
        both(i.overlap, o.overlap), both(i.tokens, o.tokens), c.one_outline.pass.value());
  }
  return text +
         fmt::format(
             "pass@N counts a problem if any path is right, which takes a verifier; majority takes none. In pairs: "
             "independent, then with ways.\nA problem has {:.1f} first moves on average: 16 ways are nearly all of "
             "them.\n",
             moves);
}

void add_claims(const std::vector<CellFigures>& cells, const OpeRunFigures& runs, ClaimTable& table) {
  for (const CellFigures& c : cells) {
    const Proportion& pass = c.outlines.pass;
    table.add(
        c.name() + ": pass@N with ways (verifier)", c.cell.prototype + " (prototype)", pass,
        fmt::format("{:.3f}, independent; {:.3f}, one more of these", c.independent.pass.value(), c.one_more.value()));
  }
  const CellFigures& cold = cells.front();
  table.add({.what = cold.name() + ": different values at the end",
             .paper = "27.6 beside 23.5; 4.3 beside 2.8",
             .ours = cold.outlines.values.value(),
             .baseline = fmt::format("{:.2f}, independent", cold.independent.values.value()),
             .n = cold.outlines.values.n,
             .error = cold.outlines.values.standard_error()});
  table.add("through the strategy: N ways in, N different first moves out", "1 (card)", runs.distinct);
  table.add("a single call of the planner", "1 (card)", runs.one_plan);
  table.add("runs that are the same with two calls at a time", "1 (card)", runs.any_order);
  table.add("malformed plans: different ways or counted plain paths", "1 (card)", runs.accounted);
  table.add("ways that are no move are counted as failed paths", "1 (card)", runs.illegal_failed);
  table.add("through the strategy, T = 4, N = 8: pass@8 (verifier)", ".427 (prototype)", runs.pass_outlines,
            fmt::format("{:.3f}, best-of 8", runs.pass_best_of.value()));
  table.add({.what = "the same: tokens generated, plan included",
             .ours = runs.tokens_outlines.value(),
             .baseline = fmt::format("{:.0f}, best-of 8", runs.tokens_best_of.value()),
             .n = runs.tokens_outlines.n,
             .error = runs.tokens_outlines.standard_error()});
  table.add({.what = "paths' prompt tokens found computed",
             .ours = runs.found_computed,
             .baseline = "0, each prompt by itself",
             .n = runs.one_plan.n});
}

std::vector<Gate> gates_of(const std::vector<CellFigures>& cells, const OpeRunFigures& runs) {
  std::vector<Gate> gates{
      {"runs with N ways in and N different first moves out", runs.distinct.value(), 1, false, true},
      {"malformed plans that come to N paths, all accounted for", runs.accounted.value(), 1, false, true},
      {"runs with a single call of the planner", runs.one_plan.value(), 1, false, true},
      {"tokens computed for paths beyond one prefix, their ends, a page each", runs.prefill_excess, 0, true, true},
      {"runs that are the same in another order", runs.any_order.value(), 1, false, true},
      {"runs that count ways that are no move as failed (control)", runs.illegal_failed.value(), 1, false, true}};
  for (const CellFigures& c : cells) {
    if (c.cell.ratio_least > 0) {
      gates.push_back({c.name() + ": pass@N with ways / independent", c.ratio(c.outlines), c.cell.ratio_least, false});
      gates.push_back({c.name() + ": McNemar's p", c.discordant.p(), 0.01});
    }
    if (c.cell.ratio_most > 0) {
      gates.push_back({c.name() + " (control, no collapse): pass@N with ways / independent", c.ratio(c.outlines),
                       c.cell.ratio_most});
    }
    if (c.cell.distinct) {
      const double plain = static_cast<double>(c.outlines.filled_up);  // a few problems have fewer moves than paths
      gates.push_back({c.name() + ": different first moves, and plain paths where there are no more",
                       (c.outlines.first_moves.sum + plain) / static_cast<double>(c.outlines.first_moves.n),
                       static_cast<double>(c.cell.paths), false, true});
    }
    gates.push_back(
        {c.name() + ": tokens of a path differ from independent ones' by", std::abs(c.tokens_ratio() - 1), 0.02});
    gates.push_back({c.name() + " (control): pass@N with N times one way / independent", c.ratio(c.one_outline), 1.05});
  }
  return gates;
}

std::vector<double> counting(std::size_t count) {
  std::vector<double> x;
  for (std::size_t i = 1; i <= count; ++i) x.push_back(static_cast<double>(i));
  return x;
}

std::vector<double> summed(std::vector<double> values) {
  for (std::size_t i = 1; i < values.size(); ++i) values[i] += values[i - 1];
  return values;
}

/// Of the cell with the most paths.
Chart chart_of(const CellFigures& c) {
  const std::vector<double> independent = marginal_solves(c.independent, kOrders, kSeed);
  const std::vector<double> outlines = marginal_solves(c.outlines, 0, kSeed);
  const std::vector<double> x = counting(c.cell.paths);
  return {.title = "Paths with ways of their own",
          .x_label = "path",
          .y_label = "part of all problems",
          .panels = {{.title = c.name() + ": newly solved by the i-th path",
                      .series = {{.name = "independent", .x = x, .y = independent},
                                 {.name = "with ways", .x = x, .y = outlines}}},
                     {.title = c.name() + ": solved by the first i (verifier)",
                      .series = {{.name = "independent", .x = x, .y = summed(independent)},
                                 {.name = "with ways", .x = x, .y = summed(outlines)}}}},
          .columns = 2};
}

text::Json cells_json(const std::vector<CellFigures>& cells) {
  text::Json json = text::Json::array();
  for (const CellFigures& c : cells) {
    const auto arm = [&](const ArmFigures& of, std::size_t orders) {
      return text::Json{{"pass", of.pass.value()},
                        {"majority", of.majority.value()},
                        {"first_moves", of.first_moves.value()},
                        {"values", of.values.value()},
                        {"overlap", of.overlap.value()},
                        {"tokens", of.tokens.value()},
                        {"filled_up", of.filled_up},
                        {"newly_solved", marginal_solves(of, orders, kSeed)}};
    };
    json.push_back({{"temperature", c.cell.temperature},
                    {"paths", c.cell.paths},
                    {"problems", c.independent.pass.n},
                    {"independent", arm(c.independent, kOrders)},
                    {"outlines", arm(c.outlines, 0)},
                    {"one_outline", arm(c.one_outline, 0)},
                    {"mcnemar_p", c.discordant.p()}});
  }
  return json;
}

Result<ExperimentReport> run_ope_experiment(const ExperimentOptions& options) {
  const auto times = [&](double count) {
    return static_cast<std::size_t>(std::max(1.0, std::round(count * options.scale)));
  };
  const std::size_t count = options.quick ? 8 : times(1500);
  const std::size_t run = options.quick ? 3 : std::min<std::size_t>(count, times(150));
  PLAIT_TRY(const auto problems, countdown_problems({.numbers = 4, .part = CountdownPart::test, .seed = kSeed}, count));
  std::vector<CellFigures> cells;
  for (const Cell& cell : all_cells()) cells.push_back(run_cell(cell, problems));
  PLAIT_TRY(const OpeRunFigures runs, run_ope(std::span(problems).first(run), 4, 8, options.quick ? 20 : 200, kSeed));
  ClaimTable table(kSeed);
  add_claims(cells, runs, table);
  ExperimentReport report;
  report.gates = gates_of(cells, runs);
  PLAIT_TRY_VOID(
      add_pace(options, {.what = "8 paths: time together / one after another", .limit = 0.6}, table, report.gates));
  report.text = fmt::format("{} problems of CountDown with four numbers; a player that guesses, no model\n\n{}\n{}",
                            count, table.text(), cells_text(cells, mean_first_moves(problems)));
  report.json = {{"experiment", "ope"},
                 {"claims", table.json()},
                 {"cells", cells_json(cells)},
                 {"gates", gates_json(report.gates)}};
  report.chart = chart_of(cells[2]);
  return report;
}

}  // namespace

Experiment ope_experiment() {
  return {.name = "ope", .about = "Answers by ways of their own, beside independent ones", .run = run_ope_experiment};
}

}  // namespace plait::evaluation
