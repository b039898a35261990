// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/pte_report.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plait::evaluation {
namespace {

std::vector<Gate> gates(const Figures& figures) {
  std::vector<Gate> all;
  const double tokens = figures.coefficients[kTranscript].agents;
  for (const std::size_t v : {best_variant(figures, kPublished), kVariants - 1}) {
    const double value = figures.coefficients[v].agents;
    const std::string_view which = v < kPublished ? "best of the paper's kind" : "ours";
    all.push_back({fmt::format("r of {} ({}) with wall-clock, over agents", kMeasures[v], which), value, 0.9, false});
    all.push_back({"the same less r of the transcript's tokens", value - tokens, 0.2, false});
  }
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

std::string agents_table(const Figures& figures) {
  std::string text =
      fmt::format("{:<26} {:>8} {:>9} {:>10} {:>9} {:>12} {:>11} {:>10}\n", "rounds x (reply + thinking)", "wall, s",
                  "PTE", "PTE-cache", "PTE-w", "PTE-latency", "transcript", "computed");
  for (const Point& agent : figures.agents) {
    const Measures& m = agent.measures;
    text += fmt::format("{:<27} {:>8.3f} {:>9.0f} {:>10.0f} {:>9.0f} {:>12.0f} {:>11.0f} {:>10.0f}\n",
                        figures.shapes[agent.agent].name(), agent.seconds, m[0], m[1], m[2], m[3], m[kTranscript],
                        m[kComputed]);
  }
  return text;
}

std::string coefficients_table(const Figures& figures) {
  std::string text = fmt::format(
      "Pearson r with wall-clock: {} agents (half keep the cache, half lose it), {} trajectories; partial: rounds "
      "fixed; alone: one trajectory of each agent with nobody beside it.\n"
      "PTE-latency is ours: the work of all steps from request to end, whoever took part. It says how long, not how "
      "dear.\n"
      "The paper has 0.9253 for PTE and -0.3750 for tokens, over 11 agents with full eviction.\n\n"
      "{:<18} {:>7} {:>7} {:>8} {:>8} {:>13} {:>8} {:>7}\n",
      figures.agents.size(), figures.trajectories, "", "agents", "kept", "evicted", "partial", "trajectories",
      "partial", "alone");
  for (std::size_t m = 0; m < kMeasures.size(); ++m) {
    const Coefficients& c = figures.coefficients[m];
    text += fmt::format("{:<18} {:>7.3f} {:>7.3f} {:>8.3f} {:>8.3f} {:>13.3f} {:>8.3f} {:>7.3f}\n", kMeasures[m],
                        c.agents, c.kept, c.evicted, c.partial, c.trajectories, c.partial_trajectories, c.alone);
  }
  return text;
}

std::string profiles_table(const Figures& figures) {
  std::string text =
      "Profiles: HOI; r of the variants over agents; Spearman of their ranking beside the measured profile's "
      "(paper: above 0.95)\n\n";
  std::string names;
  for (std::size_t v = 0; v < kVariants; ++v) names += fmt::format(" {:>11}", kMeasures[v]);
  text += fmt::format("{:<10} {:>6}  {}  {}\n", "", "HOI", names, names);
  for (const ProfileFigures& one : figures.profiles) {
    text += fmt::format("{:<10} {:>6.1f}  ", one.profile.name, one.profile.intensity());
    for (const double value : one.r) text += fmt::format(" {:>11.3f}", value);
    text += "  ";
    for (const double value : one.spearman) text += fmt::format(" {:>11.3f}", value);
    text += '\n';
  }
  return text;
}

/// Whether the measured profile is that of the steps which the agents shared.
std::string steps_text(const Figures& figures) {
  const StepFit& fit = figures.steps;
  return fmt::format(
      "The run's own steps, least squares, in prompt tokens of {:.3f} ms (R2 {:.3f}): a read of the weights {:.1f} "
      "(the profile says {:.1f}), a decoding row {:.2f} (which no variant charges), a token it sees {:.5f} "
      "({:.5f}).\n",
      1e3 * fit.seconds_per_prompt_token, fit.explained, fit.weight_read, figures.rates.weights, fit.decode_row,
      fit.length, figures.rates.gamma_cache);
}

/// Which of the lines hold for which variant.
std::string verdicts_table(const Figures& figures) {
  const double tokens = figures.coefficients[kTranscript].agents;
  std::string text = fmt::format("{:<44}", "Lines that hold for");
  for (std::size_t v = 0; v < kVariants; ++v) text += fmt::format(" {:>12}", kMeasures[v]);
  const auto line = [&](std::string_view what, auto&& holds) {
    text += fmt::format("\n{:<44}", what);
    for (std::size_t v = 0; v < kVariants; ++v) text += fmt::format(" {:>12}", holds(v) ? "yes" : "no");
  };
  line("r at least 0.90", [&](std::size_t v) { return figures.coefficients[v].agents >= 0.9; });
  line("0.2 above the transcript's tokens",
       [&](std::size_t v) { return figures.coefficients[v].agents >= tokens + 0.2; });
  line("Spearman at least 0.95, all profiles", [&](std::size_t v) { return figures.least_spearman[v] >= 0.95; });
  line("does not overstate who keeps the cache", [&](std::size_t v) { return figures.overstated[v] <= 1.1; });
  return text + '\n';
}

std::string report_text(const Figures& figures) {
  const engine::HardwareProfile& machine = figures.profiles[0].profile;
  std::string text = fmt::format("{}; measured: {:.3g} FLOP/s, {:.3g} bytes/s ({}).\n\n", figures.model,
                                 machine.flops_per_second, machine.bytes_per_second, machine.source);
  text += agents_table(figures) + "\n" + coefficients_table(figures) + "\n" + profiles_table(figures) + "\n" +
          steps_text(figures) + "\n" + verdicts_table(figures);
  text += fmt::format(
      "\nCache kept, beside the same agents evicted: PTE says {:.2f} times too much, PTE-cache {:.2f}, PTE-w {:.2f}, "
      "PTE-latency {:.2f}.\n",
      figures.overstated[0], figures.overstated[1], figures.overstated[2], figures.overstated[3]);
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
                            {"partial_trajectories", number(c.partial_trajectories)},
                            {"alone", number(c.alone)}});
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
  text::Json overstated;
  for (std::size_t v = 0; v < kVariants; ++v) overstated[std::string(kMeasures[v])] = figures.overstated[v];
  const StepFit& fit = figures.steps;
  return {{"experiment", "pte"},
          {"model", figures.model},
          {"trajectories", figures.trajectories},
          {"agents", std::move(agents)},
          {"coefficients", std::move(coefficients)},
          {"profiles", std::move(profiles)},
          {"steps",
           {{"seconds_per_prompt_token", fit.seconds_per_prompt_token},
            {"weight_read", number(fit.weight_read)},
            {"weight_read_of_profile", figures.rates.weights},
            {"decode_row", number(fit.decode_row)},
            {"length", number(fit.length)},
            {"length_of_profile", figures.rates.gamma_cache},
            {"explained", number(fit.explained)}}},
          {"overstated", std::move(overstated)},
          {"clients", {{"tokens", shares_json(figures.by_tokens)}, {"pte", shares_json(figures.by_pte)}}}};
}

Chart figure(const Figures& figures) {
  Chart chart{.title = "Wall-clock time of agents beside what measures say",
              .x_label = "tokens or equivalents",
              .y_label = "seconds",
              .panels = {}};
  for (const std::size_t m : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{3}, kTranscript, kComputed}) {
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

}  // namespace

ExperimentReport pte_report(const Figures& figures) {
  ExperimentReport report{.text = report_text(figures), .json = report_json(figures), .chart = figure(figures)};
  report.gates = gates(figures);
  report.json["gates"] = gates_json(report.gates);
  return report;
}

}  // namespace plait::evaluation
