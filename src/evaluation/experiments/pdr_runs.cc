// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/pdr_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "base/random.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::CallRecord;
using reasoning::CallRole;
using reasoning::Distiller;
using reasoning::PdrOptions;
using reasoning::Thought;

/// "2" of "draft 2.13".
std::string round_of(const CallRecord& call) {
  const std::size_t begin = call.label.find(' ') + 1;
  return call.label.substr(begin, call.label.find('.') - begin);
}

bool is_draft(const reasoning::ThoughtPath& path) { return path.label.starts_with("draft "); }

class Checks {
 public:
  Checks(PdrRuns& runs, PdrRuns& narrow, std::uint64_t seed, PdrFigures& figures)
      : runs_(runs), narrow_(narrow), seed_(seed), figures_(figures) {}

  Result<void> bounded(const CountdownProblem& problem);
  Result<void> prefixes(const CountdownProblem& problem);
  Result<void> repeats(const CountdownProblem& problem);
  Result<void> breakdowns(const CountdownProblem& problem);
  Result<void> budgets(const CountdownProblem& problem);

 private:
  Result<Thought> run(const PdrOptions& options, const CountdownProblem& problem, const PlantedOptions& planted) {
    return runs_.run(*reasoning::make_pdr(options), problem, planted, seed_);
  }
  Result<reasoning::PdrBudget> refined(const CountdownProblem& problem, const PlantedOptions& planted,
                                       std::size_t rounds) {
    PLAIT_TRY(const Thought thought, runs_.run(*reasoning::make_refine(rounds), problem, planted, seed_));
    return reasoning::pdr_budget(thought.calls);
  }
  Result<void> budget(const CountdownProblem& problem, Distiller distiller, std::size_t shown);

  PdrRuns& runs_;
  PdrRuns& narrow_;
  std::uint64_t seed_;
  PdrFigures& figures_;
};

/// Six rounds: no workspace is too long, and no round's prompt is longer than the second one's.
Result<void> Checks::bounded(const CountdownProblem& problem) {
  constexpr std::size_t kRounds = 6;
  constexpr std::size_t kWorkspace = 150;
  constexpr std::array kDistillers{Distiller::summary, Distiller::top_k, Distiller::per_sample, Distiller::random_k};
  for (const Distiller distiller : kDistillers) {
    const PdrOptions options{
        .rounds = std::vector<std::size_t>(kRounds, 4), .distiller = distiller, .workspace_tokens = kWorkspace};
    PLAIT_TRY(const Thought thought, run(options, problem, {.digest_tokens = 400}));
    figures_.workspace_excess =
        std::max(figures_.workspace_excess, static_cast<double>(runs_.drafts().workspace_tokens_max()) - kWorkspace);
    if (distiller != Distiller::summary) continue;
    std::map<std::string, double> prompts;
    for (const CallRecord& call : thought.calls) {
      if (call.role == CallRole::draft) prompts[round_of(call)] = static_cast<double>(call.prompt_tokens);
    }
    for (const auto& [round, tokens] : prompts) {
      if (round != "1") figures_.context_growth = std::max(figures_.context_growth, std::abs(tokens - prompts["2"]));
    }
  }
  return {};
}

/// What is computed of a round's prompts: the prefix, and for each draft its last token.
Result<void> Checks::prefixes(const CountdownProblem& problem) {
  PLAIT_TRY(const Thought thought, run({.rounds = {16, 8, 4}}, problem, {}));
  std::map<std::string, double> allowed;
  std::map<std::string, double> computed;
  for (const CallRecord& call : thought.calls) {
    const bool is_prefix = call.label.starts_with("round ");
    if (!is_prefix && call.role != CallRole::draft) continue;
    allowed[round_of(call)] += is_prefix ? static_cast<double>(call.prompt_tokens) : 1.0;
    computed[round_of(call)] += static_cast<double>(call.prefilled_tokens);
  }
  for (const auto& [round, tokens] : computed) {
    figures_.prefill_excess = std::max(figures_.prefill_excess, tokens - allowed[round]);
  }
  return {};
}

Result<void> Checks::repeats(const CountdownProblem& problem) {
  const PdrOptions options{.rounds = {16, 8, 4}};
  PLAIT_TRY(const Thought thought, run(options, problem, {}));
  PLAIT_TRY(const Thought again, narrow_.run(*reasoning::make_pdr(options), problem, {}, seed_));
  bool same = thought.answer == again.answer && thought.paths.size() == again.paths.size();
  std::map<std::string, std::set<std::string>> texts;
  std::map<std::string, std::size_t> drafts;
  for (std::size_t i = 0; same && i < thought.paths.size(); ++i) {
    same = thought.paths[i].text == again.paths[i].text;
    if (!is_draft(thought.paths[i])) continue;
    const std::string round = round_of({.label = thought.paths[i].label});
    texts[round].insert(thought.paths[i].text);
    ++drafts[round];
  }
  figures_.any_order.add(same);
  for (const auto& [round, count] : drafts) figures_.distinct.add(texts[round].size() == count);
  return {};
}

/// Some drafts of the first round break down; then all of the second one.
Result<void> Checks::breakdowns(const CountdownProblem& problem) {
  PLAIT_TRY(const Thought some, run({.rounds = {16, 4}}, problem, {.breaks_first = 0.25}));
  const std::size_t broken = some.count("failed_drafts");
  const auto drafts = static_cast<std::size_t>(std::ranges::count_if(some.paths, is_draft));
  figures_.broken_drafts += broken;
  figures_.broken.add(drafts + broken == 20 && some.paths.back().label == "answer");
  PLAIT_TRY(const Thought all, run({.rounds = {4, 4}}, problem, {.breaks_later = 1}));
  figures_.broken_drafts += all.count("failed_drafts");
  figures_.fallbacks.add(all.count("rounds_without_drafts") == 1 && all.count("failed_drafts") == 4 &&
                         !runs_.drafts().answer_workspace().empty() &&
                         runs_.drafts().answer_workspace() == runs_.drafts().draft_workspace());
  return {};
}

Result<void> Checks::budgets(const CountdownProblem& problem) {
  PLAIT_TRY_VOID(budget(problem, Distiller::summary, 100));
  PLAIT_TRY_VOID(budget(problem, Distiller::summary, 300));
  return budget(problem, Distiller::top_k, 0);
}

/// 28 drafts of 400 tokens, beside as many refinements of one as the same tokens pay for.
Result<void> Checks::budget(const CountdownProblem& problem, Distiller distiller, std::size_t shown) {
  constexpr std::size_t kDraft = 400;
  constexpr std::size_t kWorkspace = 150;
  const PlantedOptions planted{.draft_tokens = kDraft, .digest_tokens = kWorkspace};
  PdrOptions options{.rounds = {16, 8, 4}, .distiller = distiller, .workspace_tokens = kWorkspace};
  if (shown > 0) options.shown_tokens = shown;
  PLAIT_TRY(const Thought thought, run(options, problem, planted));
  BudgetFigures figures{.pdr = reasoning::pdr_budget(thought.calls)};
  const reasoning::Spending spent = thought.spending();
  figures.cached =
      static_cast<double>(spent.cached_tokens) / static_cast<double>(spent.cached_tokens + spent.prefilled_tokens);
  figures.shown_over_draft = static_cast<double>(shown) / kDraft;
  PLAIT_TRY(const reasoning::PdrBudget one, refined(problem, planted, 1));
  PLAIT_TRY(const reasoning::PdrBudget two, refined(problem, planted, 2));
  figures.refinements = 1 + (figures.pdr.total - one.total) / (two.total - one.total);
  PLAIT_TRY(figures.refine, refined(problem, planted, figures.refinements));
  const std::string name =
      distiller == Distiller::summary ? fmt::format("summary of {} tokens a draft", shown) : "top-k, no call";
  figures_.budgets[name] = figures;
  return {};
}

}  // namespace

PdrRuns::PdrRuns() : tokenizer_(make_unit_tokenizer({})) {}

Result<std::unique_ptr<PdrRuns>> PdrRuns::make(std::size_t rows_max) {
  std::unique_ptr<PdrRuns> runs(new PdrRuns);
  PLAIT_TRY(runs->model_,
            ScriptedThinking::make(*runs->tokenizer_, speaking(*runs->tokenizer_, runs->drafts_.speaker()),
                                   {.context = 16384, .rows_max = rows_max}));
  return runs;
}

Result<Thought> PdrRuns::run(const reasoning::Strategy& strategy, const CountdownProblem& problem,
                             const PlantedOptions& options, std::uint64_t seed) {
  drafts_.set(problem, options);
  reasoning::ThinkOptions think = ask(drafts_.question());
  think.sampler = {.temperature = 1, .seed = seed};
  return model_->think(strategy, std::move(think));
}

Result<PdrFigures> run_pdr_checks(const std::vector<CountdownProblem>& problems, std::uint64_t seed) {
  PLAIT_TRY(const auto runs, PdrRuns::make());
  PLAIT_TRY(const auto narrow, PdrRuns::make(3));
  PdrFigures figures;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    Checks checks(*runs, *narrow, base::child_seed(seed, i), figures);
    PLAIT_TRY_VOID(checks.bounded(problems[i]));
    PLAIT_TRY_VOID(checks.prefixes(problems[i]));
    PLAIT_TRY_VOID(checks.repeats(problems[i]));
    PLAIT_TRY_VOID(checks.breakdowns(problems[i]));
    if (i == 0) PLAIT_TRY_VOID(checks.budgets(problems[i]));
  }
  return figures;
}

}  // namespace plait::evaluation
