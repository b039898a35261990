// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/enumerations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "evaluation/enumeration.h"
#include "evaluation/experiments/claim_table.h"
#include "evaluation/experiments/model_thinking.h"
#include "evaluation/experiments/scripted_thinking.h"
#include "evaluation/proportion.h"
#include "reasoning/best_of.h"
#include "reasoning/group_think.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::ThinkOptions;
using reasoning::Thought;

constexpr std::uint64_t kSeed = 24;
constexpr double kTemperature = 0.8;
constexpr std::size_t kRows = 4;

/// Who writes.
struct Arm {
  std::string_view name;
  std::size_t rows = 1;
  bool watch = false;      ///< They see each other,
  bool slots = true;       ///< in places of their own, or each behind all others,
  bool step_mask = true;   ///< at once, or those behind a step later.
  bool told_rows = false;  ///< Independent: told that they are several, as those who see each other are.
};
constexpr std::array kArms{Arm{.name = "one text"},
                           Arm{.name = "4 samples", .rows = kRows},
                           Arm{.name = "4 samples, told so", .rows = kRows, .told_rows = true},
                           Arm{.name = "2 thinkers", .rows = 2, .watch = true},
                           Arm{.name = "4 thinkers", .rows = kRows, .watch = true},
                           Arm{.name = "4, own text last", .rows = kRows, .watch = true, .slots = false},
                           Arm{.name = "4, causal mask", .rows = kRows, .watch = true, .step_mask = false}};

/// One list by one arm: [t]: items named in the first t tokens of each row, of those asked for.
struct ListRun {
  std::vector<double> coverage = {};
  std::size_t repeats = 0;  ///< Items named by more than one row,
  std::size_t named = 0;    ///< of all different ones.
  /// The tokens of each row that this much took; nothing: it was never reached.
  [[nodiscard]] std::optional<std::size_t> tokens_to(double share) const {
    const auto at = std::ranges::find_if(coverage, [share](double one) { return one >= share; });
    return at == coverage.end() ? std::nullopt : std::optional(static_cast<std::size_t>(at - coverage.begin()));
  }
};

/// [byte of a text]: tokens up to and with it.
std::vector<std::size_t> token_ends(const models::Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::size_t> tokens_at;
  const auto ids = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  for (std::size_t count = 1; count <= ids.size() && tokens_at.size() < text.size(); ++count) {
    const std::size_t end = std::min(text.size(), tokenizer.decode(std::span(ids).first(count), true).size());
    tokens_at.resize(std::max(tokens_at.size(), end), count);
  }
  tokens_at.resize(text.size(), ids.size());
  return tokens_at;
}

ListRun measure(const models::Tokenizer& tokenizer, const EnumerationTask& task, const Thought& thought,
                std::size_t budget) {
  std::map<std::size_t, std::size_t> first;  // tokens until an item was named by anybody
  std::map<std::size_t, std::size_t> rows;   // that name it
  for (const auto& path : thought.paths) {
    const std::vector<std::size_t> tokens_at = token_ends(tokenizer, path.text);
    std::map<std::size_t, std::size_t> here;
    for (const NamedItem& one : named_items(task, path.text)) here.emplace(one.item, tokens_at[one.end - 1]);
    for (const auto& [item, tokens] : here) {
      const auto [at, is_new] = first.emplace(item, tokens);
      if (!is_new) at->second = std::min(at->second, tokens);
      ++rows[item];
    }
  }
  ListRun run{.named = rows.size()};
  run.repeats = static_cast<std::size_t>(std::ranges::count_if(rows, [](const auto& one) { return one.second > 1; }));
  std::vector<std::size_t> times;
  for (const auto& [item, tokens] : first) times.push_back(tokens);
  for (std::size_t t = 0; t <= budget; ++t) {
    const auto count = std::ranges::count_if(times, [t](std::size_t tokens) { return tokens <= t; });
    run.coverage.push_back(std::min(1.0, static_cast<double>(count) / static_cast<double>(task.asked())));
  }
  return run;
}

/// A question as an arm is asked it.
Result<ThinkOptions> question(const EnumerationTask& task, const Arm& arm, std::size_t budget, std::uint64_t seed) {
  std::string text = task.question();
  if (arm.told_rows) {
    PLAIT_TRY(text,
              reasoning::Prompts::built_in().render("group_think.start", {{"question", text}, {"thinkers", arm.rows}}));
  }
  ThinkOptions options = ask(std::move(text));
  options.sampler = {.temperature = kTemperature, .seed = seed};
  options.call_tokens = budget;
  return options;
}

struct ArmRuns {
  std::vector<ListRun> lists = {};  ///< [task and seed]
  [[nodiscard]] Mean coverage(std::size_t tokens) const {
    Mean mean;
    for (const ListRun& one : lists) mean.add(one.coverage[tokens]);
    return mean;
  }
};

Result<ArmRuns> run_arm(ModelThinking& model, const Arm& arm, std::span<const EnumerationTask> tasks, std::size_t seeds,
                        std::size_t budget) {
  std::vector<ThinkOptions> questions;
  for (std::size_t i = 0; i < tasks.size() * seeds; ++i) {
    PLAIT_TRY(ThinkOptions one, question(tasks[i / seeds], arm, budget, base::child_seed(kSeed, i)));
    questions.push_back(std::move(one));
  }
  const auto strategy = arm.watch ? reasoning::make_group_think({.thinkers = arm.rows,
                                                                 .budget = budget,
                                                                 .slots = arm.slots,
                                                                 .step_mask = arm.step_mask,
                                                                 .answer = false})
                                  : reasoning::make_best_of({.n = arm.rows});
  PLAIT_TRY(const std::vector<Thought> thoughts, model.think(*strategy, std::move(questions)));
  ArmRuns runs;
  for (std::size_t i = 0; i < thoughts.size(); ++i) {
    runs.lists.push_back(measure(model.tokenizer(), tasks[i / seeds], thoughts[i], budget));
  }
  return runs;
}

/// Tokens of each row until it has named what one text has in the end, as a part of those that this one took.
Mean time_to_reach(const ArmRuns& arm, const ArmRuns& one_text) {
  Mean mean;
  for (std::size_t i = 0; i < arm.lists.size(); ++i) {
    const double end = one_text.lists[i].coverage.back();
    const auto alone = one_text.lists[i].tokens_to(end);
    if (end == 0 || !alone) continue;
    const std::size_t budget = one_text.lists[i].coverage.size() - 1;
    mean.add(static_cast<double>(arm.lists[i].tokens_to(end).value_or(budget)) / static_cast<double>(*alone));
  }
  return mean;
}

double repeats(const ArmRuns& arm) {
  Mean mean;
  for (const ListRun& one : arm.lists) {
    if (one.named > 0) mean.add(static_cast<double>(one.repeats) / static_cast<double>(one.named));
  }
  return mean.value();
}

Result<ExperimentReport> run_coverage(const ExperimentOptions& options) {
  PLAIT_TRY(const auto model, ModelThinking::load(options));
  const std::size_t budget = options.quick ? 16 : 160;
  const auto seeds = options.quick ? 1 : static_cast<std::size_t>(std::max(1.0, std::round(5 * options.scale)));
  const auto tasks = std::span(enumeration_tasks()).first(options.quick ? 2 : enumeration_tasks().size());
  std::vector<ArmRuns> arms;
  for (const Arm& arm : kArms) {
    PLAIT_TRY(ArmRuns runs, run_arm(*model, arm, tasks, seeds, budget));
    arms.push_back(std::move(runs));
  }
  const std::array<std::size_t, 4> at{budget / 8, budget / 4, budget / 2, budget};
  ExperimentReport report;
  report.text = fmt::format(
      "Lists by {}: {} tasks, {} seeds, T = {}, {} tokens for each row. Named after so many tokens of each row, of "
      "what was asked for;\nthe tokens until as much is named as one text has in the end, as a part of its own; items "
      "that "
      "more than one row names\n\n{:<20}  {:>6} {:>6} {:>6} {:>6}  {:>14}  {:>8}\n",
      model->name(), tasks.size(), seeds, kTemperature, budget, "", at[0], at[1], at[2], at[3], "time", "repeated");
  report.json = {{"experiment", "coverage"}, {"model", model->name()}, {"arms", text::Json::array()}};
  std::vector<Mean> times;
  for (const ArmRuns& arm : arms) times.push_back(time_to_reach(arm, arms[0]));
  ChartPanel panel{.title = "Named, by tokens of each row", .series = {}};
  for (std::size_t i = 0; i < arms.size(); ++i) {
    const Mean& time = times[i];
    const Mean last = arms[i].coverage(budget);
    report.text +=
        fmt::format("{:<20}  {:>6.3f} {:>6.3f} {:>6.3f} {:>6.3f}  {:>6.2f} ± {:.2f}  {:>8.2f}\n", kArms[i].name,
                    arms[i].coverage(at[0]).value(), arms[i].coverage(at[1]).value(), arms[i].coverage(at[2]).value(),
                    last.value(), time.value(), time.standard_error(), repeats(arms[i]));
    report.json["arms"].push_back({{"name", kArms[i].name},
                                   {"coverage", last.value()},
                                   {"coverage_error", last.standard_error()},
                                   {"time", time.value()},
                                   {"time_error", time.standard_error()},
                                   {"repeated", repeats(arms[i])},
                                   {"lists", arms[i].lists.size()}});
    ChartSeries series{.name = std::string(kArms[i].name), .x = {}, .y = {}};
    for (std::size_t t = 0; t <= budget; t += std::max<std::size_t>(1, budget / 40)) {
      series.x.push_back(static_cast<double>(t));
      series.y.push_back(arms[i].coverage(t).value());
    }
    panel.series.push_back(std::move(series));
  }
  report.text += fmt::format(
      "\n4 thinkers: {:.2f} of one text's tokens (paper: about a quarter; card: 0.5, depends on the model), "
      "4 samples {:.2f}\n",
      times[4].value(), times[1].value());
  // The first of four samples is the one text, word for word, whoever else is sampled.
  Proportion holds_the_one;
  for (std::size_t i = 0; i < arms[0].lists.size(); ++i) {
    const auto& alone = arms[0].lists[i].coverage;
    holds_the_one.add(std::ranges::equal(alone, arms[1].lists[i].coverage, std::less_equal<>()));
  }
  report.gates.push_back({.what = "lists of which 4 samples never name less than the first of them alone",
                          .value = holds_the_one.value(),
                          .limit = 1,
                          .at_most = false,
                          .exact = true});
  report.chart = {.title = "Lists by thinkers who see each other",
                  .x_label = "tokens of each row",
                  .y_label = "named",
                  .panels = {std::move(panel)},
                  .columns = 1};
  return report;
}

}  // namespace

Experiment coverage_experiment() {
  return {.name = "coverage",
          .about = "Lists by thinkers who see each other, by samples and by one text, on a model",
          .run = run_coverage};
}

}  // namespace plait::evaluation
