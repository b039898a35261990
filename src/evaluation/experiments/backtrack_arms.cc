// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/backtrack_arms.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "evaluation/countdown_policy.h"
#include "evaluation/countdown_search.h"
#include "evaluation/experiments/planted_drafts.h"
#include "evaluation/experiments/scripted_thinking.h"
#include "reasoning/aggregate.h"
#include "reasoning/best_of.h"
#include "reasoning/search_trace.h"
#include "reasoning/verifier.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::CallRecord;
using reasoning::SelectRule;
using reasoning::Thought;
using reasoning::ThoughtPath;

constexpr std::size_t kTraceMost = kTraceBudgets.back();
constexpr std::size_t kSamplesMost = kSampleCounts.back();
constexpr double kAnyMove = 1e9;  // a temperature at which all moves are alike

bool is_right(const CountdownProblem& problem, std::string_view answer) {
  return reasoning::countdown_verifier(problem.numbers, problem.target)->score(answer).value_or(0) >=
         reasoning::kVerified;
}

/// Of the lines that are whole: a goal that the budget cuts in two is none.
bool is_solved_at(const CountdownProblem& problem, std::string_view text, std::size_t budget) {
  const std::string_view cut = first_task_tokens(text, budget);
  const auto path = reasoning::solution_path(cut.substr(0, cut.rfind('\n') + 1));
  return path && is_right(problem, *path);
}

class LongRuns {
 public:
  LongRuns() : tokenizer_(make_unit_tokenizer(search_units())), scripts_(*tokenizer_) {}

  Result<void> open() {
    // The last token of a text needs no place in the context.
    PLAIT_TRY(model_, ScriptedThinking::make(*tokenizer_, scripts_.policy(), {.context = kTraceMost - 1}));
    return {};
  }

  Result<void> run(const CountdownProblem& problem, bool with_budgets, LongFigures& figures) {
    const SearchText search = depth_first_text(problem);
    const std::size_t length = count_task_tokens(search.text);
    figures.tokens.add(static_cast<double>(length));
    scripts_.clear();
    scripts_.add(first_task_tokens(search.text, kTraceMost));
    root_ = root_line(problem);
    PLAIT_TRY(const std::string text, answer(kTraceMost));
    bool agrees = true;
    for (const std::size_t budget : kTraceBudgets) {
      const bool solved = is_solved_at(problem, text, budget);
      const bool predicted = search.solved && length <= budget;
      figures.solved[budget].add(solved);
      figures.predicted[budget].add(predicted);
      agrees = agrees && solved == predicted;
    }
    figures.agreed.add(agrees);
    const std::size_t asked = count_task_tokens(root_);
    for (const std::size_t budget : kTraceBudgets) {
      if (!with_budgets || budget <= asked || length <= budget) continue;
      PLAIT_TRY(const std::string cut, answer(budget - asked));
      figures.kept_to_budget.add(count_task_tokens(cut) == budget && generated_ == budget - asked &&
                                 cut == first_task_tokens(text, budget));
    }
    return {};
  }

 private:
  /// The prompt and what follows.
  Result<std::string> answer(std::size_t tokens) {
    const auto strategy = reasoning::make_best_of({.n = 1});
    PLAIT_TRY(const Thought thought, model_->think(*strategy, {.raw = root_, .call_tokens = tokens}));
    generated_ = thought.spending().generated_tokens;
    return root_ + thought.paths.front().text;
  }

  std::unique_ptr<models::Tokenizer> tokenizer_;
  ContextScripts scripts_;
  std::unique_ptr<ScriptedThinking> model_;
  std::string root_;
  std::size_t generated_ = 0;
};

class ShortRuns {
 public:
  ShortRuns(double temperature, ShortFigures& figures)
      : temperature_(temperature), figures_(figures), tokenizer_(make_unit_tokenizer({})) {}

  Result<void> open() {
    const auto policy =
        speaking(*tokenizer_, [this](std::string_view /*prompt*/, std::string_view said) { return speak(said); });
    PLAIT_TRY(wide_, ScriptedThinking::make(*tokenizer_, policy, {}));
    PLAIT_TRY(narrow_, ScriptedThinking::make(*tokenizer_, policy, {.rows_max = 3}));
    return {};
  }

  Result<void> run(const CountdownProblem& problem, const CountdownProblem& other, std::uint64_t seed);

 private:
  std::vector<Continuation> speak(std::string_view said) {
    if (said.size() < kDrawDigits) return draw_digits(said);
    std::string& text = texts_[drawn(said)];
    if (text.empty()) {
      const SampledPath path = sample_path(*problem_, temperature_, drawn(said));
      text = std::string(said.substr(0, kDrawDigits)) + "\nAnswer: " + steps_answer(path.steps);
    }
    if (said.size() >= text.size()) return {};
    return {{.text = text.substr(said.size())}};
  }
  Result<Thought> think(ScriptedThinking& model, const reasoning::BestOfOptions& options, std::uint64_t seed,
                        double temperature = 1) {
    reasoning::ThinkOptions think = ask(countdown_question(*problem_));
    think.sampler = {.temperature = temperature, .seed = seed};
    return model.think(*reasoning::make_best_of(options), std::move(think));
  }
  void count_samples(const Thought& thought, const CountdownProblem& other);
  void count_prompts(const Thought& thought);
  void count_baselines(std::uint64_t seed);

  double temperature_;
  ShortFigures& figures_;
  std::unique_ptr<models::Tokenizer> tokenizer_;
  const CountdownProblem* problem_ = nullptr;
  std::unordered_map<std::uint64_t, std::string> texts_;  // by the number drawn
  std::unique_ptr<ScriptedThinking> wide_;
  std::unique_ptr<ScriptedThinking> narrow_;
};

bool any_right(const CountdownProblem& problem, std::span<const ThoughtPath> paths) {
  return std::ranges::any_of(paths, [&](const ThoughtPath& path) { return is_right(problem, path.answer); });
}

reasoning::Choice vote(std::span<const ThoughtPath> paths) {
  std::vector<reasoning::Candidate> candidates;
  for (const ThoughtPath& path : paths) {
    candidates.push_back(
        {.index = candidates.size(), .answer = path.answer, .mean_logprob = path.mean_logprob.value_or(0)});
  }
  return reasoning::majority_vote(candidates);
}

void ShortRuns::count_samples(const Thought& thought, const CountdownProblem& other) {
  const std::span<const ThoughtPath> paths = thought.paths;
  for (const std::size_t n : kSampleCounts) {
    figures_.pass[n].add(any_right(*problem_, paths.first(n)));
    const reasoning::Choice choice = vote(paths.first(n));
    figures_.majority[n].add(choice.index && is_right(*problem_, choice.answer));
  }
  std::set<std::uint64_t> draws;
  for (const ThoughtPath& path : paths) {
    draws.insert(drawn(path.text));
    figures_.predicted.add(is_right(*problem_, path.answer) ==
                           sample_path(*problem_, temperature_, drawn(path.text)).solved);
    figures_.of_others.add(is_right(other, path.answer));
  }
  figures_.different.add(draws.size() == kSamplesMost);
}

void ShortRuns::count_prompts(const Thought& thought) {
  double computed = 0;
  double prompt = 0;
  for (const CallRecord& call : thought.calls) {
    computed += static_cast<double>(call.prefilled_tokens);
    prompt = std::max(prompt, static_cast<double>(call.prompt_tokens));
  }
  figures_.prefill_excess = std::max(figures_.prefill_excess, computed - prompt - static_cast<double>(kSamplesMost));
}

void ShortRuns::count_baselines(std::uint64_t seed) {
  bool any = false;
  for (std::size_t i = 0; i < kSamplesMost; ++i) {
    any = any || sample_path(*problem_, kAnyMove, base::child_seed(seed, 1000 + i)).solved;
  }
  figures_.random_any.add(any);
  const auto solution = solve_countdown(*problem_);
  if (!solution) return;
  figures_.tokens.add(static_cast<double>(count_task_tokens(path_text(countdown_root(*problem_), "0", *solution))));
}

Result<void> ShortRuns::run(const CountdownProblem& problem, const CountdownProblem& other, std::uint64_t seed) {
  problem_ = &problem;
  texts_.clear();
  const reasoning::BestOfOptions by_vote{.n = kSamplesMost};
  reasoning::BestOfOptions by_verifier{.n = kSamplesMost};
  by_verifier.select = {.rule = SelectRule::verifier,
                        .verifier = reasoning::countdown_verifier(problem.numbers, problem.target)};
  PLAIT_TRY(const Thought voted, think(*wide_, by_vote, seed));
  PLAIT_TRY(const Thought verified, think(*narrow_, by_verifier, seed));
  bool same = voted.paths.size() == kSamplesMost && verified.paths.size() == kSamplesMost;
  if (!same) return base::fail(base::ErrorCode::internal, "samples are missing");
  for (std::size_t i = 0; i < kSamplesMost; ++i) same = same && voted.paths[i].text == verified.paths[i].text;
  figures_.any_order.add(same);
  count_samples(voted, other);
  count_prompts(voted);
  count_baselines(seed);
  const auto chosen = vote(voted.paths);
  figures_.selectors.add(chosen.index && voted.answer == voted.paths[*chosen.index].text &&
                         is_right(problem, reasoning::final_answer(verified.answer)) ==
                             any_right(problem, voted.paths));
  PLAIT_TRY(const Thought equal, think(*wide_, by_vote, seed, 0));
  figures_.all_equal.add(any_right(problem, equal.paths) == any_right(problem, std::span(equal.paths).first(1)));
  return {};
}

}  // namespace

Result<LongFigures> run_long(std::span<const CountdownProblem> problems) {
  constexpr std::size_t kWithBudgets = 40;
  LongFigures figures;
  LongRuns runs;
  PLAIT_TRY_VOID(runs.open());
  for (std::size_t i = 0; i < problems.size(); ++i) {
    PLAIT_TRY_VOID(runs.run(problems[i], i < kWithBudgets, figures));
  }
  return figures;
}

Result<ShortFigures> run_short(std::span<const CountdownProblem> problems, double temperature, std::uint64_t seed) {
  ShortFigures figures;
  ShortRuns runs(temperature, figures);
  PLAIT_TRY_VOID(runs.open());
  for (std::size_t i = 0; i < problems.size(); ++i) {
    PLAIT_TRY_VOID(runs.run(problems[i], problems[(i + 1) % problems.size()], base::child_seed(seed, i)));
  }
  return figures;
}

}  // namespace plait::evaluation
