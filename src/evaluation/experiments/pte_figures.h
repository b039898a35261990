// SPDX-License-Identifier: Apache-2.0
//
// What a replay of agents says about the measures of cost.
//
// A point is one agent (the mean of its trajectories) or one trajectory: its wall-clock time, the sum of its model
// calls' latencies, beside what the measures say about it. Grids as wide as this one make every measure look good that
// grows with work, so the halves with and without eviction and the partial coefficients stand beside the plain ones.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model_shape.h"
#include "evaluation/experiments/pte_fairness.h"
#include "evaluation/experiments/pte_replay.h"

namespace plait::evaluation {

/// The first ones are those of engine::Cost: three of the paper's kind, then ours.
inline constexpr std::array<std::string_view, 9> kMeasures{
    "PTE",           "PTE-cache",        "PTE-w", "PTE-latency",    "transcript tokens",
    "tokens billed", "tokens generated", "calls", "tokens computed"};
inline constexpr std::size_t kVariants = 4;
inline constexpr std::size_t kPublished = 3;  ///< Of these.
inline constexpr std::size_t kTranscript = 4;
inline constexpr std::size_t kComputed = 8;
using Measures = std::array<double, kMeasures.size()>;

struct Point {
  std::size_t agent = 0;
  double seconds = 0;
  double rounds = 0;
  bool evicts = false;
  Measures measures = {};
};

[[nodiscard]] std::vector<Point> points_of(const std::vector<Trajectory>& trajectories,
                                           const std::vector<AgentShape>& shapes, const engine::CostRates& rates);
/// One point for each agent. Requires: points in the order of agents.
[[nodiscard]] std::vector<Point> means_of(const std::vector<Point>& points);
/// Those that evict, or those that do not.
[[nodiscard]] std::vector<Point> half(const std::vector<Point>& points, bool evicts);
[[nodiscard]] std::vector<double> column(const std::vector<Point>& points, std::size_t measure);
[[nodiscard]] std::vector<double> seconds_of(const std::vector<Point>& points);
/// Pearson's coefficient of a measure with wall-clock time.
[[nodiscard]] double r(const std::vector<Point>& points, std::size_t measure);

/// r of one measure.
struct Coefficients {
  double agents = 0;
  double trajectories = 0;
  double kept = 0;
  double evicted = 0;
  double partial = 0;               ///< Over agents, round count held fixed.
  double partial_trajectories = 0;  ///< Over trajectories.
  double alone = 0;                 ///< Over agents whose trajectories had the machine for themselves.
};

/// One machine's view of the same run.
struct ProfileFigures {
  engine::HardwareProfile profile;
  std::array<double, kVariants> r = {};         ///< Over agents.
  std::array<double, kVariants> spearman = {};  ///< Of the ranking of agents, beside the measured machine's.
  std::array<std::vector<double>, kVariants> costs = {};
};

/// What parts of a step cost: in prompt tokens, as rates are.
struct StepFit {
  double seconds_per_prompt_token = 0;
  double weight_read = 0;  ///< Beside CostRates::weights.
  double decode_row = 0;   ///< Which no variant charges.
  double length = 0;       ///< A token that a decoding row sees; beside CostRates::gamma_cache.
  double explained = 0;    ///< Part of the variance of the steps' times.
};

struct Figures {
  std::vector<AgentShape> shapes;
  std::vector<Point> agents;
  std::size_t trajectories = 0;
  std::vector<Coefficients> coefficients;  ///< In the order of kMeasures.
  std::vector<ProfileFigures> profiles;
  engine::CostRates rates;
  StepFit steps;                                      ///< Of the replay.
  std::array<double, kVariants> least_spearman = {};  ///< Over all pairs of profiles.
  std::array<double, kVariants> overstated = {};
  double context_by_computed = 0;   ///< Kept: prompt tokens that PTE charges by those computed.
  double uncached_by_computed = 0;  ///< Kept: the same for PTE-cache.
  double cached_after_eviction = 0;
  TwoShares by_tokens;
  TwoShares by_pte;
  std::string model;
};

/// Fills in everything but the clients and the model. `alone`: one trajectory of each agent, nobody beside it.
void fill_figures(Figures& figures, const Replay& replay, const std::vector<Trajectory>& alone,
                  const engine::ModelShape& shape, std::span<const engine::HardwareProfile> profiles);

/// The variant with the highest r over agents among the first `count`.
[[nodiscard]] std::size_t best_variant(const Figures& figures, std::size_t count);

}  // namespace plait::evaluation
