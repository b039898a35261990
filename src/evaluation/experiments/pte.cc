// SPDX-License-Identifier: Apache-2.0
//
// A point is one agent (the mean of its trajectories) or one trajectory: its wall-clock time, the sum of its model
// calls' latencies, beside what the measures say about it. Grids as wide as this one make every measure look good that
// grows with work, so the halves with and without eviction and the partial coefficients stand beside the plain ones.
#include "evaluation/experiments/pte.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "engine/model_shape.h"
#include "evaluation/correlation.h"
#include "evaluation/experiments/pte_fairness.h"
#include "evaluation/experiments/pte_replay.h"
#include "models/description.h"
#include "models/model.h"
#include "os/cpu.h"
#include "parallel/team.h"

namespace plait::evaluation {
namespace {

using base::Result;

constexpr std::array<std::string_view, 8> kMeasures{"PTE",           "PTE-cache",        "PTE-w", "transcript tokens",
                                                    "tokens billed", "tokens generated", "calls", "tokens computed"};
constexpr std::size_t kVariants = 3;  ///< The first measures are those of engine::Cost.
constexpr std::size_t kTranscript = 3;
constexpr std::array<std::string_view, 4> kProfiles{"cpu-fp32", "cpu-amx", "rtx4090", "h100"};
using Measures = std::array<double, kMeasures.size()>;

struct Scale {
  std::vector<AgentShape> shapes;  ///< Each kept and evicted.
  ReplayOptions replay;
  TwoClients clients;
  std::size_t calibration = 512;  ///< Prompt tokens that the machine is measured with.
};

/// Rounds 1 to 12, replies of 20 to 2,000 tokens, thinking of 50 to 800; two shapes each with 3 and 6 rounds.
Scale scale_of(const ExperimentOptions& options) {
  Scale scale{.shapes = {{1, 0, 800},
                         {2, 2000, 100},
                         {3, 50, 400},
                         {3, 800, 60},
                         {6, 20, 50},
                         {6, 300, 100},
                         {8, 100, 50},
                         {12, 20, 50}},
              .replay = {},
              .clients = {}};
  if (options.quick) {
    scale = {
        .shapes = {{1, 0, 16}, {2, 40, 6}, {3, 10, 4}},
        .replay = {.trajectories = 2, .prompt = 32, .concurrency = 3},
        .clients = {.reader_prompt = 80, .reader_tokens = 2, .writer_prompt = 5, .writer_tokens = 6, .requests = 2},
        .calibration = 32};
  }
  const double trajectories = static_cast<double>(scale.replay.trajectories) * options.scale;
  scale.replay.trajectories = static_cast<std::size_t>(std::max(1.0, std::round(trajectories)));
  std::vector<AgentShape> both;
  for (AgentShape shape : scale.shapes) {
    both.push_back(shape);
    shape.evicts = true;
    both.push_back(shape);
  }
  scale.shapes = std::move(both);
  return scale;
}

// ------------------------------------------------------------------------------------------------------ the machine

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// What the machine does with this model and these kernels: operations of a prompt, bytes of weights read by steps of
/// one row. Peaks of the parts would be a fiction on cores that others use.
Result<engine::HardwareProfile> measure_machine(const models::Model& model, const engine::ModelShape& shape,
                                                parallel::Team& team, std::size_t tokens) {
  constexpr std::size_t kRepeats = 5;
  const base::Clock& clock = base::steady_clock();
  models::Workspace workspace(model, team);
  std::vector<float> logits(model.vocabulary());
  const std::vector<base::TokenId> prompt = scripted_tokens(7, tokens, model.vocabulary());
  std::vector<double> prompt_seconds;
  std::vector<double> step_seconds;
  for (std::size_t i = 0; i <= kRepeats; ++i) {
    models::Sequence sequence(model);
    double begin = clock.now();
    PLAIT_TRY_VOID(model.forward(sequence, prompt, models::Logits::last, workspace, logits));
    if (i > 0) prompt_seconds.push_back(clock.now() - begin);  // the first one warms up
    sequence.trim(16);
    for (std::size_t step = 0; step < 16; ++step) {
      begin = clock.now();
      PLAIT_TRY_VOID(model.forward(sequence, std::span(prompt).first(1), models::Logits::last, workspace, logits));
      if (i > 0) step_seconds.push_back(clock.now() - begin);
    }
  }
  return engine::HardwareProfile{
      .name = "measured",
      .flops_per_second = 2 * shape.parameters * static_cast<double>(tokens) / median(prompt_seconds),
      .bytes_per_second = shape.weight_bytes / median(step_seconds),
      .source = "prompts and one-row steps of this model"};
}

std::vector<engine::HardwareProfile> with_named(const engine::HardwareProfile& measured) {
  std::vector<engine::HardwareProfile> profiles{measured};
  for (const std::string_view name : kProfiles) profiles.push_back(*engine::find_profile(name));
  return profiles;
}

// ------------------------------------------------------------------------------------------------------- the points

struct Point {
  std::size_t agent = 0;
  double seconds = 0;
  double rounds = 0;
  bool evicts = false;
  Measures measures = {};
};

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
  point.measures = {cost.pte, cost.pte_cache, cost.pte_w,   trajectory.transcript,
                    billed,   generated,      point.rounds, computed};
  return point;
}

std::vector<Point> points_of(const std::vector<Trajectory>& trajectories, const std::vector<AgentShape>& shapes,
                             const engine::CostRates& rates) {
  std::vector<Point> points;
  for (const Trajectory& one : trajectories) points.push_back(point_of(one, shapes[one.agent], rates));
  return points;
}

/// One point for each agent.
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

// ------------------------------------------------------------------------------------------------------ the figures

/// r of every measure, in the order of kMeasures.
struct Coefficients {
  double agents = 0;
  double trajectories = 0;
  double kept = 0;
  double evicted = 0;
  double partial = 0;               ///< Over agents, round count held fixed.
  double partial_trajectories = 0;  ///< Over trajectories.
};

/// One machine's view of the same run.
struct ProfileFigures {
  engine::HardwareProfile profile;
  std::array<double, kVariants> r = {};         ///< Over agents.
  std::array<double, kVariants> spearman = {};  ///< Of the ranking of agents, beside the measured machine's.
  std::array<std::vector<double>, kVariants> costs = {};
};

struct Figures {
  std::vector<AgentShape> shapes;
  std::vector<Point> agents;
  std::size_t trajectories = 0;
  std::vector<Coefficients> coefficients;
  std::vector<ProfileFigures> profiles;
  std::array<double, kVariants> least_spearman = {};  ///< Over all pairs of profiles.
  std::array<double, kVariants> overstated = {};
  double context_by_computed = 0;   ///< Kept: prompt tokens that PTE charges by those computed.
  double uncached_by_computed = 0;  ///< Kept: the same for PTE-cache.
  double cached_after_eviction = 0;
  TwoShares by_tokens;
  TwoShares by_pte;
  std::string model;
};

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

void correlate(Figures& figures, const std::vector<Point>& points) {
  const std::vector<Point> kept = half(figures.agents, false);
  const std::vector<Point> evicted = half(figures.agents, true);
  for (std::size_t m = 0; m < kMeasures.size(); ++m) {
    figures.coefficients.push_back({.agents = r(figures.agents, m),
                                    .trajectories = r(points, m),
                                    .kept = r(kept, m),
                                    .evicted = r(evicted, m),
                                    .partial = partial_r(figures.agents, m),
                                    .partial_trajectories = partial_r(points, m)});
  }
  for (std::size_t v = 0; v < kVariants; ++v) figures.overstated[v] = overstated(figures.agents, v);
}

void rank_by_profiles(Figures& figures, const std::vector<Trajectory>& trajectories, const engine::ModelShape& shape,
                      const std::vector<engine::HardwareProfile>& profiles) {
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

std::size_t best_variant(const Figures& figures) {
  std::size_t best = 0;
  for (std::size_t v = 1; v < kVariants; ++v) {
    if (figures.coefficients[v].agents > figures.coefficients[best].agents) best = v;
  }
  return best;
}

std::vector<Gate> gates(const Figures& figures) {
  const std::size_t best = best_variant(figures);
  const double best_r = figures.coefficients[best].agents;
  std::vector<Gate> all{
      {fmt::format("r of the best variant ({}) with wall-clock, over agents", kMeasures[best]), best_r, 0.9, false},
      {"the same less r of the transcript's tokens", best_r - figures.coefficients[kTranscript].agents, 0.2, false}};
  for (std::size_t v = 0; v < kVariants; ++v) {
    all.push_back({fmt::format("least Spearman of the ranking by {}, all pairs of profiles", kMeasures[v]),
                   figures.least_spearman[v], 0.95, false});
  }
  all.push_back({"cache kept: PTE overstates, by time", figures.overstated[0], 1.1, false});
  all.push_back({"cache kept: PTE-cache does not, by time", figures.overstated[1], 1.1});
  all.push_back({"cache kept: prompt tokens charged by PTE / computed", figures.context_by_computed, 1.1, false, true});
  all.push_back(
      {"cache kept: prompt tokens charged by PTE-cache / computed", figures.uncached_by_computed, 1, true, true});
  all.push_back({"evicted: tokens found computed", figures.cached_after_eviction, 0, true, true});
  all.push_back({"two clients, machine time: (larger / smaller with pte) / (the same with tokens)",
                 figures.by_pte.apart() / figures.by_tokens.apart(), 1});
  return all;
}

// ------------------------------------------------------------------------------------------------------- the report

std::string agents_table(const Figures& figures) {
  std::string text = fmt::format("{:<26} {:>8} {:>9} {:>10} {:>9} {:>10} {:>10}\n", "rounds x (reply + thinking)",
                                 "wall, s", "PTE", "PTE-cache", "PTE-w", "transcript", "computed");
  for (const Point& agent : figures.agents) {
    const Measures& m = agent.measures;
    text += fmt::format("{:<27} {:>8.3f} {:>9.0f} {:>10.0f} {:>9.0f} {:>10.0f} {:>10.0f}\n",
                        figures.shapes[agent.agent].name(), agent.seconds, m[0], m[1], m[2], m[3], m[7]);
  }
  return text;
}

std::string coefficients_table(const Figures& figures) {
  std::string text = fmt::format(
      "Pearson r with wall-clock: {} agents (half keep the cache, half lose it), {} trajectories; partial: rounds "
      "fixed.\n"
      "The paper has 0.9253 for PTE and -0.3750 for tokens, over 11 agents with full eviction.\n\n"
      "{:<18} {:>7} {:>7} {:>8} {:>8} {:>13} {:>8}\n",
      figures.agents.size(), figures.trajectories, "", "agents", "kept", "evicted", "partial", "trajectories",
      "partial");
  for (std::size_t m = 0; m < kMeasures.size(); ++m) {
    const Coefficients& c = figures.coefficients[m];
    text += fmt::format("{:<18} {:>7.3f} {:>7.3f} {:>8.3f} {:>8.3f} {:>13.3f} {:>8.3f}\n", kMeasures[m], c.agents,
                        c.kept, c.evicted, c.partial, c.trajectories, c.partial_trajectories);
  }
  return text;
}

std::string profiles_table(const Figures& figures) {
  std::string text =
      "Profiles: HOI, r of the variants over agents, Spearman of their ranking beside the measured profile's "
      "(paper: above 0.95)\n\n";
  text += fmt::format("{:<10} {:>6}   {:>7} {:>9} {:>7}   {:>7} {:>9} {:>7}\n", "", "HOI", "PTE", "PTE-cache", "PTE-w",
                      "PTE", "PTE-cache", "PTE-w");
  for (const ProfileFigures& one : figures.profiles) {
    text += fmt::format("{:<10} {:>6.1f}   {:>7.3f} {:>9.3f} {:>7.3f}   {:>7.3f} {:>9.3f} {:>7.3f}\n", one.profile.name,
                        one.profile.intensity(), one.r[0], one.r[1], one.r[2], one.spearman[0], one.spearman[1],
                        one.spearman[2]);
  }
  return text;
}

std::string report_text(const Figures& figures) {
  const engine::HardwareProfile& machine = figures.profiles[0].profile;
  std::string text = fmt::format("{}; measured: {:.3g} FLOP/s, {:.3g} bytes/s ({}).\n\n", figures.model,
                                 machine.flops_per_second, machine.bytes_per_second, machine.source);
  text += agents_table(figures) + "\n" + coefficients_table(figures) + "\n" + profiles_table(figures);
  text += fmt::format(
      "\nCache kept, beside the same agents evicted: PTE says {:.2f} times too much, PTE-cache {:.2f}, PTE-w {:.2f}.\n",
      figures.overstated[0], figures.overstated[1], figures.overstated[2]);
  text += "\nTwo clients that always ask, machine time (tokens through the model):\n";
  for (const auto& [unit, shares] : {std::pair{"tokens", figures.by_tokens}, std::pair{"pte", figures.by_pte}}) {
    text += fmt::format("  unit {:<7} reader {:.2f} s ({:.0f}), writer {:.2f} s ({:.0f}): {:.2f} times apart\n", unit,
                        shares.reader_seconds, shares.reader_tokens, shares.writer_seconds, shares.writer_tokens,
                        shares.apart());
  }
  return text;
}

text::Json number(double value) { return std::isfinite(value) ? text::Json(value) : text::Json(nullptr); }

text::Json shares_json(const TwoShares& shares) {
  return {{"reader_seconds", shares.reader_seconds},
          {"writer_seconds", shares.writer_seconds},
          {"reader_tokens", shares.reader_tokens},
          {"writer_tokens", shares.writer_tokens},
          {"apart", number(shares.apart())}};
}

text::Json report_json(const Figures& figures) {
  text::Json agents = text::Json::array();
  for (const Point& agent : figures.agents) {
    const AgentShape& shape = figures.shapes[agent.agent];
    text::Json one = {{"rounds", shape.rounds},
                      {"reply", shape.reply},
                      {"thinking", shape.thinking},
                      {"evicts", shape.evicts},
                      {"seconds", agent.seconds}};
    for (std::size_t m = 0; m < kMeasures.size(); ++m) one[std::string(kMeasures[m])] = agent.measures[m];
    agents.push_back(std::move(one));
  }
  text::Json coefficients = text::Json::array();
  for (std::size_t m = 0; m < kMeasures.size(); ++m) {
    const Coefficients& c = figures.coefficients[m];
    coefficients.push_back({{"measure", kMeasures[m]},
                            {"agents", number(c.agents)},
                            {"kept", number(c.kept)},
                            {"evicted", number(c.evicted)},
                            {"partial", number(c.partial)},
                            {"trajectories", number(c.trajectories)},
                            {"partial_trajectories", number(c.partial_trajectories)}});
  }
  text::Json profiles = text::Json::array();
  for (const ProfileFigures& one : figures.profiles) {
    text::Json figures_of = {{"name", one.profile.name},
                             {"flops_per_second", one.profile.flops_per_second},
                             {"bytes_per_second", one.profile.bytes_per_second}};
    for (std::size_t v = 0; v < kVariants; ++v) {
      figures_of["r"][std::string(kMeasures[v])] = number(one.r[v]);
      figures_of["spearman"][std::string(kMeasures[v])] = number(one.spearman[v]);
    }
    profiles.push_back(std::move(figures_of));
  }
  return {{"experiment", "pte"},
          {"model", figures.model},
          {"trajectories", figures.trajectories},
          {"agents", std::move(agents)},
          {"coefficients", std::move(coefficients)},
          {"profiles", std::move(profiles)},
          {"overstated",
           {{"PTE", figures.overstated[0]}, {"PTE-cache", figures.overstated[1]}, {"PTE-w", figures.overstated[2]}}},
          {"clients", {{"tokens", shares_json(figures.by_tokens)}, {"pte", shares_json(figures.by_pte)}}}};
}

Chart figure(const Figures& figures) {
  Chart chart{.title = "Wall-clock time of agents beside what measures say",
              .x_label = "tokens or equivalents",
              .y_label = "seconds",
              .panels = {}};
  for (const std::size_t m :
       {std::size_t{0}, std::size_t{1}, std::size_t{2}, kTranscript, std::size_t{4}, std::size_t{7}}) {
    ChartPanel panel{.title = fmt::format("{}, r = {:.3f}", kMeasures[m], figures.coefficients[m].agents),
                     .series = {}};
    for (const bool evicts : {false, true}) {
      const std::vector<Point> points = half(figures.agents, evicts);
      panel.series.push_back(
          {.name = evicts ? "evicted" : "kept", .x = column(points, m), .y = seconds_of(points), .line = false});
    }
    chart.panels.push_back(std::move(panel));
  }
  return chart;
}

Result<ExperimentReport> run(const ExperimentOptions& options) {
  if (options.model.empty()) {
    return base::fail(
        base::ErrorCode::invalid_argument,
        "the model is not here; `plait model pull smollm2-135m` fetches the usual one, --model names another");
  }
  const Scale scale = scale_of(options);
  parallel::Team team(os::usable_cores());
  PLAIT_TRY(const auto model, models::Model::load(options.model, {}, team));
  PLAIT_TRY(const auto description, models::describe(model->file()));
  const engine::ModelShape shape = engine::model_shape(model->config(), description);
  PLAIT_TRY(const auto machine, measure_machine(*model, shape, team, scale.calibration));
  engine::ModelRunner runner(*model, team);
  PLAIT_TRY(const auto trajectories, replay_agents(runner, scale.shapes, scale.replay));

  const engine::CostRates rates = engine::cost_rates(shape, machine);
  const std::vector<Point> points = points_of(trajectories, scale.shapes, rates);
  Figures figures;
  figures.shapes = scale.shapes;
  figures.agents = means_of(points);
  figures.trajectories = points.size();
  figures.model = options.model.filename().string();
  count_prompts(figures, trajectories);
  correlate(figures, points);
  rank_by_profiles(figures, trajectories, shape, with_named(machine));
  PLAIT_TRY(figures.by_tokens, run_two_clients(runner, scale.clients, rates, engine::ChargeUnit::tokens));
  PLAIT_TRY(figures.by_pte, run_two_clients(runner, scale.clients, rates, engine::ChargeUnit::pte));

  ExperimentReport report{.text = report_text(figures), .json = report_json(figures), .chart = figure(figures)};
  report.gates = gates(figures);
  report.json["gates"] = gates_json(report.gates);
  return report;
}

}  // namespace

Experiment pte_experiment() {
  return {.name = "pte", .about = "Prefill token equivalents beside wall-clock time, over scripted agents", .run = run};
}

}  // namespace plait::evaluation
