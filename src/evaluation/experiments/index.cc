// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "index/skiplist_bench_loads.h"

namespace plait::evaluation {
namespace {

namespace bench = index::bench;
using bench::Figure;
using bench::Table;

/// Medians over rounds of one map on one load, and of ours beside it.
struct Cell {
  double rate = 0;    ///< Operations per microsecond.
  double p99_ns = 0;  ///< Of an operation.
  double ratio = 0;   ///< Our rate by this one, with the least and the most over rounds.
  double ratio_min = 0;
  double ratio_max = 0;
  double p99_ratio = 0;  ///< Our p99 by this one.
};

Cell cell_of(const std::vector<Figure>& figures, const std::vector<Figure>& ours) {
  std::vector<double> rates;
  std::vector<double> tails;
  std::vector<double> ratios;
  std::vector<double> tail_ratios;
  for (std::size_t i = 0; i < figures.size(); ++i) {
    rates.push_back(figures[i].operations_per_us);
    tails.push_back(figures[i].p99_ns);
    ratios.push_back(ours[i].operations_per_us / figures[i].operations_per_us);
    tail_ratios.push_back(ours[i].p99_ns / figures[i].p99_ns);
  }
  return {.rate = bench::median(rates),
          .p99_ns = bench::median(tails),
          .ratio = bench::median(ratios),
          .ratio_min = std::ranges::min(ratios),
          .ratio_max = std::ranges::max(ratios),
          .p99_ratio = bench::median(tail_ratios)};
}

/// The cell of a map and a load; nothing if either was not run.
std::optional<Cell> find(const std::vector<Table>& tables, int threads, std::string_view map, std::string_view load) {
  for (const Table& table : tables) {
    const auto at_map = std::ranges::find(table.maps, map) - table.maps.begin();
    const auto at_row = std::ranges::find(table.rows, load) - table.rows.begin();
    if (table.threads != threads || static_cast<std::size_t>(at_map) == table.maps.size() ||
        static_cast<std::size_t>(at_row) == table.rows.size()) {
      continue;
    }
    const auto& row = table.figures[static_cast<std::size_t>(at_row)];
    return cell_of(row[static_cast<std::size_t>(at_map)], row[0]);
  }
  return std::nullopt;
}

std::vector<Gate> gates(const std::vector<Table>& tables) {
  std::vector<Gate> all;
  for (const Table& table : tables) {
    for (const auto& [load, limit] :
         {std::pair{"loading", 2.0}, {"C, uniform", 2.0}, {"A, uniform", 2.0}, {"E, uniform", 5.0}}) {
      if (const auto cell = find(tables, table.threads, bench::kTbb, load)) {
        all.push_back({fmt::format("{} threads, {}: plait / oneTBB", table.threads, load), cell->ratio, limit, false});
      }
    }
  }
  for (const std::string_view load : {"loading", "C, uniform", "A, uniform", "E, uniform"}) {
    if (const auto cell = find(tables, 1, bench::kAbsl, load)) {
      all.push_back({fmt::format("1 thread, {}: plait / absl::btree_map and a lock", load), cell->ratio, 0.9, false});
    }
    if (const auto cell = find(tables, 2, bench::kTbb, load)) {
      all.push_back({fmt::format("2 threads, {}: p99, plait / oneTBB", load), cell->p99_ratio, 1.0 / 3});
    }
  }
  const auto one = find(tables, 1, bench::kOurs, "C, uniform");
  const auto two = find(tables, 2, bench::kOurs, "C, uniform");
  if (one && two) all.push_back({"C, uniform: 2 threads / 1 thread", two->rate / one->rate, 1.6, false});
  return all;
}

std::string tables_text(const std::vector<Table>& tables, const bench::ComparisonOptions& options) {
  std::string text = fmt::format(
      "{} keys, {} operations, {} rounds, seed {}. Operations/us and p99 in ns; behind them plait's rate by this map's "
      "(least to most), and p99 by its p99.\n"
      "Paper, 128 threads: 2 to 9 times other skiplists, 0.9 to 1.7 times trees; p99 3.5 to 103 times lower than "
      "skiplists'.\nSimplest baseline: std::map and one lock.\n",
      options.keys, options.operations, options.rounds, options.seed);
  for (const Table& table : tables) {
    text += fmt::format("\n{} threads\n{:<13}", table.threads, "");
    for (const std::string& map : table.maps) text += fmt::format("  {:<44}", map);
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      text += fmt::format("\n{:<13}", table.rows[row]);
      for (std::size_t map = 0; map < table.maps.size(); ++map) {
        const Cell cell = cell_of(table.figures[row][map], table.figures[row][0]);
        const std::string plain = fmt::format("{:.2f}, p99 {:.0f}", cell.rate, cell.p99_ns);
        const std::string beside = map == 0 ? ""
                                            : fmt::format(": {:.2f} ({:.2f} to {:.2f}), p99 {:.2f}", cell.ratio,
                                                          cell.ratio_min, cell.ratio_max, cell.p99_ratio);
        text += fmt::format("  {:<44}", plain + beside);
      }
    }
    text += '\n';
  }
  return text;
}

text::Json tables_json(const std::vector<Table>& tables) {
  text::Json json = text::Json::array();
  for (const Table& table : tables) {
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      for (std::size_t map = 0; map < table.maps.size(); ++map) {
        const Cell cell = cell_of(table.figures[row][map], table.figures[row][0]);
        json.push_back({{"threads", table.threads},
                        {"load", table.rows[row]},
                        {"map", table.maps[map]},
                        {"operations_per_us", cell.rate},
                        {"p99_ns", cell.p99_ns},
                        {"ratio", cell.ratio},
                        {"ratio_min", cell.ratio_min},
                        {"ratio_max", cell.ratio_max},
                        {"p99_ratio", cell.p99_ratio}});
      }
    }
  }
  return json;
}

Chart figure(const std::vector<Table>& tables) {
  Chart chart{.title = "plait's ordered map beside others",
              .x_label = "load: loading, C, B, A, E; uniform, then Zipf",
              .y_label = "operations/s, plait / other",
              .panels = {},
              .columns = 2};
  for (const Table& table : tables) {
    ChartPanel panel{.title = fmt::format("{} threads", table.threads), .series = {}};
    for (std::size_t map = 1; map < table.maps.size(); ++map) {
      ChartSeries series{.name = table.maps[map], .x = {}, .y = {}};
      for (std::size_t row = 0; row < table.rows.size(); ++row) {
        series.x.push_back(static_cast<double>(row));
        series.y.push_back(cell_of(table.figures[row][map], table.figures[row][0]).ratio);
      }
      panel.series.push_back(std::move(series));
    }
    chart.panels.push_back(std::move(panel));
  }
  return chart;
}

base::Result<ExperimentReport> run(const ExperimentOptions& options) {
  bench::ComparisonOptions sizes{.operations = 300'000};
  if (options.quick) sizes = {.keys = 3000, .operations = 1000, .threads = {1, 2}, .rounds = 1, .loads = 1, .seed = 1};
  sizes.keys = static_cast<std::size_t>(std::max(1000.0, std::round(static_cast<double>(sizes.keys) * options.scale)));
  std::vector<Table> tables;
  bench::compare_maps(sizes, [&](Table table) { tables.push_back(std::move(table)); });
  ExperimentReport report{.text = tables_text(tables, sizes), .chart = figure(tables), .gates = gates(tables)};
  report.json = {{"experiment", "index"},  {"keys", sizes.keys},           {"operations", sizes.operations},
                 {"rounds", sizes.rounds}, {"cells", tables_json(tables)}, {"gates", gates_json(report.gates)}};
  return report;
}

}  // namespace

Experiment index_experiment() {
  return {.name = "index", .about = "The ordered map beside others, on the loads of YCSB", .run = run};
}

}  // namespace plait::evaluation
