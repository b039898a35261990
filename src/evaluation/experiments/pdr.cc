// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/pdr.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "evaluation/countdown.h"
#include "evaluation/experiments/claim_table.h"
#include "evaluation/experiments/pdr_runs.h"
#include "evaluation/experiments/planted_drafts.h"
#include "evaluation/proportion.h"
#include "reasoning/aggregate.h"
#include "reasoning/best_of.h"
#include "reasoning/parallel_distill_refine.h"
#include "reasoning/verifier.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::Distiller;
using reasoning::SelectRule;
using reasoning::Thought;

constexpr std::uint64_t kSeed = 19;
constexpr std::size_t kWorkspace = 160;
constexpr std::array kNotes{Notes::none, Notes::wrong, Notes::mixed, Notes::right};

using MakeStrategy = std::function<std::unique_ptr<reasoning::Strategy>(const CountdownProblem&)>;

/// One way to answer, and who chooses.
struct Arm {
  std::string name = {};
  MakeStrategy make = {};
  bool samples = false;  ///< All calls run at the same time: the longest is the path.
  Proportion right = {};
  Mean sequential = {};  ///< Tokens in and out along the path,
  Mean total = {};       ///< and of all calls.
};

/// By what the last call's notes hold.
using Control = std::map<Notes, Proportion>;

std::shared_ptr<const reasoning::Verifier> verifier_of(const CountdownProblem& problem) {
  return reasoning::countdown_verifier(problem.numbers, problem.target);
}

Arm best_of(std::string name, std::size_t n, bool verified) {
  return {.name = std::move(name),
          .make =
              [n, verified](const CountdownProblem& problem) {
                reasoning::BestOfOptions options{.n = n};
                if (verified) options.select = {.rule = SelectRule::verifier, .verifier = verifier_of(problem)};
                return reasoning::make_best_of(options);
              },
          .samples = true};
}

Arm drafts(std::string name, std::vector<std::size_t> rounds, Distiller distiller) {
  return {.name = std::move(name), .make = [rounds = std::move(rounds), distiller](const CountdownProblem& problem) {
            reasoning::PdrOptions options{
                .rounds = rounds, .distiller = distiller, .workspace_tokens = kWorkspace, .shown_tokens = 60};
            if (distiller == Distiller::top_k) options.select.verifier = verifier_of(problem);
            return reasoning::make_pdr(options);
          }};
}

Arm refining(std::string name, std::size_t rounds) {
  return {.name = std::move(name),
          .make = [rounds](const CountdownProblem&) { return reasoning::make_refine(rounds); }};
}

std::vector<Arm> all_arms() {
  std::vector<Arm> arms;
  arms.push_back(best_of("single draft", 1, false));
  arms.push_back(best_of("28 drafts, majority", 28, false));
  arms.push_back(best_of("28 drafts, the verifier's (oracle)", 28, true));
  arms.push_back(drafts("pdr 8, best 2 (verifier)", {8}, Distiller::top_k));
  arms.push_back(drafts("pdr 16,8, best 2 (verifier)", {16, 8}, Distiller::top_k));
  arms.push_back(drafts("pdr 16,8,4, best 2 (verifier)", {16, 8, 4}, Distiller::top_k));
  arms.push_back(drafts("pdr 16,8,4, any 2", {16, 8, 4}, Distiller::random_k));
  arms.push_back(drafts("pdr 16,8,4, summary", {16, 8, 4}, Distiller::summary));
  arms.push_back(refining("refine 4", 4));
  arms.push_back(refining("refine 24", 24));
  return arms;
}

/// As pdr_budget(); samples run at the same time, all of them.
reasoning::PdrBudget budget_of(const Arm& arm, const Thought& thought) {
  reasoning::PdrBudget budget = reasoning::pdr_budget(thought.calls);
  if (!arm.samples) return budget;
  budget.sequential = 0;
  for (const reasoning::CallRecord& call : thought.calls) {
    budget.sequential = std::max(budget.sequential, call.prompt_tokens + call.generated_tokens);
  }
  return budget;
}

Result<void> run_arms(PdrRuns& runs, const std::vector<CountdownProblem>& problems, std::vector<Arm>& arms) {
  for (std::size_t i = 0; i < problems.size(); ++i) {
    for (Arm& arm : arms) {
      const auto strategy = arm.make(problems[i]);
      PLAIT_TRY(const Thought thought, runs.run(*strategy, problems[i], {}, base::child_seed(kSeed, 1000 + i)));
      const reasoning::PdrBudget budget = budget_of(arm, thought);
      arm.right.add(runs.drafts().is_right(reasoning::final_answer(thought.answer)));
      arm.sequential.add(static_cast<double>(budget.sequential));
      arm.total.add(static_cast<double>(budget.total));
    }
  }
  return {};
}

/// Two drafts, each right in half of the cases, and both are the workspace: what the last call then says.
Result<Control> run_control(PdrRuns& runs, const std::vector<CountdownProblem>& problems) {
  Control control;
  const auto two =
      reasoning::make_pdr({.rounds = {2}, .keep = 2, .distiller = Distiller::random_k, .workspace_tokens = kWorkspace});
  const auto none = reasoning::make_best_of({.n = 1});
  for (std::size_t i = 0; i < 4 * problems.size(); ++i) {
    const CountdownProblem& problem = problems[i % problems.size()];
    const std::uint64_t seed = base::child_seed(kSeed, 100'000 + i);
    PLAIT_TRY(const Thought noted, runs.run(*two, problem, {.right_alone = 0.5}, seed));
    control[runs.drafts().answer_notes()].add(runs.drafts().is_right(reasoning::final_answer(noted.answer)));
    PLAIT_TRY(const Thought alone, runs.run(*none, problem, {}, seed));
    control[Notes::none].add(runs.drafts().is_right(reasoning::final_answer(alone.answer)));
  }
  return control;
}

std::string arms_text(const std::vector<Arm>& arms) {
  std::string text = fmt::format("{:<36}  {:>6}  {:>6}  {:>14}  {:>10}\n", "planted drafts, 60 tokens each", "right",
                                 "+-", "path's tokens", "all tokens");
  for (const Arm& arm : arms) {
    text += fmt::format("{:<36}  {:>6.3f}  {:>6.3f}  {:>14.0f}  {:>10.0f}\n", arm.name, arm.right.value(),
                        arm.right.standard_error(), arm.sequential.value(), arm.total.value());
  }
  return text;
}

void add_claims(const PdrFigures& figures, const Control& control, ClaimTable& table) {
  const std::size_t n = figures.any_order.n;
  table.add({.what = "workspace beyond its limit, tokens at most",
             .paper = "0 (card)",
             .ours = figures.workspace_excess,
             .n = n});
  table.add({.what = "prompts of rounds 3 to 6 differ from round 2's by, tokens",
             .paper = "0 (card)",
             .ours = figures.context_growth,
             .baseline = "a draft each round, appended",
             .n = n});
  table.add({.what = "prompts computed beyond prefix and a token a draft, at most",
             .paper = "0 (card)",
             .ours = figures.prefill_excess,
             .baseline = "27 prefixes, each by itself",
             .n = n});
  table.add("rounds whose drafts all differ", "1 (card)", figures.distinct);
  table.add("runs that are the same with three calls at a time", "1 (card)", figures.any_order);
  table.add("runs that go on without drafts that break down", "1 (card)", figures.broken);
  table.add("runs that keep the workspace where a round breaks down", "1 (card)", figures.fallbacks);
  for (const auto& [name, budget] : figures.budgets) {
    table.add({.what = "path of 16,8,4 / of refining, equal tokens: " + name,
               .paper = name.starts_with("top") ? "<= 0.25 (card)" : "<= 0.50 (card); 172/442 = 0.39",
               .ours = budget.ratio(),
               .baseline = fmt::format("1, {} refinements", budget.refinements),
               .n = 1});
  }
  for (const Notes notes : kNotes) {
    const auto at = control.find(notes);
    if (at == control.end()) continue;
    table.add(fmt::format("right behind notes: {} (planted model)", name(notes)),
              fmt::format("{:.2f} planted", PlantedOptions().right(notes)), at->second);
  }
}

std::string budgets_text(const PdrFigures& figures) {
  std::string text = fmt::format("{:<28}  {:>5}  {:>8}  {:>8}  {:>10}  {:>10}  {:>6}\n", "28 drafts of 400 tokens",
                                 "e/d", "path", "all", "refining", "ratio", "cached");
  for (const auto& [name, b] : figures.budgets) {
    text += fmt::format("{:<28}  {:>5.2f}  {:>8}  {:>8}  {:>10}  {:>10.3f}  {:>6.2f}\n", name, b.shown_over_draft,
                        b.pdr.sequential, b.pdr.total, b.refine.total, b.ratio(), b.cached);
  }
  return text;
}

std::vector<Gate> gates_of(const PdrFigures& figures, const Control& control) {
  std::vector<Gate> gates{
      {"tokens of a workspace beyond its limit", figures.workspace_excess, 0, true, true},
      {"tokens by which later rounds' prompts grow", figures.context_growth, 0, true, true},
      {"tokens computed of a round's prompts beyond prefix and one a draft", figures.prefill_excess, 0, true, true},
      {"rounds whose drafts all differ", figures.distinct.value(), 1, false, true},
      {"runs that are the same in another order", figures.any_order.value(), 1, false, true},
      {"runs that go on without drafts that break down", figures.broken.value(), 1, false, true},
      {"drafts that broke down", static_cast<double>(figures.broken_drafts), 1, false, true},
      {"runs that keep the workspace where a round breaks down", figures.fallbacks.value(), 1, false, true}};
  for (const auto& [name, budget] : figures.budgets) {
    gates.push_back({"path / refining's at equal tokens: " + name, budget.ratio(), name.starts_with("top") ? 0.25 : 0.5,
                     true, true});
  }
  double errors = 0;  // planted and measured
  for (const auto& [notes, right] : control) {
    const double planted = PlantedOptions().right(notes);
    const double error = std::sqrt(planted * (1 - planted) / static_cast<double>(right.n));
    errors = std::max(errors, std::abs(right.value() - planted) / error);
  }
  gates.push_back({"notes reach the calls: planted and measured differ by standard errors", errors, 4});
  return gates;
}

Chart chart_of(const std::vector<Arm>& arms, const Control& control) {
  ChartPanel path{.title = "Right, by tokens along the path", .series = {}};
  ChartPanel total{.title = "Right, by tokens of all calls", .series = {}};
  for (const Arm& arm : arms) {
    path.series.push_back({.name = arm.name, .x = {arm.sequential.value()}, .y = {arm.right.value()}, .line = false});
    total.series.push_back({.name = arm.name, .x = {arm.total.value()}, .y = {arm.right.value()}, .line = false});
  }
  ChartSeries notes{.name = "by notes: none, wrong, mixed, right", .x = {}, .y = {}};
  for (const auto& [kind, right] : control) {
    notes.x.push_back(static_cast<double>(kind));
    notes.y.push_back(right.value());
  }
  return {.title = "Drafts with a bounded workspace, on a planted model",
          .x_label = "tokens; notes",
          .y_label = "right",
          .panels = {path, total, {.title = "Right, by what the notes hold", .series = {notes}}}};
}

text::Json arms_json(const std::vector<Arm>& arms) {
  text::Json json = text::Json::array();
  for (const Arm& arm : arms) {
    json.push_back({{"arm", arm.name},
                    {"right", arm.right.value()},
                    {"standard_error", arm.right.standard_error()},
                    {"path_tokens", arm.sequential.value()},
                    {"all_tokens", arm.total.value()}});
  }
  return json;
}

Result<ExperimentReport> run_pdr(const ExperimentOptions& options) {
  const auto count = options.quick ? 3U : static_cast<std::size_t>(std::max(3.0, std::round(200 * options.scale)));
  PLAIT_TRY(auto problems, countdown_problems({.numbers = 4, .part = CountdownPart::test, .seed = kSeed}, count));
  PLAIT_TRY(const auto runs, PdrRuns::make());
  std::vector<Arm> arms = all_arms();
  PLAIT_TRY_VOID(run_arms(*runs, problems, arms));
  PLAIT_TRY(const Control control, run_control(*runs, problems));
  problems.resize(std::min<std::size_t>(problems.size(), options.quick ? 1 : 20));
  PLAIT_TRY(const PdrFigures figures, run_pdr_checks(problems, kSeed));
  ClaimTable table(kSeed);
  add_claims(figures, control, table);
  ExperimentReport report;
  report.gates = gates_of(figures, control);
  PLAIT_TRY_VOID(add_pace(
      options, {.what = "8 drafts: time together / one after another", .paper = "2.57x less latency", .limit = 0.6},
      table, report.gates));
  report.text = fmt::format(
      "CountDown with four numbers on a scripted model of planted quality: it shows that schedules work and notes "
      "arrive, "
      "not what models make of them\n\n{}\n{}\n{}",
      table.text(), budgets_text(figures), arms_text(arms));
  report.json = {
      {"experiment", "pdr"}, {"claims", table.json()}, {"arms", arms_json(arms)}, {"gates", gates_json(report.gates)}};
  report.chart = chart_of(arms, control);
  return report;
}

}  // namespace

Experiment pdr_experiment() {
  return {
      .name = "pdr", .about = "Rounds of drafts with a bounded workspace, beside refining one answer", .run = run_pdr};
}

}  // namespace plait::evaluation
