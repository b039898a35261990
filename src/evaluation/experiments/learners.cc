// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/learners.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "evaluation/countdown.h"
#include "evaluation/countdown_search.h"
#include "evaluation/experiments/learner_arms.h"
#include "evaluation/experiments/learner_drafts.h"
#include "evaluation/experiments/learner_parts.h"
#include "evaluation/experiments/learner_threads.h"
#include "evaluation/experiments/model_thinking.h"
#include "evaluation/proportion.h"
#include "reasoning/mac_count.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::MacAttention;
using reasoning::MacShape;

constexpr std::uint64_t kSeed = 3920;
constexpr std::size_t kNumbers = 3;
constexpr std::size_t kWays = 8;
constexpr double kTemperature = 0.7;
constexpr std::size_t kAlone = 50;
constexpr double kCollapsed = 0.4;  // of N: so many different first moves at most

/// A learner of the folder; null: it is not there.
Result<std::unique_ptr<ModelThinking>> load(const std::filesystem::path& folder, std::string_view name) {
  const std::filesystem::path file = folder / (std::string(name) + ".gguf");
  if (!std::filesystem::exists(file)) return std::unique_ptr<ModelThinking>();
  return ModelThinking::load({.model = file});
}

double macs(const MacShape& shape, double tokens) {
  return static_cast<double>(
      mac_count(shape, static_cast<std::uint64_t>(std::llround(std::max(0.0, tokens))), MacAttention::full));
}

/// The most tokens of one text that take no more compute than this.
std::size_t tokens_for(const MacShape& shape, double compute, std::size_t most) {
  std::size_t low = 0;
  std::size_t high = most;
  while (low < high) {
    const std::size_t middle = (low + high + 1) / 2;
    if (macs(shape, static_cast<double>(middle)) <= compute) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/// The search that the learner was trained on, within the same tokens: what it can come to at best.
Proportion searches_within(const ModelThinking& learner, std::span<const CountdownProblem> problems,
                           std::size_t tokens) {
  Proportion proportion;
  for (const CountdownProblem& problem : problems) {
    const SearchText search = depth_first_text(problem);
    proportion.add(search.solved && learner.count_tokens(search.text) <= tokens);
  }
  return proportion;
}

void compare_at(std::size_t n, std::size_t budget, double compute, const LearnerTraces& traces,
                const LearnerPaths& paths, LearnerParts& parts) {
  const Proportion any = paths.pass(n);
  const Proportion trace = traces.solved_within(budget);
  Discordant discordant;
  for (std::size_t i = 0; i < traces.solved_at.size(); ++i) discordant.add(paths.any(i, n), traces.solved(i, budget));
  const Proportion& majority = paths.majority.at(n);
  parts.table.add(fmt::format("{} answers, any right (oracle)", n), n < 4 ? "-" : "at least the trace (card)", any,
                  fmt::format("{:.3f}, a trace of {} tokens, as much compute", trace.value(), budget));
  parts.text += fmt::format("  {:>3}  {:>8.3f}  {:>10.3f}  {:>9.3f}  {:>6}  {:>9.3f}  {:>8.1e}\n", n, compute / 1e9,
                            any.value(), majority.value(), budget, trace.value(), discordant.p());
  parts.json["backtrack"].push_back({{"n", n},
                                     {"giga_macs", compute / 1e9},
                                     {"any", any.value()},
                                     {"majority", majority.value()},
                                     {"trace_tokens", budget},
                                     {"trace", trace.value()},
                                     {"p", discordant.p()}});
  if (n >= 4) {
    parts.gates.push_back({.what = fmt::format("{} answers less a trace of as much compute", n),
                           .value = any.value() - trace.value(),
                           .limit = 0,
                           .at_most = false});
  }
}

/// Card 39: one long search or many short answers.
Result<void> backtrack(ModelThinking& direct, ModelThinking& searching, std::span<const CountdownProblem> problems,
                       const LearnerPaths& paths, LearnerParts& parts) {
  PLAIT_TRY(const LearnerTraces traces, run_traces(searching, problems));
  parts.text += fmt::format(
      "One long search or many short answers: {} problems, T = {}; a text takes {:.0f} tokens, an answer {:.0f}; "
      "{} texts were cut at the context\n"
      "    n  10^9 MAC  any right   majority  tokens  one trace   McNemar\n",
      problems.size(), kTemperature, traces.tokens.value(), paths.tokens.value(), traces.unfinished);
  parts.json["backtrack"] = text::Json::array();
  ChartPanel panel{.title = "Solved, by 10^9 multiply-adds",
                   .series = {{.name = "one trace, greedy", .x = {}, .y = {}},
                              {.name = "n answers, any right (oracle)", .x = {}, .y = {}},
                              {.name = "n answers, majority", .x = {}, .y = {}}}};
  const double answer = macs(direct.shape(), paths.tokens.value());
  for (const std::size_t n : kLearnerSamples) {
    const double compute = static_cast<double>(n) * answer;
    const std::size_t budget = tokens_for(searching.shape(), compute, searching.context());
    compare_at(n, budget, compute, traces, paths, parts);
    const std::array ys{traces.solved_within(budget).value(), paths.pass(n).value(), paths.majority.at(n).value()};
    for (std::size_t i = 0; i < ys.size(); ++i) {
      panel.series[i].x.push_back(compute / 1e9);
      panel.series[i].y.push_back(ys[i]);
    }
  }
  parts.panels.push_back(std::move(panel));
  const std::size_t most = searching.context();
  parts.table.add(
      fmt::format("a trace of at most {} tokens, solved", most), "-", traces.solved_within(most),
      fmt::format("{:.3f}, the search it was trained on", searches_within(searching, problems, most).value()));
  return {};
}

/// What both parts on short answers know of them alone.
Result<void> add_answers(ModelThinking& direct, std::span<const CountdownProblem> problems, const LearnerPaths& paths,
                         LearnerParts& parts) {
  parts.table.add("16 answers, majority", "within 5 points of one answer (card)", paths.majority.at(16),
                  fmt::format("{:.3f}, one answer", paths.pass(1).value()));
  parts.table.add("answers whose every step is allowed", "-", paths.legal);
  parts.table.add("answers to another problem that are right (control)", "0 (card)", paths.of_others);
  const auto few = problems.first(std::min<std::size_t>(problems.size(), 50));
  PLAIT_TRY(const LearnerPaths cold, run_paths(direct, few, {.n = 16, .temperature = 0, .seed = kSeed}));
  Proportion as_one;
  for (std::size_t i = 0; i < few.size(); ++i) as_one.add(cold.any(i, 16) == cold.any(i, 1));
  parts.table.add("16 answers without chance are as one (control)", "1 (card)", as_one);
  parts.gates.push_back({.what = "16 answers without chance are as one (control)",
                         .value = as_one.value(),
                         .limit = 1,
                         .at_most = false,
                         .exact = true});
  parts.gates.push_back({.what = "answers to another problem that are right (control)",
                         .value = paths.of_others.value(),
                         .limit = 0.001});
  return {};
}

/// Card 53: answers that each begin with another move.
Result<void> outlines(ModelThinking& direct, std::span<const CountdownProblem> problems, LearnerParts& parts) {
  parts.text += fmt::format(
      "\nAnswers that each begin with another move: N = {}\n"
      "    T  independent  with ways  ratio   McNemar  one way  illegal  majority         first moves  values       "
      "tokens\n",
      kWays);
  parts.json["outlines"] = text::Json::array();
  for (const double temperature : {kTemperature, 1.0}) {
    const PathOptions options{.n = kWays, .temperature = temperature, .seed = kSeed + 1};
    PLAIT_TRY(const LearnerPaths alone, run_paths(direct, problems, options));
    PLAIT_TRY(const LearnerPaths own, run_outlines(direct, problems, FirstMoves::own, options));
    PLAIT_TRY(const LearnerPaths one, run_outlines(direct, problems, FirstMoves::one, options));
    PLAIT_TRY(const LearnerPaths illegal, run_outlines(direct, problems, FirstMoves::illegal, options));
    Discordant discordant;
    for (std::size_t i = 0; i < problems.size(); ++i) discordant.add(own.any(i, kWays), alone.any(i, kWays));
    const double ratio = own.pass(kWays).value() / std::max(1e-9, alone.pass(kWays).value());
    const bool collapsed = alone.first_moves.value() <= kCollapsed * static_cast<double>(kWays);
    const auto both = [](double a, double b) { return fmt::format("{:.2f} {:.2f}", a, b); };
    parts.text += fmt::format(
        "  {:>3}  {:>11.3f}  {:>9.3f}  {:>5.2f}  {:>8.1e}  {:>7.3f}  {:>7.3f}  {:<15}  {:<11}  {:<11}  {}\n",
        temperature, alone.pass(kWays).value(), own.pass(kWays).value(), ratio, discordant.p(), one.pass(kWays).value(),
        illegal.pass(kWays).value(), both(alone.majority.at(kWays).value(), own.majority.at(kWays).value()),
        both(alone.first_moves.value(), own.first_moves.value()), both(alone.values.value(), own.values.value()),
        both(alone.generated.value(), own.generated.value()));
    parts.table.add(fmt::format("T = {}: {} answers with ways, any right (verifier)", temperature, kWays),
                    collapsed ? "1.10 times independent (card)" : "not applicable: not collapsed", own.pass(kWays),
                    fmt::format("{:.3f}, independent", alone.pass(kWays).value()));
    parts.json["outlines"].push_back({{"temperature", temperature},
                                      {"independent", alone.pass(kWays).value()},
                                      {"ways", own.pass(kWays).value()},
                                      {"one_way", one.pass(kWays).value()},
                                      {"illegal", illegal.pass(kWays).value()},
                                      {"first_moves", alone.first_moves.value()},
                                      {"collapsed", collapsed},
                                      {"p", discordant.p()}});
    if (collapsed) {
      parts.gates.push_back({.what = fmt::format("T = {}: with ways / independent", temperature),
                             .value = ratio,
                             .limit = 1.10,
                             .at_most = false});
      parts.gates.push_back(
          {.what = fmt::format("T = {}: p of that", temperature), .value = discordant.p(), .limit = 0.01});
    }
    parts.gates.push_back({.what = fmt::format("T = {}: answers behind a wrong first move that are right", temperature),
                           .value = illegal.pass(kWays).value(),
                           .limit = 0,
                           .exact = true});
  }
  return {};
}

/// Card 20: more children, more solved.
Result<void> children(ModelThinking& learner, std::span<const CountdownProblem> problems, LearnerParts& parts) {
  parts.text += "\nSearches that call children: solved, children, tokens of all, of the longest chain\n";
  parts.json["children"] = text::Json::array();
  std::vector<LearnerSearches> all;
  ChartPanel panel{.title = "Solved, by budget of children",
                   .series = {{.name = "searches with children", .x = {}, .y = {}}}};
  const auto add = [&](std::string_view name, const LearnerSearches& searches, std::size_t budget) {
    parts.text += fmt::format("  {:<28}  {:.3f}  {:>5.2f}  {:>6.0f}  {:>6.0f}\n", name, searches.solved().value(),
                              searches.children.value(), searches.total.value(), searches.sequential.value());
    parts.json["children"].push_back({{"name", name},
                                      {"budget", budget},
                                      {"solved", searches.solved().value()},
                                      {"children", searches.children.value()},
                                      {"total", searches.total.value()},
                                      {"sequential", searches.sequential.value()}});
  };
  for (const std::size_t budget : kLearnerChildren) {
    PLAIT_TRY(LearnerSearches searches, run_searches(learner, problems, budget));
    add(fmt::format("at most {} children", budget), searches, budget);
    panel.series[0].x.push_back(static_cast<double>(budget));
    panel.series[0].y.push_back(searches.solved().value());
    all.push_back(std::move(searches));
  }
  PLAIT_TRY(const LearnerSearches none, run_searches(learner, problems, kLearnerChildren.back(), false));
  add("told 10, none of them is run", none, 0);
  parts.panels.push_back(std::move(panel));
  for (std::size_t i = 1; i < all.size(); ++i) {
    const double gain = all[i].solved().value() - all[i - 1].solved().value();
    parts.gates.push_back({.what = fmt::format("{} children solve no less than {}: p of less, 1 if it is not",
                                               kLearnerChildren[i], kLearnerChildren[i - 1]),
                           .value = gain >= 0 ? 1 : discordant_of(all[i].right, all[i - 1].right).p(),
                           .limit = 0.05,
                           .at_most = false});
  }
  parts.table.add(
      "10 children, solved", "80.1 % (4 numbers)", all.back().solved(),
      fmt::format("{:.3f}, none; {:.3f}, told 10 and none run", all.front().solved().value(), none.solved().value()));
  return {};
}

/// Card 19: drafts, and one answer that has read them.
Result<void> refining(ModelThinking& direct, ModelThinking& learner, std::span<const CountdownProblem> problems,
                      LearnerParts& parts) {
  PLAIT_TRY(const RefineFigures figures, run_refining(direct, learner, problems, kSeed + 2));
  parts.text +=
      "\nDrafts and what is made of them: solved, tokens of the longest chain, of all, McNemar beside one draft\n";
  parts.json["refining"] = text::Json::array();
  const auto beside_one = [&](const RefineArm& arm) { return discordant_of(arm.right, figures.single.right).p(); };
  const std::array<std::pair<std::string_view, const RefineArm*>, 6> arms{
      {{"one draft", &figures.single},
       {"refined once", &figures.once},
       {"[8], the nearest 4", &figures.eight},
       {"[8], any 4", &figures.eight_random},
       {"refined twice", &figures.twice},
       {"[16, 8], the nearest 4", &figures.sixteen_eight}}};
  for (const auto& [name, arm] : arms) {
    const double p = beside_one(*arm);
    parts.text += fmt::format("  {:<22}  {:.3f}  {:>5.0f}  {:>6.0f}  {:>8.1e}\n", name, arm->solved().value(),
                              arm->sequential, arm->total, p);
    parts.json["refining"].push_back({{"name", name},
                                      {"solved", arm->solved().value()},
                                      {"sequential", arm->sequential},
                                      {"total", arm->total},
                                      {"p", p}});
  }
  const WorkspaceFigures& w = figures.workspaces;
  parts.text += fmt::format(
      "  of eight drafts: majority {:.3f}, any right {:.3f} (oracle)\n  behind a workspace that is "
      "empty {:.3f}, wrong {:.3f}, mixed {:.3f}, right {:.3f} (n = {})\n",
      figures.majority.value(), figures.any.value(), w.empty.value(), w.wrong.value(), w.mixed.value(), w.right.value(),
      w.empty.n);
  parts.json["workspaces"] = {{"empty", w.empty.value()},
                              {"wrong", w.wrong.value()},
                              {"mixed", w.mixed.value()},
                              {"right", w.right.value()},
                              {"n", w.empty.n}};
  parts.table.add("[8], the nearest 4 kept (verified)", "at least refined once (card)", figures.eight.solved(),
                  fmt::format("{:.3f}, refined once; {:.3f}, one draft", figures.once.solved().value(),
                              figures.single.solved().value()));
  parts.table.add("[16, 8], the nearest 4 kept (verified)", "at least refined twice (card)",
                  figures.sixteen_eight.solved(), fmt::format("{:.3f}, refined twice", figures.twice.solved().value()));
  const auto at_least = [&](std::string what, double value, double limit) {
    parts.gates.push_back({.what = std::move(what), .value = value, .limit = limit, .at_most = false});
  };
  at_least("[8] less refined once", figures.eight.solved().value() - figures.once.solved().value(), 0);
  at_least("[8] less one draft", figures.eight.solved().value() - figures.single.solved().value(), 0);
  parts.gates.push_back({.what = "p of that", .value = beside_one(figures.eight), .limit = 0.05});
  at_least("a right workspace less an empty one", w.right.value() - w.empty.value(), 0);
  at_least("an empty workspace less a wrong one", w.empty.value() - w.wrong.value(), 0);
  return {};
}

Result<ExperimentReport> run_learners(const ExperimentOptions& options) {
  if (options.learners.empty()) {
    return base::fail(base::ErrorCode::invalid_argument,
                      "--learners names the folder of trained models; bench/learners/train.py makes them");
  }
  const auto count = options.quick ? 4 : static_cast<std::size_t>(std::max(20.0, std::round(500 * options.scale)));
  PLAIT_TRY(const auto problems,
            countdown_problems({.numbers = kNumbers, .part = CountdownPart::test, .seed = kSeed}, count));
  PLAIT_TRY(const auto direct, load(options.learners, "direct"));
  PLAIT_TRY(const auto searching, load(options.learners, "depth-first"));
  PLAIT_TRY(const auto spawning, load(options.learners, "spawned"));
  PLAIT_TRY(const auto refined, load(options.learners, "refined"));
  PLAIT_TRY(const auto threads, load(options.learners, "threads"));
  if (!direct && !spawning && !threads) {
    return base::fail(base::ErrorCode::invalid_argument,
                      options.learners.string() + " has neither direct.gguf nor spawned.gguf nor threads.gguf");
  }
  LearnerParts parts(kSeed);
  if (direct) {
    PLAIT_TRY(const LearnerPaths paths,
              run_paths(*direct, problems, {.n = 16, .temperature = kTemperature, .seed = kSeed}));
    if (searching) {
      PLAIT_TRY_VOID(backtrack(*direct, *searching, problems, paths, parts));
    }
    PLAIT_TRY_VOID(add_answers(*direct, problems, paths, parts));
    PLAIT_TRY_VOID(outlines(*direct, problems, parts));
    if (refined) {
      PLAIT_TRY_VOID(refining(*direct, *refined, problems, parts));
    }
  }
  if (spawning) {
    PLAIT_TRY_VOID(children(*spawning, problems, parts));
  }
  if (threads) {
    PLAIT_TRY_VOID(add_products(*threads, count, options.quick ? 1 : kAlone, parts));
  }
  ExperimentReport report;
  report.text = fmt::format(
      "Small models trained for CountDown with {} numbers and for sums of products, {} problems of each that none of "
      "them was trained on\n\n{}\n{}",
      kNumbers, problems.size(), parts.table.text(), parts.text);
  report.gates = std::move(parts.gates);
  report.json = std::move(parts.json);
  report.json["experiment"] = "learners";
  report.json["problems"] = problems.size();
  report.json["claims"] = parts.table.json();
  report.json["gates"] = gates_json(report.gates);
  report.chart = {.title = "Trained models",
                  .x_label = "10^9 multiply-adds; children; products",
                  .y_label = "solved; tokens",
                  .panels = std::move(parts.panels),
                  .columns = 2};
  return report;
}

}  // namespace

Experiment learners_experiment() {
  return {.name = "learners",
          .about = "Small trained models: many short answers or one long search, first moves, children, threads",
          .run = run_learners};
}

}  // namespace plait::evaluation
