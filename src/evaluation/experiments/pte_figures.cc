// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/pte_figures.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "evaluation/correlation.h"

namespace plait::evaluation {
namespace {

Point point_of(const Trajectory& trajectory, const AgentShape& shape, const engine::CostRates& rates) {
  Point point{.agent = trajectory.agent, .rounds = static_cast<double>(shape.rounds), .evicts = shape.evicts};
  engine::Cost cost;
  double billed = 0;
  double generated = 0;
  double computed = 0;
  for (const ReplayRound& round : trajectory.rounds) {
    cost += engine::round_cost(round.counters, rates);
    billed += round.prompt_tokens + round.generated;
    generated += round.generated;
    computed += round.counters.computed();
    point.seconds += round.seconds;
  }
  point.measures = {cost.pte, cost.pte_cache, cost.pte_w,   cost.pte_latency, trajectory.transcript,
                    billed,   generated,      point.rounds, computed};
  return point;
}

}  // namespace

std::vector<Point> points_of(const std::vector<Trajectory>& trajectories, const std::vector<AgentShape>& shapes,
                             const engine::CostRates& rates) {
  std::vector<Point> points;
  for (const Trajectory& one : trajectories) points.push_back(point_of(one, shapes[one.agent], rates));
  return points;
}

std::vector<Point> means_of(const std::vector<Point>& points) {
  std::vector<Point> means;
  std::size_t count = 0;
  for (const Point& point : points) {  // in the order of agents
    if (means.empty() || means.back().agent != point.agent) {
      means.push_back(point);
      count = 1;
      continue;
    }
    ++count;
    const auto add = [&](double& mean, double value) { mean += (value - mean) / static_cast<double>(count); };
    add(means.back().seconds, point.seconds);
    for (std::size_t m = 0; m < kMeasures.size(); ++m) add(means.back().measures[m], point.measures[m]);
  }
  return means;
}

std::vector<Point> half(const std::vector<Point>& points, bool evicts) {
  std::vector<Point> some;
  std::ranges::copy_if(points, std::back_inserter(some), [&](const Point& point) { return point.evicts == evicts; });
  return some;
}

std::vector<double> column(const std::vector<Point>& points, std::size_t measure) {
  std::vector<double> values;
  for (const Point& point : points) values.push_back(point.measures[measure]);
  return values;
}

std::vector<double> seconds_of(const std::vector<Point>& points) {
  std::vector<double> values;
  for (const Point& point : points) values.push_back(point.seconds);
  return values;
}

double r(const std::vector<Point>& points, std::size_t measure) {
  return pearson(column(points, measure), seconds_of(points));
}

namespace {

double partial_r(const std::vector<Point>& points, std::size_t measure) {
  std::vector<double> rounds;
  for (const Point& point : points) rounds.push_back(point.rounds);
  return partial_pearson(column(points, measure), seconds_of(points), rounds);
}

/// By how much the measure says too much of the agents that keep their cache, if it is right about the others.
double overstated(const std::vector<Point>& points, std::size_t measure) {
  const auto ratio = [&](auto&& value) {
    double kept = 0;
    double evicted = 0;
    for (const Point& point : points) (point.evicts ? evicted : kept) += value(point);
    return kept / evicted;
  };
  return ratio([&](const Point& point) { return point.measures[measure]; }) /
         ratio([](const Point& point) { return point.seconds; });
}

void count_prompts(Figures& figures, const std::vector<Trajectory>& trajectories) {
  double context = 0;
  double uncached = 0;
  double computed = 0;
  for (const Trajectory& trajectory : trajectories) {
    for (const ReplayRound& round : trajectory.rounds) {
      if (figures.shapes[trajectory.agent].evicts) {
        figures.cached_after_eviction += round.counters.cached;
        continue;
      }
      context += round.counters.context;
      uncached += round.counters.context - round.counters.cached;
      computed += round.counters.prefilled;
    }
  }
  figures.context_by_computed = context / computed;
  figures.uncached_by_computed = uncached / computed;
}

void correlate(Figures& figures, const std::vector<Point>& points, const std::vector<Point>& alone) {
  const std::vector<Point> kept = half(figures.agents, false);
  const std::vector<Point> evicted = half(figures.agents, true);
  for (std::size_t m = 0; m < kMeasures.size(); ++m) {
    figures.coefficients.push_back({.agents = r(figures.agents, m),
                                    .trajectories = r(points, m),
                                    .kept = r(kept, m),
                                    .evicted = r(evicted, m),
                                    .partial = partial_r(figures.agents, m),
                                    .partial_trajectories = partial_r(points, m),
                                    .alone = r(alone, m)});
  }
  for (std::size_t v = 0; v < kVariants; ++v) figures.overstated[v] = overstated(figures.agents, v);
}

void rank_by_profiles(Figures& figures, const std::vector<Trajectory>& trajectories, const engine::ModelShape& shape,
                      std::span<const engine::HardwareProfile> profiles) {
  for (const engine::HardwareProfile& profile : profiles) {
    const auto agents = means_of(points_of(trajectories, figures.shapes, engine::cost_rates(shape, profile)));
    ProfileFigures one{.profile = profile};
    for (std::size_t v = 0; v < kVariants; ++v) {
      one.r[v] = r(agents, v);
      one.costs[v] = column(agents, v);
      one.spearman[v] = spearman(one.costs[v], figures.profiles.empty() ? one.costs[v] : figures.profiles[0].costs[v]);
    }
    figures.profiles.push_back(std::move(one));
  }
  for (std::size_t v = 0; v < kVariants; ++v) {
    figures.least_spearman[v] = 1;
    for (const ProfileFigures& a : figures.profiles) {
      for (const ProfileFigures& b : figures.profiles) {
        figures.least_spearman[v] = std::min(figures.least_spearman[v], spearman(a.costs[v], b.costs[v]));
      }
    }
  }
}

/// Least squares over the steps of a replay.
StepFit fit_steps(const std::vector<ReplayStep>& steps) {
  std::vector<std::vector<double>> columns(4);
  std::vector<double> seconds;
  for (const ReplayStep& step : steps) {
    columns[0].push_back(step.work.prefilled);
    columns[1].push_back(step.work.weight_reads);
    columns[2].push_back(step.decode_rows);
    columns[3].push_back(step.work.lengths);
    seconds.push_back(step.seconds);
  }
  const std::vector<double> slopes = least_squares(columns, seconds);
  std::vector<double> expected(seconds.size());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += slopes[c] * columns[c][i];
  }
  const double together = pearson(expected, seconds);
  return {.seconds_per_prompt_token = slopes[0],
          .weight_read = slopes[1] / slopes[0],
          .decode_row = slopes[2] / slopes[0],
          .length = slopes[3] / slopes[0],
          .explained = together * together};
}

}  // namespace

void fill_figures(Figures& figures, const Replay& replay, const std::vector<Trajectory>& alone,
                  const engine::ModelShape& shape, std::span<const engine::HardwareProfile> profiles) {
  figures.rates = engine::cost_rates(shape, profiles.front());
  const std::vector<Point> points = points_of(replay.trajectories, figures.shapes, figures.rates);
  figures.agents = means_of(points);
  figures.trajectories = points.size();
  figures.steps = fit_steps(replay.steps);
  count_prompts(figures, replay.trajectories);
  correlate(figures, points, means_of(points_of(alone, figures.shapes, figures.rates)));
  rank_by_profiles(figures, replay.trajectories, shape, profiles);
}

std::size_t best_variant(const Figures& figures, std::size_t count) {
  std::size_t best = 0;
  for (std::size_t v = 1; v < count; ++v) {
    if (figures.coefficients[v].agents > figures.coefficients[best].agents) best = v;
  }
  return best;
}

}  // namespace plait::evaluation
