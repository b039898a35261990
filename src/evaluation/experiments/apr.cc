// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/apr.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "evaluation/countdown.h"
#include "evaluation/countdown_search.h"
#include "evaluation/experiments/apr_runs.h"
#include "evaluation/experiments/claim_table.h"
#include "evaluation/proportion.h"
#include "reasoning/search_trace.h"

namespace plait::evaluation {
namespace {

using base::Result;

constexpr std::uint64_t kSeed = 20;
constexpr std::array<std::size_t, 6> kWindows{256, 512, 768, 1024, 2048, 4096};
constexpr std::size_t kWide = 4096;
constexpr std::size_t kNarrow = 1024;
constexpr std::array<std::size_t, 5> kBudgets{0, 1, 2, 5, 10};
constexpr std::size_t kWidestChildren = 15;  // published as the most; spawning_policy() has what fits the sizes

/// Both ways in one window.
struct WindowFigures {
  Proportion spawned;
  Proportion serial;
  Proportion widest;      ///< Spawned, children with the widest beam.
  Discordant discordant;  ///< Spawned first.
  [[nodiscard]] double ratio() const {
    return static_cast<double>(spawned.hits) / static_cast<double>(std::max<std::size_t>(1, serial.hits));
  }
};

struct BudgetFigures {
  Proportion solved;
  Mean sequential;
};

struct Figures {
  std::map<std::size_t, WindowFigures> engine;     ///< By window, through the runtime.
  std::map<std::size_t, WindowFigures> simulated;  ///< By window, what the searches are.
  std::map<std::size_t, BudgetFigures> budgets;    ///< By children that may be called at one node.
  Proportion as_written;
  Proportion any_order;  ///< With two calls at a time.
  Proportion ledgers;
  Proportion predicted;         ///< Solved or not as the search is.
  Proportion false_goals;       ///< That the verifier took.
  Proportion without_children;  ///< Is the plain search with the same beam.
  Proportion serial_passes;     ///< Serial searches with other seeds, as many as the spawned one's tokens pay for.
  Mean total;
  Mean sequential;
  Mean children;
  std::size_t earlier = 0;
  std::size_t cached = 0;
  std::size_t window_ends = 0;
};

BestFirstOptions spawning(std::size_t problem, std::size_t window) {
  BestFirstOptions options = spawning_policy(base::child_seed(kSeed, problem));
  options.context_tokens = window;
  return options;
}

SearchText serial_search(const CountdownProblem& problem, std::size_t index, std::uint64_t pass) {
  return best_first_text(problem, serial_policy(base::child_seed(base::child_seed(kSeed + 1, pass), index)));
}

/// What the searches are, without any runtime.
void simulate(const CountdownProblem& problem, std::size_t index, const SearchText& serial, Figures& figures) {
  for (const std::size_t window : kWindows) {
    BestFirstOptions options = spawning(index, window);
    const bool spawned = spawned_search(problem, options).solved;
    options.child_beam = kWidestChildren;
    const bool in_one = is_solved_within(problem, serial.text, window);
    WindowFigures& at = figures.simulated[window];
    at.spawned.add(spawned);
    at.serial.add(in_one);
    at.widest.add(spawned_search(problem, options).solved);
    at.discordant.add(spawned, in_one);
  }
  for (const std::size_t budget : kBudgets) {
    BestFirstOptions options = spawning(index, kWide);
    options.children_max = budget;
    const SpawnedSearch search = spawned_search(problem, options);
    figures.budgets[budget].solved.add(search.solved);
    figures.budgets[budget].sequential.add(static_cast<double>(search.sequential_tokens));
  }
}

/// Serial searches until their tokens are those of the spawned one: solved if any is, by the verifier.
bool serial_passes(const CountdownProblem& problem, std::size_t index, std::size_t tokens) {
  for (std::uint64_t pass = 0; tokens > 0; ++pass) {
    const SearchText serial = serial_search(problem, index, pass);
    const std::size_t most = std::min(tokens, kWide);
    if (is_solved_within(problem, serial.text, most)) return true;
    tokens -= std::min({tokens, kWide, count_task_tokens(serial.text)});
  }
  return false;
}

class AprBench {
 public:
  Result<void> open() {
    PLAIT_TRY(wide_, AprRuns::make(kWide));
    PLAIT_TRY(narrow_, AprRuns::make(kNarrow));
    PLAIT_TRY(two_rows_, AprRuns::make(kWide, 2));
    return {};
  }

  Result<void> run(const CountdownProblem& problem, std::size_t index, Figures& figures) {
    const SearchText serial = serial_search(problem, index, 0);
    simulate(problem, index, serial, figures);
    PLAIT_TRY_VOID(run_window(problem, index, serial, kWide, *wide_, figures));
    PLAIT_TRY_VOID(run_window(problem, index, serial, kNarrow, *narrow_, figures));
    for (const std::string& text : {false_goal_text(problem), reasoning::goal_line(problem.target)}) {
      PLAIT_TRY(const bool taken, wide_->claims(problem, text));
      figures.false_goals.add(taken);
    }
    return run_without_children(problem, index, figures);
  }

 private:
  Result<void> run_window(const CountdownProblem& problem, std::size_t index, const SearchText& serial,
                          std::size_t window, AprRuns& runs, Figures& figures) {
    const SpawnedSearch search = spawned_search(problem, spawning(index, window));
    PLAIT_TRY(const AprRun spawned, runs.spawned(problem, search));
    PLAIT_TRY(const AprRun in_one, runs.serial(problem, serial.text));
    WindowFigures& at = figures.engine[window];
    at.spawned.add(spawned.solved);
    at.serial.add(in_one.solved);
    at.discordant.add(spawned.solved, in_one.solved);
    figures.predicted.add(spawned.solved == search.solved &&
                          in_one.solved == is_solved_within(problem, serial.text, window));
    figures.window_ends += spawned.window_ends;
    if (window != kWide) return {};
    figures.as_written.add(spawned.as_written);
    figures.as_written.add(in_one.as_written);
    figures.ledgers.add(spawned.ledger_agrees);
    figures.ledgers.add(in_one.ledger_agrees);
    figures.total.add(static_cast<double>(spawned.total));
    figures.sequential.add(static_cast<double>(spawned.sequential));
    figures.children.add(static_cast<double>(spawned.children));
    figures.earlier += spawned.earlier;
    figures.cached += spawned.cached;
    figures.serial_passes.add(serial_passes(problem, index, spawned.total));
    if (index % 8 != 0) return {};
    PLAIT_TRY(const AprRun again, two_rows_->spawned(problem, search));
    figures.any_order.add(again.as_written && again.ledger_agrees && again.solved == spawned.solved);
    return {};
  }

  /// A budget of no children is the plain search with the same beam.
  Result<void> run_without_children(const CountdownProblem& problem, std::size_t index, Figures& figures) {
    BestFirstOptions options = spawning(index, kWide);
    options.children_max = 0;
    const SpawnedSearch search = spawned_search(problem, options);
    options.nested_probability = 0;
    options.context_tokens = 0;
    const std::string plain = best_first_text(problem, options).text;
    PLAIT_TRY(const AprRun run, wide_->spawned(problem, search));
    figures.without_children.add(run.as_written && run.children == 0 &&
                                 search.text == first_task_tokens(plain, kWide) &&
                                 run.solved == is_solved_within(problem, plain, kWide));
    return {};
  }

  std::unique_ptr<AprRuns> wide_;
  std::unique_ptr<AprRuns> narrow_;
  std::unique_ptr<AprRuns> two_rows_;
};

std::string share(const Proportion& of, std::string_view who) { return fmt::format("{:.3f}, {}", of.value(), who); }

void add_claims(const Figures& figures, ClaimTable& table) {
  table.add("texts that are the search's, byte for byte (4,096)", "1 (card)", figures.as_written);
  table.add("the same with two calls at a time", "1 (card)", figures.any_order);
  table.add("ledgers that count the search's tokens", "-", figures.ledgers);
  table.add("solved or not as the search is (4,096 and 1,024)", "-", figures.predicted);
  table.add("false goals that the verifier takes", "0 (card)", figures.false_goals);
  table.add("budget of no children: the plain search", "1 (card)", figures.without_children);
  const std::map<std::size_t, std::string> papers{{1024, "prototype .11"}, {4096, "prototype .71; RL 83.4 %"}};
  for (const auto& [window, at] : figures.engine) {
    table.add(fmt::format("solved by spawning in {} tokens (verifier)", window), papers.at(window), at.spawned,
              share(at.serial, "in one text"));
  }
  const WindowFigures& wide = figures.engine.at(kWide);
  table.add({.what = "p of the difference at 4,096 (McNemar)", .ours = wide.discordant.p(), .n = wide.spawned.n});
  table.add("spawning in 4,096 beside serial passes of as many tokens", "80.1 and 68.4 % (20k)", wide.spawned,
            share(figures.serial_passes, "any pass right (verifier)"));
  table.add({.what = "tokens of all calls",
             .paper = "prototype 7.5k; 10,964",
             .ours = figures.total.value(),
             .n = figures.total.n,
             .error = figures.total.standard_error()});
  table.add({.what = "tokens of the longest chain",
             .paper = "prototype 2.1k; 2k to 2.5k",
             .ours = figures.sequential.value(),
             .baseline = fmt::format("{:.0f}, one call after another", figures.total.value()),
             .n = figures.sequential.n,
             .error = figures.sequential.standard_error()});
  table.add({.what = "children of a problem",
             .paper = "6.1; prototype 6.0 to 6.2",
             .ours = figures.children.value(),
             .baseline = "0, serial",
             .n = figures.children.n,
             .error = figures.children.standard_error()});
  table.add(
      {.what = "parent's earlier tokens found computed behind a join",
       .paper = ">= 0.98 (card)",
       .ours = static_cast<double>(figures.cached) / static_cast<double>(std::max<std::size_t>(1, figures.earlier)),
       .baseline = "0, computed again",
       .n = figures.total.n});
}

std::string curves_text(const Figures& figures) {
  std::string text = fmt::format(
      "Solved by window (searches alone)\n  tokens   spawning   in one text   ratio   children's beam {}   ratio\n",
      kWidestChildren);
  for (const auto& [window, at] : figures.simulated) {
    const auto ratio = [&](const Proportion& of) {
      return at.serial.hits == 0 ? std::string("-") : fmt::format("{:.2f}", of.value() / at.serial.value());
    };
    text += fmt::format("  {:>6}   {:>8.3f}   {:>11.3f}   {:>5}   {:>18.3f}   {:>5}\n", window, at.spawned.value(),
                        at.serial.value(), ratio(at.spawned), at.widest.value(), ratio(at.widest));
  }
  text +=
      "Solved by children at a node (searches alone, 4,096 tokens)\n  children   solved   tokens of the longest "
      "chain\n";
  for (const auto& [budget, at] : figures.budgets) {
    text += fmt::format("  {:>8}   {:>6.3f}   {:>27.0f}\n", budget, at.solved.value(), at.sequential.value());
  }
  return text + fmt::format("{} joins did not fit into their window any more\n", figures.window_ends);
}

std::vector<Gate> gates_of(const Figures& figures) {
  const auto earlier = static_cast<double>(std::max<std::size_t>(1, figures.earlier));
  return {
      {"texts that are the search's", figures.as_written.value(), 1, false, true},
      {"the same with two calls at a time", figures.any_order.value(), 1, false, true},
      {"ledgers that count the search's tokens", figures.ledgers.value(), 1, false, true},
      {"runs that solve what the search solves", figures.predicted.value(), 1, false, true},
      {"false goals that are taken", figures.false_goals.value(), 0, true, true},
      {"no children (control): the plain search", figures.without_children.value(), 1, false, true},
      {"earlier tokens found computed behind a join", static_cast<double>(figures.cached) / earlier, 0.98, false, true},
      {"solved by spawning / in one text, 4,096 tokens", figures.engine.at(kWide).ratio(), 1.30, false},
      {"the same, 1,024 tokens (where a prototype's lines had crossed)", figures.engine.at(kNarrow).ratio(), 0.999},
      {"the same, 512 tokens, searches alone (the lines cross)", figures.simulated.at(512).ratio(), 0.999},
      {"tokens of all / of the longest chain", figures.total.value() / figures.sequential.value(), 3.0, false},
      {"children of a problem", figures.children.value(), 5.5, false},
      {"children of a problem, at most", figures.children.value(), 7.0}};
}

Chart chart_of(const Figures& figures) {
  ChartPanel windows{.title = "Solved, by tokens of a context",
                     .series = {{.name = "spawning", .x = {}, .y = {}},
                                {.name = "in one text", .x = {}, .y = {}},
                                {.name = "spawning, widest children", .x = {}, .y = {}}}};
  for (const auto& [window, at] : figures.simulated) {
    for (ChartSeries& series : windows.series) series.x.push_back(static_cast<double>(window));
    windows.series[0].y.push_back(at.spawned.value());
    windows.series[1].y.push_back(at.serial.value());
    windows.series[2].y.push_back(at.widest.value());
  }
  ChartPanel budgets{.title = "Solved, by tokens of the longest chain (0 to 10 children)",
                     .series = {{.name = "spawning", .x = {}, .y = {}}}};
  for (const auto& [budget, at] : figures.budgets) {
    budgets.series[0].x.push_back(at.sequential.value());
    budgets.series[0].y.push_back(at.solved.value());
  }
  return {.title = "CountDown by spawned searches",
          .x_label = "tokens",
          .y_label = "solved",
          .panels = {windows, budgets},
          .columns = 2};
}

text::Json curves_json(const Figures& figures) {
  text::Json json = {{"windows", text::Json::array()}, {"budgets", text::Json::array()}};
  for (const auto& [window, at] : figures.simulated) {
    json["windows"].push_back({{"tokens", window},
                               {"spawning", at.spawned.value()},
                               {"spawning_widest_children", at.widest.value()},
                               {"in_one_text", at.serial.value()}});
  }
  for (const auto& [budget, at] : figures.budgets) {
    json["budgets"].push_back(
        {{"children", budget}, {"solved", at.solved.value()}, {"sequential", at.sequential.value()}});
  }
  return json;
}

Result<ExperimentReport> run_apr(const ExperimentOptions& options) {
  const auto count = options.quick ? 3U : static_cast<std::size_t>(std::max(1.0, std::round(700 * options.scale)));
  PLAIT_TRY(const auto problems, countdown_problems({.numbers = 4, .part = CountdownPart::test, .seed = kSeed}, count));
  AprBench bench;
  PLAIT_TRY_VOID(bench.open());
  Figures figures;
  for (std::size_t i = 0; i < problems.size(); ++i) PLAIT_TRY_VOID(bench.run(problems[i], i, figures));
  ClaimTable table(kSeed);
  add_claims(figures, table);
  ExperimentReport report;
  report.gates = gates_of(figures);
  PLAIT_TRY_VOID(add_pace(options,
                          {.what = "10 children: time together / one after another", .width = 10, .limit = 0.6}, table,
                          report.gates));
  report.text = fmt::format(
      "{} problems of CountDown with four numbers; searches are programs and no model learns anything\n\n{}\n{}", count,
      table.text(), curves_text(figures));
  report.json = {{"experiment", "apr"},
                 {"claims", table.json()},
                 {"curves", curves_json(figures)},
                 {"gates", gates_json(report.gates)}};
  report.chart = chart_of(figures);
  return report;
}

}  // namespace

Experiment apr_experiment() {
  return {.name = "apr", .about = "Searches that spawn children, beside searches in one text", .run = run_apr};
}

}  // namespace plait::evaluation
