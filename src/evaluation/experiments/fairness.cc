// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/fairness.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/clock.h"
#include "evaluation/experiments/fairness_pace.h"
#include "evaluation/experiments/lab_model.h"

namespace plait::evaluation {
namespace {

using base::Result;

struct Scale {
  LightAndHeavy clients;
  PromptsAndStreams arrivals;
};

Scale scale_of(const ExperimentOptions& options) {
  Scale scale;
  if (options.quick) {
    scale.clients.heavy = {.name = "heavy", .prompt = 40, .generate = 12, .spread = 0.5, .seed = 12};
    scale.clients.light = {.name = "light", .prompt = 5, .generate = 3, .seed = 11};
    scale.clients.heavy_open = 4;
    scale.clients.light_requests = 6;
    scale.clients.rounds = 2;
    scale.clients.alone_seconds = 0.05;
    scale.clients.decode_steps = 4;
    scale.clients.own_prompts = 2;
    scale.arrivals = {.streams = 3, .prompts = 4, .rounds = 2, .decode_steps = 4};
    scale.arrivals.stream.prompt = 5;
    scale.arrivals.prompt.prompt = 20;
    return scale;
  }
  const auto times = [&](std::size_t count) {
    return static_cast<std::size_t>(std::max(1.0, std::round(static_cast<double>(count) * options.scale)));
  };
  scale.clients.light_requests = times(scale.clients.light_requests);
  scale.clients.rounds = times(scale.clients.rounds);
  scale.clients.alone_seconds *= std::min(1.0, options.scale);
  scale.arrivals.rounds = times(scale.arrivals.rounds);
  return scale;
}

struct Figures {
  LightAndHeavyFigures clients;
  PromptsAndStreamsFigures arrivals;
  std::string model;
  std::string machine;
};

std::vector<Gate> gates(const Figures& figures) {
  const LightAndHeavyFigures& clients = figures.clients;
  const PromptsAndStreamsFigures& arrivals = figures.arrivals;
  return {{"light client: p99 of its first token / (4 decode-only steps + its own prompt alone)",
           quantile(clients.first_tokens, 0.99) / clients.limit(), 1},
          {"the same when it waits for its answers", quantile(clients.patient_first_tokens, 0.99) / clients.limit(), 1},
          {"heavy client: part of its rate lost beyond what the light one got", clients.heavy_loss(), 0.1},
          {"while prompts arrive: p99.9 of the gaps of streams / a decode-only step at equal contexts",
           quantile(arrivals.relative_gaps, 0.999), 3},
          {"the prompts' rate meanwhile / their rate alone", arrivals.beside / arrivals.lone, 0.6, false}};
}

std::string milliseconds(double seconds) { return fmt::format("{:.1f} ms", 1e3 * seconds); }

std::string clients_text(const Scale& scale, const LightAndHeavyFigures& f) {
  const LightAndHeavy& options = scale.clients;
  return fmt::format(
      "A light client ({} requests of {} + {} tokens, by chance) beside {} of a heavy one's ({} + {}, half as long to "
      "half as long again)\n"
      "  decode-only step of {} rows {}, the light one's prompt alone {}: a first token may take {}\n"
      "  first token: median {}, p90 {}, p99 {}, most {}\n"
      "  when it waits for its answers: median {}, p90 {}, p99 {}, most {}\n"
      "  heavy alone {:.0f} tokens/s; together {:.0f} and {:.0f} for the light one: {:.1f} % lost beyond that\n",
      f.first_tokens.size(), options.light.prompt, options.light.generate, options.heavy_open, options.heavy.prompt,
      options.heavy.generate, options.heavy_open, milliseconds(f.decode_step), milliseconds(f.own_prompt),
      milliseconds(f.limit()), milliseconds(quantile(f.first_tokens, 0.5)), milliseconds(quantile(f.first_tokens, 0.9)),
      milliseconds(quantile(f.first_tokens, 0.99)), milliseconds(quantile(f.first_tokens, 1)),
      milliseconds(quantile(f.patient_first_tokens, 0.5)), milliseconds(quantile(f.patient_first_tokens, 0.9)),
      milliseconds(quantile(f.patient_first_tokens, 0.99)), milliseconds(quantile(f.patient_first_tokens, 1)),
      f.heavy_alone, f.heavy_beside, f.light_beside, 100 * f.heavy_loss());
}

std::string arrivals_text(const Scale& scale, const PromptsAndStreamsFigures& f) {
  const PromptsAndStreams& options = scale.arrivals;
  return fmt::format(
      "{} prompts of {} tokens at once beside {} streams, {} times\n"
      "  decode-only step {} before and {} after; gaps meanwhile, {} of them: median {}, p99 {}, p99.9 {}, most {}\n"
      "  in decode-only steps at equal contexts: median {:.2f}, p99 {:.2f}, p99.9 {:.2f}, most {:.2f}\n"
      "  prompts {:.0f} tokens/s, alone {:.0f}\n",
      options.prompts, options.prompt.prompt, options.streams, options.rounds, milliseconds(f.decode_before),
      milliseconds(f.decode_after), f.gaps.size(), milliseconds(quantile(f.gaps, 0.5)),
      milliseconds(quantile(f.gaps, 0.99)), milliseconds(quantile(f.gaps, 0.999)), milliseconds(quantile(f.gaps, 1)),
      quantile(f.relative_gaps, 0.5), quantile(f.relative_gaps, 0.99), quantile(f.relative_gaps, 0.999),
      quantile(f.relative_gaps, 1), f.beside, f.lone);
}

text::Json report_json(const Figures& figures) {
  const LightAndHeavyFigures& clients = figures.clients;
  const PromptsAndStreamsFigures& arrivals = figures.arrivals;
  return {{"experiment", "fairness"},
          {"model", figures.model},
          {"machine", figures.machine},
          {"clients",
           {{"first_tokens_seconds", clients.first_tokens},
            {"patient_first_tokens_seconds", clients.patient_first_tokens},
            {"decode_step_seconds", clients.decode_step},
            {"own_prompt_seconds", clients.own_prompt},
            {"heavy_alone_tokens_per_second", clients.heavy_alone},
            {"heavy_beside_tokens_per_second", clients.heavy_beside},
            {"light_beside_tokens_per_second", clients.light_beside}}},
          {"arrivals",
           {{"gaps_seconds", arrivals.gaps},
            {"relative_gaps", arrivals.relative_gaps},
            {"decode_steps_before_seconds", arrivals.decodes_before},
            {"decode_steps_after_seconds", arrivals.decodes_after},
            {"prompts_beside_tokens_per_second", arrivals.beside},
            {"prompts_alone_tokens_per_second", arrivals.lone}}}};
}

/// The part of the values that is at most x, over values divided by `unit`.
ChartSeries distribution(std::string name, std::vector<double> values, double unit) {
  std::ranges::sort(values);
  ChartSeries series{.name = std::move(name), .x = {}, .y = {}};
  for (std::size_t i = 0; i < values.size(); ++i) {
    series.x.push_back(values[i] / unit);
    series.y.push_back(static_cast<double>(i + 1) / static_cast<double>(values.size()));
  }
  return series;
}

Chart figure(const Figures& figures) {
  const LightAndHeavyFigures& clients = figures.clients;
  const PromptsAndStreamsFigures& arrivals = figures.arrivals;
  const auto limit = [](double at) { return ChartSeries{.name = "limit", .x = {at, at}, .y = {0, 1}}; };
  return {.title = "Who waits for whom",
          .x_label = "decode-only steps",
          .y_label = "part of all",
          .panels = {{.title = "First tokens of a light client",
                      .series = {distribution("measured", clients.first_tokens, clients.decode_step),
                                 distribution("one at a time", clients.patient_first_tokens, clients.decode_step),
                                 limit(clients.limit() / clients.decode_step)}},
                     {.title = "Gaps of streams while prompts arrive",
                      .series = {distribution("measured", arrivals.relative_gaps, 1), limit(3)}}},
          .columns = 2};
}

Result<ExperimentReport> run(const ExperimentOptions& options) {
  const Scale scale = scale_of(options);
  PLAIT_TRY(const LabModel lab, load_lab_model(options));
  engine::ModelRunner runner(*lab.model, *lab.team);
  Figures figures{.clients = {}, .arrivals = {}, .model = lab.name, .machine = lab.machine};
  PLAIT_TRY(figures.arrivals, run_prompts_and_streams(runner, scale.arrivals, base::steady_clock()));
  PLAIT_TRY(figures.clients, run_light_and_heavy(runner, scale.clients, base::steady_clock()));
  ExperimentReport report{
      .text = fmt::format("{} on {}\n\n{}\n{}", figures.model, figures.machine, clients_text(scale, figures.clients),
                          arrivals_text(scale, figures.arrivals)),
      .json = report_json(figures),
      .chart = figure(figures)};
  report.gates = gates(figures);
  report.json["gates"] = gates_json(report.gates);
  return report;
}

}  // namespace

Experiment fairness_experiment() {
  return {.name = "fairness",
          .about = "First tokens beside a heavy client, gaps of streams while prompts arrive",
          .run = run};
}

}  // namespace plait::evaluation
