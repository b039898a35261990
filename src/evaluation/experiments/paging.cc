// SPDX-License-Identifier: Apache-2.0
//
// Every seed makes a trace, errors in its bits and draws of the policies. A cell is one trace, cache size, share of
// wrong bits and policy; its figure is the mean over seeds of faults divided by the optimum's faults on the same trace.
#include "evaluation/experiments/paging.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "engine/page_trace.h"
#include "engine/paging_replay.h"

namespace plait::evaluation {
namespace {

using engine::EvictionKind;

constexpr std::array kErrors{0.0, 0.05, 0.2, 0.5, 1.0};
constexpr std::array<std::uint32_t, 2> kPages{8, 32};
enum class Shape { session, zipf, loop };
constexpr std::array kShapes{Shape::session, Shape::zipf, Shape::loop};

struct Scale {
  std::size_t requests = 4000;
  std::uint32_t seeds = 34;  // 3 traces, 2 sizes, 5 shares of errors: 1,020 cases
};

std::string_view name(Shape shape) {
  return shape == Shape::session ? "session" : shape == Shape::zipf ? "zipf" : "loop";
}

engine::PageTrace make_trace(Shape shape, std::uint32_t pages, std::size_t requests, std::uint64_t seed) {
  switch (shape) {
    case Shape::session:
      return engine::session_trace({.requests = requests, .seed = seed});
    case Shape::zipf:
      return engine::zipf_trace(requests, 3 * pages + 4, 0.8, seed);
    case Shape::loop:
      return engine::loop_trace(requests, pages + pages / 4);
  }
  return {};
}

/// One trace, size, share of errors and policy, over all seeds.
struct Cell {
  Shape shape = Shape::session;
  std::uint32_t pages = 0;
  double errors = 0;
  EvictionKind kind = EvictionKind::lru;
  double mean = 0;  ///< Of faults / optimum.
  double least = INFINITY;
  double most = 0;
  double bound = NAN;      ///< The paper's, as a mean over seeds of bound / optimum, without its constant.
  int bounds_broken = 0;   ///< Of its seeds for flush; 1 for a mean of the random ones; its constant is `pages`.
  double mean_excess = 0;  ///< Mean of faults - bound, in faults.
};

/// The cells of one trace, size and share of errors, in the order of kEvictionKinds.
std::vector<Cell> measure(Shape shape, std::uint32_t pages, double errors, const Scale& scale) {
  std::vector<Cell> cells;
  for (const EvictionKind kind : engine::kEvictionKinds) cells.push_back({shape, pages, errors, kind});
  for (std::uint64_t seed = 0; seed < scale.seeds; ++seed) {
    const engine::PageTrace trace = make_trace(shape, pages, scale.requests, seed);
    const engine::ReplayReport report =
        engine::replay(trace, {.pages = pages, .errors = errors, .seeds = 1, .seed = seed});
    const auto optimum = static_cast<double>(report.optimum);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      Cell& cell = cells[i];
      const double faults = report.policies[i].mean();
      cell.mean += faults / optimum / scale.seeds;
      cell.least = std::min(cell.least, faults / optimum);
      cell.most = std::max(cell.most, faults / optimum);
      if (!report.policies[i].bound) continue;
      const double bound = *report.policies[i].bound;
      cell.bound = (seed == 0 ? 0 : cell.bound) + bound / optimum / scale.seeds;
      cell.mean_excess += (faults - bound) / scale.seeds;
      if (cell.kind == EvictionKind::flush && faults > bound + pages) ++cell.bounds_broken;
    }
  }
  for (Cell& cell : cells) {
    if (cell.kind != EvictionKind::flush && cell.mean_excess > pages) cell.bounds_broken = 1;
  }
  return cells;
}

std::vector<Cell> measure_all(const Scale& scale) {
  std::vector<Cell> cells;
  for (const std::uint32_t pages : kPages) {
    for (const Shape shape : kShapes) {
      for (const double errors : kErrors) {
        const std::vector<Cell> more = measure(shape, pages, errors, scale);
        cells.insert(cells.end(), more.begin(), more.end());
      }
    }
  }
  return cells;
}

const Cell& cell_of(const std::vector<Cell>& cells, Shape shape, std::uint32_t pages, double errors,
                    EvictionKind kind) {
  return *std::ranges::find_if(cells, [&](const Cell& cell) {
    return cell.shape == shape && cell.pages == pages && cell.errors == errors && cell.kind == kind;
  });
}

std::vector<Gate> gates(const std::vector<Cell>& cells) {
  const auto mean = [&](Shape shape, std::uint32_t pages, double errors, EvictionKind kind) {
    return cell_of(cells, shape, pages, errors, kind).mean;
  };
  Gate exact{"flush and mark0 with right bits, the worst of all traces and seeds", 0, 1};
  Gate bounds{"bounds broken, all policies, traces, seeds and shares of wrong bits", 0, 0};
  for (const Cell& cell : cells) {
    const bool must_be_exact = cell.kind == EvictionKind::flush || cell.kind == EvictionKind::mark0;
    if (cell.errors == 0 && must_be_exact) exact.value = std::max(exact.value, cell.most);
    bounds.value += cell.bounds_broken;
  }
  std::vector<Gate> all{
      exact,
      {"session, k = 32, 5 % wrong: mark0", mean(Shape::session, 32, 0.05, EvictionKind::mark0), 1.10},
      {"session, k = 32, 5 % wrong: lru, the simplest baseline", mean(Shape::session, 32, 0.05, EvictionKind::lru), 1.3,
       false},
      {"zipf, k = 32, 5 % wrong: mark0", mean(Shape::zipf, 32, 0.05, EvictionKind::mark0), 1.25},
      {"loop, k = 32, 5 % wrong: mark0", mean(Shape::loop, 32, 0.05, EvictionKind::mark0), 1.25},
      bounds};
  for (const std::uint32_t pages : kPages) {
    for (const Shape shape : kShapes) {
      all.push_back({fmt::format("{}, k = {}, every bit wrong: guarded / lru", name(shape), pages),
                     mean(shape, pages, 1, EvictionKind::guarded) / mean(shape, pages, 1, EvictionKind::lru), 1.15});
    }
  }
  return all;
}

/// A table for each trace and size: rows of shares of errors, columns of policies, then the paper's bounds.
std::string tables(const std::vector<Cell>& cells, const Scale& scale) {
  constexpr std::array kBounded{EvictionKind::flush, EvictionKind::mark0, EvictionKind::mark_predict};
  std::string text = fmt::format(
      "Faults / optimum, mean of {} seeds, {} requests each. Baseline: lru. Ours: guarded (mark0 beside lru).\n"
      "Bounds: the paper's, divided by the optimum, without the additive constant.\n",
      scale.seeds, scale.requests);
  for (const std::uint32_t pages : kPages) {
    for (const Shape shape : kShapes) {
      text += fmt::format("\n{}, k = {}\n{:>6}", name(shape), pages, "wrong");
      for (const EvictionKind kind : engine::kEvictionKinds) text += fmt::format(" {:>13}", engine::name(kind));
      text += "   bounds:";
      for (const EvictionKind kind : kBounded) text += fmt::format(" {:>13}", engine::name(kind));
      for (const double errors : kErrors) {
        text += fmt::format("\n{:>6.2f}", errors);
        for (const EvictionKind kind : engine::kEvictionKinds) {
          text += fmt::format(" {:>13.3f}", cell_of(cells, shape, pages, errors, kind).mean);
        }
        text += fmt::format("{:>10}", "");
        for (const EvictionKind kind : kBounded) {
          text += fmt::format(" {:>13.2f}", cell_of(cells, shape, pages, errors, kind).bound);
        }
      }
      text += '\n';
    }
  }
  return text;
}

text::Json cells_json(const std::vector<Cell>& cells) {
  text::Json json = text::Json::array();
  for (const Cell& cell : cells) {
    json.push_back({{"trace", name(cell.shape)},
                    {"pages", cell.pages},
                    {"errors", cell.errors},
                    {"policy", engine::name(cell.kind)},
                    {"mean", cell.mean},
                    {"least", cell.least},
                    {"most", cell.most},
                    {"bound", std::isnan(cell.bound) ? text::Json(nullptr) : text::Json(cell.bound)}});
  }
  return json;
}

Chart figure(const std::vector<Cell>& cells) {
  Chart chart{.title = "Faults beside the optimum, by the share of wrong bits",
              .x_label = "share of wrong bits",
              .y_label = "faults / optimum",
              .panels = {}};
  for (const std::uint32_t pages : kPages) {
    for (const Shape shape : kShapes) {
      ChartPanel panel{.title = fmt::format("{}, k = {}", name(shape), pages), .series = {}};
      for (const EvictionKind kind : engine::kEvictionKinds) {
        ChartSeries series{.name = std::string(engine::name(kind)), .x = {}, .y = {}};
        for (const double errors : kErrors) {
          series.x.push_back(errors);
          series.y.push_back(cell_of(cells, shape, pages, errors, kind).mean);
        }
        panel.series.push_back(std::move(series));
      }
      chart.panels.push_back(std::move(panel));
    }
  }
  return chart;
}

base::Result<ExperimentReport> run(const ExperimentOptions& options) {
  const Scale scale = options.quick ? Scale{.requests = 400, .seeds = 2} : Scale{};
  const std::vector<Cell> cells = measure_all(scale);
  ExperimentReport report{.text = tables(cells, scale)};
  report.gates = gates(cells);
  report.json = {{"experiment", "paging"},     {"requests", scale.requests},
                 {"seeds", scale.seeds},       {"cases", kShapes.size() * kPages.size() * kErrors.size() * scale.seeds},
                 {"cells", cells_json(cells)}, {"gates", gates_json(report.gates)}};
  report.chart = figure(cells);
  return report;
}

}  // namespace

Experiment paging_experiment() {
  return {.name = "paging", .about = "Eviction told by one bit a page: faults beside the optimum", .run = run};
}

}  // namespace plait::evaluation
