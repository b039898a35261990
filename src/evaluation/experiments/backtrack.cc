// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/backtrack.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/random.h"
#include "evaluation/countdown.h"
#include "evaluation/experiments/backtrack_arms.h"
#include "evaluation/experiments/claim_table.h"
#include "evaluation/experiments/expression_check.h"
#include "evaluation/proportion.h"
#include "reasoning/mac_count.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::MacAttention;
using reasoning::MacShape;

constexpr std::uint64_t kSeed = 39;
constexpr double kTemperature = 4;
// The published learners by which compute is counted: 6 layers of width 256, 8 of 512.
constexpr MacShape k3M{.layers = 6, .width = 256, .kv_width = 64, .feed_forward = 512};
constexpr MacShape k17M{.layers = 8, .width = 512, .kv_width = 128, .feed_forward = 1024};

/// CountDown with so many numbers, both ways.
struct TaskFigures {
  std::size_t numbers = 0;
  LongFigures trace = {};
  ShortFigures samples = {};
  [[nodiscard]] std::size_t short_tokens() const {
    return static_cast<std::size_t>(std::llround(samples.tokens.value()));
  }
  /// Solved by 16 samples less solved by one trace of 4,096 tokens.
  [[nodiscard]] double gap() const {
    return samples.pass.at(kSampleCounts.back()).value() - trace.solved.at(kTraceBudgets.back()).value();
  }
};

double macs(const MacShape& shape, std::size_t tokens, MacAttention attention) {
  return static_cast<double>(reasoning::mac_count(shape, tokens, attention));
}

/// Shapes and lengths for which the formula is what a model does, token by token and layer by layer.
Proportion check_formula() {
  Proportion agreed;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto draw = [&](std::uint64_t n, std::uint64_t below) {
      return 1 + base::random_u64(base::child_seed(kSeed, seed), n) % below;
    };
    const MacShape shape{draw(0, 8), draw(1, 300), draw(2, 300), draw(3, 900)};
    const std::uint64_t tokens = draw(4, 200);
    std::uint64_t matrices = 0;
    std::uint64_t products = 0;
    for (std::uint64_t layer = 0; layer < shape.layers; ++layer) {
      for (std::uint64_t token = 1; token <= tokens; ++token) {
        matrices += shape.width * (2 * shape.width + 2 * shape.kv_width + 3 * shape.feed_forward);
        products += shape.width * token;
      }
    }
    agreed.add(mac_count(shape, tokens, MacAttention::paper) == matrices + products);
    agreed.add(mac_count(shape, tokens, MacAttention::full) == matrices + 2 * products);
  }
  return agreed;
}

std::string interval(const Proportion& proportion) {
  const Interval range = wilson_interval(proportion);
  return fmt::format("{:.3f} [{:.3f}, {:.3f}]", proportion.value(), range.low, range.high);
}

std::string task_text(const TaskFigures& task) {
  std::string text = fmt::format(
      "{} numbers, {} problems: a trace takes {:.0f} tokens on average, an answer alone {}\n"
      "  {:>6}  {:<22}  {:>10}    {:>4}  {:<22}  {:<22}  {:>10}\n",
      task.numbers, task.trace.agreed.n, task.trace.tokens.value(), task.short_tokens(), "tokens", "one trace, greedy",
      "10^9 MAC", "n", "any right (oracle)", "majority", "10^9 MAC");
  for (std::size_t i = 0; i < kTraceBudgets.size(); ++i) {
    const std::size_t budget = kTraceBudgets[i];
    const std::size_t n = kSampleCounts[i];
    text += fmt::format("  {:>6}  {:<22}  {:>10.2f}    {:>4}  {:<22}  {:<22}  {:>10.2f}\n", budget,
                        interval(task.trace.solved.at(budget)), macs(k3M, budget, MacAttention::paper) / 1e9, n,
                        interval(task.samples.pass.at(n)), interval(task.samples.majority.at(n)),
                        static_cast<double>(n) * macs(k3M, task.short_tokens(), MacAttention::paper) / 1e9);
  }
  return text;
}

void add_claims(const TaskFigures& four, const TaskFigures& three, const Agreement& opinions, const Proportion& formula,
                ClaimTable& table) {
  const Proportion agreed{opinions.agreed, opinions.checked};
  table.add("MAC counts that are the sum over tokens and layers", "1 (card)", formula);
  table.add(fmt::format("verifier and second opinion agree ({} legal)", opinions.legal), "1 (card)", agreed);
  table.add("budgets kept to the token, with the same text", "1 (card)", four.trace.kept_to_budget);
  table.add("traces solved at just the budgets their lengths say", "1 (card)", four.trace.agreed);
  table.add("samples right where the number they drew says", "1 (card)", four.samples.predicted);
  table.add("the same samples with three at a time", "1 (card)", four.samples.any_order);
  table.add("problems whose 16 samples all differ by what they drew", "-", four.samples.different);
  table.add("the strategy's choices are these", "-", four.samples.selectors);
  const std::array<const char*, 5> traces{"7.5 to 12.5 % (4 learners)", "11.5 to 16 %; authors' traces .18",
                                          "25.5 to 30 %; .31", "33.5 to 35.5 %; .40; prototype .42",
                                          "41.5 to 45 %; .58; prototype .48"};
  for (std::size_t i = 0; i < kTraceBudgets.size(); ++i) {
    table.add(fmt::format("one trace of {} tokens, solved", kTraceBudgets[i]), traces[i],
              four.trace.solved.at(kTraceBudgets[i]), "the search itself is the baseline");
  }
  const std::array<const char*, 5> samples{"8.5 to 21 %", "20.5 to 27 %", "30 to 37.5 %", "40 to 52 %", "52 to 68.5 %"};
  for (std::size_t i = 0; i < kSampleCounts.size(); ++i) {
    const std::size_t n = kSampleCounts[i];
    table.add(fmt::format("{} samples, any right (oracle)", n), samples[i], four.samples.pass.at(n),
              fmt::format("{:.3f}, majority", four.samples.majority.at(n).value()));
  }
  table.add("16 samples, majority", "17 to 20 % (17M)", four.samples.majority.at(16),
            fmt::format("{:.3f}, one sample", four.samples.pass.at(1).value()));
  table.add("16 samples without chance are as one (control)", "1 (card)", four.samples.all_equal);
  table.add("answers to another problem that are right (control)", "0 (card)", four.samples.of_others);
  table.add("16 paths of random moves, any right", "-", four.samples.random_any);
  for (const auto& [name, shape, paper] : {std::tuple("3M", k3M, ".447"), std::tuple("17M", k17M, ".577")}) {
    const double ratio = 16 * macs(shape, 212, MacAttention::paper) / macs(shape, 4096, MacAttention::paper);
    table.add({.what = fmt::format("{}: MAC of 16 answers of 212 / of a trace of 4,096", name),
               .paper = paper,
               .ours = ratio,
               .baseline = fmt::format("{:.3f}, both products of attention", 16 * macs(shape, 212, MacAttention::full) /
                                                                                 macs(shape, 4096, MacAttention::full)),
               .n = 1});
  }
  table.add(
      {.what = "16 samples - trace of 4,096, four numbers",
       .paper = "+10.5 to +25.5 points (learners)",
       .ours = four.gap(),
       .baseline = fmt::format("{:+.3f}, three numbers", three.gap()),
       .n = four.trace.agreed.n,
       .error = std::hypot(four.samples.pass.at(16).standard_error(), four.trace.solved.at(4096).standard_error())});
}

std::vector<Gate> gates_of(const std::vector<TaskFigures>& tasks, const Agreement& opinions,
                           const Proportion& formula) {
  std::vector<Gate> gates{{"MAC counts that are the sum over tokens and layers", formula.value(), 1, false, true},
                          {"expressions on which verifier and second opinion differ",
                           static_cast<double>(opinions.checked - opinions.agreed), 0, true, true}};
  for (const TaskFigures& task : tasks) {
    const LongFigures& trace = task.trace;
    const ShortFigures& samples = task.samples;
    const auto add = [&](std::string what, double value, double limit, bool at_most) {
      gates.push_back({fmt::format("{} numbers: {}", task.numbers, what), value, limit, at_most, true});
    };
    add("traces solved at just the budgets that their lengths say", trace.agreed.value(), 1, false);
    if (trace.kept_to_budget.n > 0) add("budgets kept to the token", trace.kept_to_budget.value(), 1, false);
    add("samples right where the number they drew says", samples.predicted.value(), 1, false);
    add("samples that are the same in another order", samples.any_order.value(), 1, false);
    add("choices of the strategy that are the selector's", samples.selectors.value(), 1, false);
    add("tokens computed of prompts beyond one and one a sample", samples.prefill_excess, 0, true);
    add("samples without chance are as one (control)", samples.all_equal.value(), 1, false);
    add("answers to another problem that are right (control)", samples.of_others.value(), 0, true);
  }
  gates.push_back(
      {"problems whose 16 samples all differ by what they drew", tasks.front().samples.different.value(), 0.99, false});
  return gates;
}

ChartPanel panel_of(const TaskFigures& task) {
  ChartPanel panel{.title = fmt::format("{} numbers: solved, by 10^9 MAC of a 3M learner", task.numbers),
                   .series = {{.name = "one trace, greedy", .x = {}, .y = {}},
                              {.name = "n answers, any right (oracle)", .x = {}, .y = {}},
                              {.name = "n answers, majority", .x = {}, .y = {}}}};
  const auto add = [](ChartSeries& series, double x, const Proportion& y) {
    series.x.push_back(x);
    series.y.push_back(y.value());
  };
  for (const auto& [budget, solved] : task.trace.solved) {
    add(panel.series[0], macs(k3M, budget, MacAttention::paper) / 1e9, solved);
  }
  for (const std::size_t n : kSampleCounts) {
    const double x = static_cast<double>(n) * macs(k3M, task.short_tokens(), MacAttention::paper) / 1e9;
    add(panel.series[1], x, task.samples.pass.at(n));
    add(panel.series[2], x, task.samples.majority.at(n));
  }
  return panel;
}

text::Json task_json(const TaskFigures& task) {
  text::Json json = {{"numbers", task.numbers},
                     {"problems", task.trace.agreed.n},
                     {"trace_tokens", task.trace.tokens.value()},
                     {"answer_tokens", task.samples.tokens.value()},
                     {"trace", text::Json::array()},
                     {"samples", text::Json::array()}};
  for (const auto& [budget, solved] : task.trace.solved) {
    json["trace"].push_back(
        {{"tokens", budget}, {"solved", solved.value()}, {"predicted", task.trace.predicted.at(budget).value()}});
  }
  for (const auto& [n, pass] : task.samples.pass) {
    json["samples"].push_back({{"n", n}, {"any", pass.value()}, {"majority", task.samples.majority.at(n).value()}});
  }
  return json;
}

Result<TaskFigures> run_task(std::size_t numbers, std::size_t count) {
  TaskFigures task{.numbers = numbers};
  PLAIT_TRY(const auto problems,
            countdown_problems({.numbers = numbers, .part = CountdownPart::test, .seed = kSeed}, count));
  PLAIT_TRY(task.trace, run_long(problems));
  PLAIT_TRY(task.samples, run_short(problems, kTemperature, kSeed));
  return task;
}

Result<ExperimentReport> run_backtrack(const ExperimentOptions& options) {
  const auto times = [&](double count) {
    return static_cast<std::size_t>(std::max(2.0, std::round(count * options.scale)));
  };
  PLAIT_TRY(TaskFigures four, run_task(4, options.quick ? 4 : times(600)));
  PLAIT_TRY(TaskFigures three, run_task(3, options.quick ? 4 : times(300)));
  const Agreement opinions = compare_opinions(options.quick ? 2000 : 100'000, kSeed);
  const Proportion formula = check_formula();
  ClaimTable table(kSeed);
  add_claims(four, three, opinions, formula, table);
  const std::vector<TaskFigures> tasks{std::move(four), std::move(three)};
  ExperimentReport report;
  report.gates = gates_of(tasks, opinions, formula);
  PLAIT_TRY_VOID(add_pace(options, {.what = "16 samples: time together / one after another", .width = 16, .limit = 0.5},
                          table, report.gates));
  report.text = fmt::format(
      "A depth-first search and a player that guesses (T = {}), both programs: what they solve says nothing of "
      "learners; "
      "that it is counted rightly does\n\n{}\n{}\n{}",
      kTemperature, table.text(), task_text(tasks[0]), task_text(tasks[1]));
  report.json = {{"experiment", "backtrack"},
                 {"claims", table.json()},
                 {"tasks", text::Json::array({task_json(tasks[0]), task_json(tasks[1])})},
                 {"gates", gates_json(report.gates)}};
  report.chart = {.title = "One long answer or many short ones",
                  .x_label = "10^9 multiply-adds",
                  .y_label = "solved",
                  .panels = {panel_of(tasks[0]), panel_of(tasks[1])},
                  .columns = 2};
  return report;
}

}  // namespace

Experiment backtrack_experiment() {
  return {.name = "backtrack",
          .about = "One long searching answer beside many short ones, at equal compute",
          .run = run_backtrack};
}

}  // namespace plait::evaluation
