// SPDX-License-Identifier: Apache-2.0
//
// Two runs without limit come first: all chats at once gives the capacity, from which the rate of arrivals follows, and
// chats at that rate give the live tokens, of which the pool gets a third. Then every way runs on the same chats and
// priorities, one after the other within a repeat, each repeat beginning with another one. Ratios are taken within a
// repeat; medians of them are shown.
#include "evaluation/experiments/fastswitch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "evaluation/experiments/fastswitch_measure.h"
#include "evaluation/experiments/lab_model.h"
#include "evaluation/experiments/load_client.h"
#include "os/cpu.h"

namespace plait::evaluation {
namespace {

using base::Result;

constexpr std::array kPatterns{PriorityPattern::random, PriorityPattern::markov};
constexpr std::uint64_t kSeed = 6;
constexpr double kLoad = 0.9;  ///< Of the capacity: what arrives.

std::string_view name(PriorityPattern pattern) { return pattern == PriorityPattern::random ? "Random" : "Markov"; }

struct Scale {
  ChatTraceOptions trace = {};
  std::size_t repeats = 1;
  std::size_t period_steps = 25;  ///< f = 0.04
};

Scale scale_of(const ExperimentOptions& options) {
  Scale scale;
  if (options.quick) {
    scale = {
        .trace = {.chats = 10, .prompt_mean = 6, .answer_mean = 4, .pause_mean = 0.5}, .repeats = 1, .period_steps = 4};
  }
  const double repeats = static_cast<double>(scale.repeats) * options.scale;
  scale.repeats = static_cast<std::size_t>(std::clamp(std::round(repeats), 1.0, 100.0));
  scale.trace.seed = kSeed;
  return scale;
}

/// All repeats of one way and pattern.
using Runs = std::vector<SwapRun>;
using Key = std::pair<std::string_view, PriorityPattern>;

struct Figures {
  Scale scale;
  SwapSetup setup;
  std::string model;
  double capacity = 0;     ///< Chats per second.
  double live_tokens = 0;  ///< Without limit.
  double turns = 0;
  double tokens = 0;
  os::AsyncFileMode mode = {};
  std::map<Key, Runs> runs = {};
  std::uint64_t choices_apart = 0;  ///< Of all runs, from the run without limit.
  std::uint64_t pages_leaked = 0;
  double swap_outs_least = std::numeric_limits<double>::infinity();
};

using Value = double (*)(const SwapRun&);

double first_token_p99(const SwapRun& run) { return quantile(run.chats.first_tokens, 0.99); }
double gap_p999(const SwapRun& run) { return quantile(run.chats.gaps, 0.999); }

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

double median_of(const Runs& runs, Value value) {
  std::vector<double> values;
  for (const SwapRun& run : runs) values.push_back(value(run));
  return median(std::move(values));
}

/// Median of ratios within repeats.
double ratio(const Figures& figures, std::string_view above, std::string_view below, PriorityPattern pattern,
             Value value) {
  const Runs& a = figures.runs.at({above, pattern});
  const Runs& b = figures.runs.at({below, pattern});
  std::vector<double> ratios;
  for (std::size_t i = 0; i < a.size(); ++i) ratios.push_back(value(a[i]) / value(b[i]));
  return median(std::move(ratios));
}

// ------------------------------------------------------------------------------------------------------ measurement

/// Not where temporary files are in memory: that would be no swap at all.
std::filesystem::path swap_folder() {
  std::error_code absent;
  const std::filesystem::path lasting = "/var/tmp";
  return std::filesystem::is_directory(lasting, absent) ? lasting : std::filesystem::temp_directory_path();
}

/// Capacity, rate, live tokens, pool; and the choices that all other runs must repeat.
Result<std::vector<std::uint64_t>> prepare(engine::Runner& runner, Figures& figures) {
  SwapSetup& setup = figures.setup;
  PLAIT_TRY(const ChatRun burst, run_without_limit(runner, setup, 0, kSeed));
  figures.capacity = static_cast<double>(setup.chats.size()) / burst.seconds;
  setup.rate = kLoad * figures.capacity;
  PLAIT_TRY(ChatRun calm, run_without_limit(runner, setup, setup.rate, kSeed));
  figures.live_tokens = calm.live_tokens;
  figures.turns = static_cast<double>(calm.first_tokens.size());
  figures.tokens = calm.tokens;
  figures.choices_apart = choices_apart(burst.choices, calm.choices);
  std::uint32_t longest = 0;
  for (const Chat& chat : setup.chats) longest = std::max(longest, chat_pages(chat));
  const auto third = static_cast<std::uint32_t>(calm.live_tokens / 3 / models::kPageTokens);
  setup.pages = std::max(third, longest + 1);  // each must fit by itself
  return std::move(calm.choices);
}

Result<void> measure(engine::Runner& runner, Figures& figures, const std::vector<std::uint64_t>& choices,
                     const SwapWay& way, PriorityPattern pattern) {
  PLAIT_TRY(SwapRun run, run_swap_way(runner, figures.setup, way, pattern, kSeed));
  figures.choices_apart += choices_apart(run.chats.choices, choices);
  figures.pages_leaked += run.chats.pages_leaked;
  run.chats.choices.clear();
  if (way.swaps) {
    figures.mode = run.mode;
    figures.swap_outs_least = std::min(figures.swap_outs_least, static_cast<double>(run.chats.counters.swap.swap_outs));
  }
  figures.runs[{way.name, pattern}].push_back(std::move(run));
  return {};
}

Result<void> measure_all(engine::Runner& runner, Figures& figures) {
  PLAIT_TRY(const std::vector<std::uint64_t> choices, prepare(runner, figures));
  for (std::size_t repeat = 0; repeat < figures.scale.repeats; ++repeat) {
    for (const PriorityPattern pattern : kPatterns) {
      for (std::size_t i = 0; i < kSwapWays.size(); ++i) {
        const SwapWay& way = kSwapWays[(i + 2 * repeat) % kSwapWays.size()];
        PLAIT_TRY_VOID(measure(runner, figures, choices, way, pattern));
      }
    }
  }
  for (const SwapWay& way : kGroupWays) {
    PLAIT_TRY_VOID(measure(runner, figures, choices, way, PriorityPattern::random));
  }
  return {};
}

// ------------------------------------------------------------------------------------------------------ the figures

double operations(const SwapRun& run) { return run.operations_per_swap_out(); }
double bytes_out(const SwapRun& run) { return run.bytes_out_per_swap_out(); }
double idle_share(const SwapRun& run) { return run.chats.idle_share; }

std::vector<Gate> gates(const Figures& figures) {
  const PriorityPattern random = PriorityPattern::random;
  const double plain = 100 * median_of(figures.runs.at({"A'", random}), idle_share);
  const auto idle_beyond = [&](std::string_view way) {
    return 100 * median_of(figures.runs.at({way, random}), idle_share) - plain;
  };
  std::vector<Gate> all{
      {"operations per swap-out, A / B", ratio(figures, "A", "B", random, operations), 10, false},
      {"swap-out bytes per swap-out, D / C", ratio(figures, "D", "C", random, bytes_out), 0.5},
  };
  for (const PriorityPattern pattern : kPatterns) {
    all.push_back({fmt::format("{}: P99 time to the first token, A / D", name(pattern)),
                   ratio(figures, "A", "D", pattern, first_token_p99), 1.4, false});
    all.push_back({fmt::format("{}: P99.9 gap between tokens, A / D", name(pattern)),
                   ratio(figures, "A", "D", pattern, gap_p999), 1.4, false});
    all.push_back({fmt::format("{}: P99 time to the first token, A' / D", name(pattern)),
                   ratio(figures, "A'", "D", pattern, first_token_p99), 1, false});
    all.push_back({fmt::format("{}: P99.9 gap between tokens, A' / D", name(pattern)),
                   ratio(figures, "A'", "D", pattern, gap_p999), 1, false});
  }
  all.push_back({"pages idle while somebody waits beyond plain paging, groups of 16, points", idle_beyond("B"), 5});
  all.push_back({"the same with groups of 60", idle_beyond("B60"), 5});
  all.push_back({"the file is read and written past the page cache", figures.mode.direct ? 1.0 : 0.0, 1, false});
  all.push_back({"swap-outs, the fewest of all runs with a file", figures.swap_outs_least, 1, false, true});
  all.push_back({"choices whose logits differ from the run without preemption",
                 static_cast<double>(figures.choices_apart), 0, true, true});
  all.push_back({"pages and slots leaked", static_cast<double>(figures.pages_leaked), 0, true, true});
  return all;
}

std::string row(const SwapWay& way, const Runs& runs) {
  constexpr double kMegabyte = 1e6;
  const auto med = [&](Value value) { return median_of(runs, value); };
  std::string line =
      fmt::format("{:<4} {:>8.2f} {:>8.2f} {:>8.3f} {:>8.2f} {:>7.1f} {:>7.0f}", way.name,
                  med([](const SwapRun& run) { return quantile(run.chats.first_tokens, 0.5); }), med(first_token_p99),
                  med([](const SwapRun& run) { return quantile(run.chats.gaps, 0.5); }), med(gap_p999),
                  med([](const SwapRun& run) { return run.chats.seconds; }),
                  med([](const SwapRun& run) { return run.chats.tokens / run.chats.seconds; }));
  line += fmt::format(" {:>8.0f} {:>7.1f} {:>7.1f}",
                      med([](const SwapRun& run) { return static_cast<double>(run.chats.counters.preemptions); }),
                      med([](const SwapRun& run) { return run.chats.running_mean; }), 100 * med(idle_share));
  if (!way.swaps) return line + "\n";
  return line +
         fmt::format(" {:>9.0f} {:>9.1f} {:>9.1f} {:>9.1f}\n",
                     med([](const SwapRun& run) { return static_cast<double>(run.chats.counters.swap.swap_outs); }),
                     med(operations), med(bytes_out) / kMegabyte, med([](const SwapRun& run) {
                       return static_cast<double>(run.chats.counters.swap.bytes_in) / kMegabyte /
                              static_cast<double>(run.chats.counters.swap.swap_ins);
                     }));
}

std::string ratios_text(const Figures& figures) {
  std::string text =
      "times longer than D (median of ratios), P99 first token / P99.9 gap; the paper: 1.4 to 5.8 / to "
      "11.2 against per-page swap\n";
  for (const PriorityPattern pattern : kPatterns) {
    text += fmt::format("{:<8}", name(pattern));
    for (const SwapWay& way : kSwapWays) {
      if (way.name == "D") continue;
      text += fmt::format("  {}: {:.2f} / {:.2f}", way.name, ratio(figures, way.name, "D", pattern, first_token_p99),
                          ratio(figures, way.name, "D", pattern, gap_p999));
    }
    text += '\n';
  }
  return text;
}

std::string report_text(const Figures& figures) {
  std::string text = fmt::format(
      "{}, {}: {} synthetic chats, {:.0f} turns, {:.0f} tokens, forced; capacity {:.2f} chats/s, arrivals at {:.2f};\n"
      "{:.0f} live tokens without limit, a pool of {} pages of 16; priorities drawn every {} steps; {} repeats;\n"
      "file in {} by {}, {}\n\n",
      figures.model, os::cpu_features().model_name, figures.setup.chats.size(), figures.turns, figures.tokens,
      figures.capacity, figures.setup.rate, figures.live_tokens, figures.setup.pages, figures.setup.period_steps,
      figures.scale.repeats, figures.setup.folder.string(),
      figures.mode.engine == os::AsyncFileMode::Engine::io_uring ? "io_uring" : "a thread",
      figures.mode.direct ? "O_DIRECT" : "through the page cache, so speeds are those of memory");
  for (const SwapWay& way : kSwapWays) text += fmt::format("{:<4} {}\n", way.name, way.about);
  const auto heading =
      fmt::format("{:<4} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8} {:>7} {:>7} {:>9} {:>9} {:>9} {:>9}\n", "",
                  "TTFT p50", "p99, s", "TBT p50", "p99.9, s", "all, s", "tok/s", "preempt", "running", "idle %",
                  "swap-outs", "ops each", "MB out", "MB in");
  for (const PriorityPattern pattern : kPatterns) {
    text += fmt::format("\n{} priorities, medians\n{}", name(pattern), heading);
    for (const SwapWay& way : kSwapWays) text += row(way, figures.runs.at({way.name, pattern}));
    if (pattern != PriorityPattern::random) continue;
    for (const SwapWay& way : kGroupWays) text += row(way, figures.runs.at({way.name, pattern}));
  }
  return text + "\n" + ratios_text(figures);
}

text::Json run_json(const SwapRun& run) {
  const engine::SwapCounters& swap = run.chats.counters.swap;
  return {{"first_token_p50", quantile(run.chats.first_tokens, 0.5)},
          {"first_token_p99", first_token_p99(run)},
          {"gap_p50", quantile(run.chats.gaps, 0.5)},
          {"gap_p99", quantile(run.chats.gaps, 0.99)},
          {"gap_p999", gap_p999(run)},
          {"seconds", run.chats.seconds},
          {"preemptions", run.chats.counters.preemptions},
          {"swap_outs", swap.swap_outs},
          {"swap_ins", swap.swap_ins},
          {"operations", run.operations},
          {"bytes_out", swap.bytes_out},
          {"bytes_in", swap.bytes_in},
          {"bytes_reused", swap.bytes_reused},
          {"waits", swap.waits},
          {"prompt_rows", run.chats.counters.prompt_rows},
          {"idle_share", run.chats.idle_share},
          {"running_mean", run.chats.running_mean},
          {"waiting_mean", run.chats.waiting_mean}};
}

text::Json report_json(const Figures& figures) {
  text::Json ways = text::Json::array();
  for (const auto& [key, runs] : figures.runs) {
    text::Json repeats = text::Json::array();
    for (const SwapRun& run : runs) repeats.push_back(run_json(run));
    ways.push_back({{"way", key.first}, {"priorities", name(key.second)}, {"repeats", std::move(repeats)}});
  }
  return {{"experiment", "fastswitch"},
          {"model", figures.model},
          {"chats", "synthetic"},
          {"count", figures.setup.chats.size()},
          {"turns", figures.turns},
          {"tokens", figures.tokens},
          {"capacity", figures.capacity},
          {"rate", figures.setup.rate},
          {"live_tokens", figures.live_tokens},
          {"pool_pages", figures.setup.pages},
          {"period_steps", figures.setup.period_steps},
          {"direct", figures.mode.direct},
          {"ways", std::move(ways)}};
}

/// Latencies of all repeats together, from the median to the tail.
ChartSeries tail(std::string_view way, const Runs& runs, bool gaps) {
  ChartSeries series{.name = std::string(way), .x = {}, .y = {}};
  std::vector<double> all;
  for (const SwapRun& run : runs) {
    const std::vector<double>& some = gaps ? run.chats.gaps : run.chats.first_tokens;
    all.insert(all.end(), some.begin(), some.end());
  }
  for (double beyond = 0.5; beyond > (gaps ? 0.0009 : 0.009); beyond /= std::sqrt(2.0)) {
    series.x.push_back(-std::log10(beyond));
    series.y.push_back(std::log10(std::max(quantile(all, 1 - beyond), 1e-4)));
  }
  return series;
}

Chart figure(const Figures& figures) {
  Chart chart{.title = "Latencies of synthetic chats whose priorities change, in a third of their memory",
              .x_label = "nines: 1 is the 90th percentile, 2 the 99th, 3 the 99.9th",
              .y_label = "log10 of seconds",
              .panels = {},
              .columns = 2};
  for (const bool gaps : {false, true}) {
    for (const PriorityPattern pattern : kPatterns) {
      ChartPanel panel{.title = fmt::format("{}, {}", gaps ? "gaps between tokens" : "first token", name(pattern)),
                       .series = {}};
      for (const SwapWay& way : kSwapWays) {
        panel.series.push_back(tail(way.name, figures.runs.at({way.name, pattern}), gaps));
      }
      chart.panels.push_back(std::move(panel));
    }
  }
  return chart;
}

Result<ExperimentReport> run(const ExperimentOptions& options) {
  PLAIT_TRY(const LabModel lab, load_lab_model(options));
  Figures figures{.scale = scale_of(options), .setup = {}, .model = lab.name};
  engine::ModelRunner runner(*lab.model, *lab.team);
  figures.setup.chats = chat_trace(figures.scale.trace);
  figures.setup.layers = lab.model->config().layers;
  figures.setup.period_steps = figures.scale.period_steps;
  figures.setup.folder = swap_folder();
  PLAIT_TRY_VOID(measure_all(runner, figures));
  ExperimentReport report{.text = report_text(figures), .json = report_json(figures), .chart = figure(figures)};
  report.gates = gates(figures);
  report.json["gates"] = gates_json(report.gates);
  return report;
}

}  // namespace

Experiment fastswitch_experiment() {
  return {.name = "fastswitch",
          .about = "Preempted chats to a file and back: latencies of six ways, synthetic chats, real model",
          .run = run};
}

}  // namespace plait::evaluation
