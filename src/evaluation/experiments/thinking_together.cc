// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/thinking_together.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "base/clock.h"
#include "evaluation/experiments/door_code.h"
#include "evaluation/experiments/key_rotation.h"
#include "evaluation/experiments/lab_model.h"
#include "evaluation/experiments/letter_list.h"
#include "evaluation/experiments/load_client.h"
#include "evaluation/experiments/watching_rows.h"
#include "models/tokenizer.h"

namespace plait::evaluation {
namespace {

using base::Result;

RowsLoad load_of(const ExperimentOptions& options) {
  if (options.quick) return {.prompt = 48, .tokens = 4, .widths = {1, 2, 4}, .serial_most = 2, .rounds = 1};
  RowsLoad load;
  load.rounds = static_cast<std::size_t>(std::max(1.0, std::round(5 * options.scale))) | 1U;
  return load;
}

double median(const std::vector<double>& values) { return quantile(values, 0.5); }
double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(std::max<std::size_t>(1, values.size()));
}

/// Tokens per second of so many rows, as a multiple of one row's.
double gain(const RowsFigures& rows, RowsHow how, std::size_t width) {
  return static_cast<double>(width) / rows.ratio(how, width, how, 1);
}

std::string rows_text(const RowsLoad& load, const RowsFigures& rows, RowsHow how, std::string_view who) {
  std::string text = fmt::format(
      "{} rows behind one prompt of {} tokens, {} tokens each; medians of {} rounds. An ordinary batch sees the prompt "
      "and\nits own tokens; the longer one begins with as many tokens more as rows that see each other see on average\n"
      "{:>6}  {:>10}  {:>10}  {:>20}  {:>12}  {:>18}\n",
      who, load.prompt, load.tokens, load.rounds, "rows", "tokens/s", "x one row", "batch, its tokens/s",
      "of the batch", "of the longer one");
  for (const std::size_t width : load.widths) {
    const double tokens = static_cast<double>(width * load.tokens);
    text +=
        fmt::format("{:>6}  {:>10.1f}  {:>10.2f}  {:>20.1f}  {:>12.2f}  {:>18.2f}\n", width,
                    tokens / median(rows.seconds(how, width)), gain(rows, how, width),
                    tokens / median(rows.seconds(RowsHow::batch, width)), rows.ratio(RowsHow::batch, width, how, width),
                    rows.ratio(RowsHow::same_context, width, how, width));
  }
  return text;
}

/// Beside workers: the same with the keys of the others turned at each step.
std::string rotation_text(const RowsLoad& load, const RowsFigures& rows) {
  std::string text = fmt::format(
      "The others' keys turned for each worker at each step, where plait turns a query once for each span it sees:\n"
      "computed from two measurements, the time of the workers and that of turning\n{:>6}  {:>10}  {:>20}  {:>12}\n",
      "rows", "tokens/s", "with keys turned", "of it");
  for (const std::size_t width : load.widths) {
    const double tokens = static_cast<double>(width * load.tokens);
    const double turned = median(rows.sums(RowsHow::contiguous, RowsHow::key_rotation, width));
    const double seconds = median(rows.seconds(RowsHow::contiguous, width));
    text += fmt::format("{:>6}  {:>10.1f}  {:>20.1f}  {:>12.2f}\n", width, tokens / seconds, tokens / turned,
                        seconds / turned);
  }
  return text;
}

text::Json rows_json(const RowsLoad& load, const RowsFigures& rows) {
  text::Json json = text::Json::array();
  for (const std::size_t width : load.widths) {
    json.push_back({{"rows", width},
                    {"serial_seconds", rows.seconds(RowsHow::serial, width)},
                    {"batch_seconds", rows.seconds(RowsHow::batch, width)},
                    {"longer_batch_seconds", rows.seconds(RowsHow::same_context, width)},
                    {"contiguous_seconds", rows.seconds(RowsHow::contiguous, width)},
                    {"slots_seconds", rows.seconds(RowsHow::slots, width)},
                    {"key_rotation_seconds", rows.seconds(RowsHow::key_rotation, width)}});
  }
  return json;
}

ChartPanel rows_panel(const RowsLoad& load, const RowsFigures& rows, RowsHow how, std::string name) {
  ChartPanel panel{
      .title = "Tokens per second, x one row",
      .series = {{.name = std::move(name), .x = {}, .y = {}}, {.name = "ordinary batch", .x = {}, .y = {}}}};
  for (const std::size_t width : load.widths) {
    for (ChartSeries& series : panel.series) series.x.push_back(static_cast<double>(width));
    panel.series[0].y.push_back(gain(rows, how, width));
    panel.series[1].y.push_back(gain(rows, RowsHow::batch, width));
  }
  return panel;
}

/// Rows that see each other are to have nearly the pace of ordinary ones.
void add_batch_gates(const RowsLoad& load, const RowsFigures& rows, RowsHow how, std::vector<Gate>& gates) {
  for (const std::size_t width : load.widths) {
    if (width == 1) continue;
    gates.push_back({fmt::format("{} rows: tokens/s / those of an ordinary batch", width),
                     rows.ratio(RowsHow::batch, width, how, width), 0.9, false});
  }
}

std::string doors_text(const DoorFigures& doors) {
  std::string text =
      fmt::format("Nats per digit of a code that another worker writes, {} codes\n", doors.begin()->second.size());
  for (const auto& [which, nats] : doors) {
    const double m = mean(nats);
    double squares = 0;
    for (const double one : nats) squares += (one - m) * (one - m);
    const auto n = static_cast<double>(nats.size());
    text += fmt::format("  {:<28} {:.3f} +- {:.3f}\n", name(which), m, std::sqrt(squares / std::max(1.0, n - 1) / n));
  }
  return text;
}

void add_door_gates(const DoorFigures& doors, std::vector<Gate>& gates) {
  const auto nats = [&](DoorCase which) { return mean(doors.at(which)); };
  const double isolated = nats(DoorCase::isolated);
  gates.push_back(
      {"finished text: nats / those of one text", nats(DoorCase::finished) / nats(DoorCase::concatenated), 1.2});
  gates.push_back({"finished text behind a header: nats / those of one text with the header",
                   nats(DoorCase::finished_in_history) / nats(DoorCase::concatenated_header), 1.2});
  gates.push_back({"finished text: nats below isolated", isolated - nats(DoorCase::finished), 2.0, false});
  gates.push_back({"finished text behind a header: nats below isolated", isolated - nats(DoorCase::finished_in_history),
                   2.0, false});
  gates.push_back({"digits one step ahead: nats", nats(DoorCase::lead_1), 0.5});
  gates.push_back(
      {"digits at the same step (control): nats - isolated", nats(DoorCase::lead_0) - isolated, -0.1, false});
  gates.push_back({"one step ahead, views made before tokens are appended (control): nats - isolated",
                   nats(DoorCase::views_before) - isolated, -0.1, false});
  gates.push_back({"code withheld (control): nats - isolated", nats(DoorCase::withheld) - isolated, -0.1, false});
}

Result<ExperimentReport> run_hogwild(const ExperimentOptions& options) {
  RowsLoad load = load_of(options);
  PLAIT_TRY(const LabModel lab, load_lab_model(options));
  PLAIT_TRY(const auto tokenizer, models::Tokenizer::load(lab.model->file()));
  KeyRotation rotation(*lab.model, *lab.team, std::ranges::max(load.widths), load.tokens);
  load.rotation = &rotation;
  load.how.push_back(RowsHow::key_rotation);
  engine::ModelRunner runner(*lab.model, *lab.team);
  PLAIT_TRY(const RowsFigures rows, run_rows(runner, load, base::steady_clock()));
  PLAIT_TRY(const DoorFigures doors, run_door_codes(runner, *tokenizer, {.codes = options.quick ? 2U : 100U}));
  ExperimentReport report{.text = fmt::format("{} on {}\n\n{}\n{}\n{}", lab.name, lab.machine,
                                              rows_text(load, rows, RowsHow::contiguous, "Workers:"),
                                              rotation_text(load, rows), doors_text(doors))};
  const auto gain_gate = [&](std::size_t width, double least) {
    if (gain(rows, RowsHow::batch, width) < least) {
      report.text += fmt::format("\n{} rows in an ordinary batch do not reach {} x one row here: {:.2f}\n", width,
                                 least, gain(rows, RowsHow::batch, width));
      return;
    }
    report.gates.push_back({fmt::format("{} workers: tokens/s / those of one", width),
                            gain(rows, RowsHow::contiguous, width), least, false});
  };
  gain_gate(2, 1.7);
  gain_gate(4, 2.8);
  add_batch_gates(load, rows, RowsHow::contiguous, report.gates);
  add_door_gates(doors, report.gates);
  text::Json codes = text::Json::object();
  ChartSeries nats{.name = "nats per digit", .x = {}, .y = {}, .line = false};
  for (const auto& [which, values] : doors) {
    codes[std::string(name(which))] = values;
    nats.x.push_back(static_cast<double>(nats.x.size()));
    nats.y.push_back(mean(values));
  }
  report.json = {{"experiment", "hogwild"},       {"model", lab.name},   {"machine", lab.machine},
                 {"rows", rows_json(load, rows)}, {"door_codes", codes}, {"gates", gates_json(report.gates)}};
  report.chart = {.title = "Workers who read each other",
                  .x_label = "rows; case",
                  .y_label = "x one row; nats",
                  .panels = {rows_panel(load, rows, RowsHow::contiguous, "workers"),
                             {.title = "Nats per digit, by case in the order of the table", .series = {nats}}},
                  .columns = 2};
  return report;
}

Result<ExperimentReport> run_group_think(const ExperimentOptions& options) {
  const RowsLoad load = load_of(options);
  PLAIT_TRY(const LabModel lab, load_lab_model(options));
  engine::ModelRunner runner(*lab.model, *lab.team);
  PLAIT_TRY(const RowsFigures rows, run_rows(runner, load, base::steady_clock()));
  PLAIT_TRY(const LetterFigures letters, run_letter_lists({.lists = options.quick ? 2U : 100U}));
  ExperimentReport report{.text =
                              fmt::format("{} on {}\n\n{}\n{}", lab.name, lab.machine,
                                          rows_text(load, rows, RowsHow::slots, "Thinkers:"), letters_text(letters))};
  const double batch_step = rows.ratio(RowsHow::batch, 4, RowsHow::batch, 1);
  if (batch_step > 1.5) {
    report.text += fmt::format("\nA step of 4 ordinary rows takes {:.2f} x that of one here\n", batch_step);
  } else {
    report.gates.push_back(
        {"4 thinkers: time of a step / that of one", rows.ratio(RowsHow::slots, 4, RowsHow::slots, 1), 1.5});
  }
  add_batch_gates(load, rows, RowsHow::slots, report.gates);
  report.gates.push_back({"scripted thinkers who see each other, 4: steps to full coverage / those of one",
                          letters.steps_ratio(4), 0.5, true, true});
  report.json = {{"experiment", "group-think"},      {"model", lab.name},
                 {"machine", lab.machine},           {"rows", rows_json(load, rows)},
                 {"letters", letters_json(letters)}, {"gates", gates_json(report.gates)}};
  report.chart = {.title = "Thinkers who see each other",
                  .x_label = "rows; tokens of each",
                  .y_label = "x one row; coverage",
                  .panels = {rows_panel(load, rows, RowsHow::slots, "thinkers"), letters_panel(letters)},
                  .columns = 2};
  return report;
}

}  // namespace

Experiment hogwild_experiment() {
  return {.name = "hogwild",
          .about = "Workers who read each other's unfinished text: pace, and whether they do",
          .run = run_hogwild};
}

Experiment group_think_experiment() {
  return {.name = "group-think",
          .about = "Thinkers who see each other's every token: pace and coverage",
          .run = run_group_think};
}

}  // namespace plait::evaluation
