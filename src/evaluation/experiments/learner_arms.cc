// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/learner_arms.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/random.h"
#include "evaluation/countdown_search.h"
#include "evaluation/experiments/planted_drafts.h"
#include "evaluation/training_texts.h"
#include "reasoning/aggregate.h"
#include "reasoning/arithmetic.h"
#include "reasoning/best_of.h"
#include "reasoning/search_trace.h"
#include "reasoning/spawn_grammar.h"
#include "reasoning/spawn_search.h"
#include "reasoning/thinking.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::Step;
using reasoning::ThinkOptions;
using reasoning::Thought;

constexpr std::size_t kAnswerTokens = 128;  // a solution of four numbers takes some 110

/// What several answers to one problem come to. An answer is its whole text, the prompt included.
class PathCounter {
 public:
  PathCounter(const ModelThinking& learner, LearnerPaths& paths) : learner_(learner), paths_(paths) {}

  void add(const CountdownProblem& problem, const CountdownProblem& other, const std::vector<std::string>& answers) {
    const std::size_t given = learner_.count_tokens(root_line(problem));
    std::vector<reasoning::Candidate> candidates;
    std::set<std::string> first_moves;
    std::set<std::int64_t> values;
    std::vector<bool>& right = paths_.right.emplace_back();
    for (const std::string& answer : answers) {
      const auto steps = reasoning::path_steps(answer).value_or(std::vector<Step>{});
      const auto checked = reasoning::check_countdown_steps(problem.numbers, steps);
      right.push_back(checked.reaches(problem.target));
      paths_.legal.add(checked.legal);
      paths_.of_others.add(is_right_path(other, answer));
      if (!steps.empty()) first_moves.insert(reasoning::step_text(steps.front()));
      if (checked.legal) values.insert(checked.value);
      // Not by whether its steps are allowed: a vote knows nothing of that.
      candidates.push_back({.index = candidates.size(), .answer = steps_answer(steps), .abstains = steps.empty()});
      const std::size_t tokens = learner_.count_tokens(answer);
      paths_.tokens.add(static_cast<double>(tokens));
      paths_.generated.add(static_cast<double>(tokens - std::min(tokens, given)));
    }
    for (const std::size_t n : kLearnerSamples) {
      if (n > candidates.size()) break;
      const auto choice = reasoning::majority_vote(std::span(candidates).first(n));
      paths_.majority[n].add(choice.index && right[*choice.index]);
    }
    paths_.first_moves.add(static_cast<double>(first_moves.size()));
    paths_.values.add(static_cast<double>(values.size()));
  }

 private:
  const ModelThinking& learner_;
  LearnerPaths& paths_;
};

/// A path's beginning: up to where it goes on behind its first move.
std::string first_move_text(const CountdownProblem& problem, std::size_t index, const CountdownMove& move) {
  std::string text = root_line(problem) + reasoning::explore_line(move.step, move.state.numbers);
  if (move.state.numbers.size() > 1) text += reasoning::child_prompt("0," + std::to_string(index), move.state);
  return text;
}

/// The first move with a result that is one too many.
CountdownMove wrong(CountdownMove move) {
  ++move.step.result;
  ++move.state.numbers.back();
  move.state.steps.back() = move.step;
  return move;
}

std::string prompt_of(const CountdownProblem& problem, const std::vector<CountdownMove>& moves, FirstMoves which,
                      std::size_t i) {
  if (which == FirstMoves::one) return first_move_text(problem, 0, moves[0]);
  if (which == FirstMoves::illegal) return first_move_text(problem, 0, wrong(moves[0]));
  return i < moves.size() ? first_move_text(problem, i, moves[i]) : root_line(problem);
}

const CountdownProblem& next_to(std::span<const CountdownProblem> problems, std::size_t i) {
  return problems[(i + 1) % problems.size()];
}

}  // namespace

ThinkOptions ask_greedily(std::string prompt, const ModelThinking& learner) {
  return {.raw = std::move(prompt), .sampler = {.temperature = 0}, .call_tokens = learner.context()};
}

Proportion LearnerTraces::solved_within(std::size_t budget) const {
  Proportion proportion;
  for (std::size_t i = 0; i < solved_at.size(); ++i) proportion.add(solved(i, budget));
  return proportion;
}

Result<LearnerTraces> run_traces(ModelThinking& learner, std::span<const CountdownProblem> problems) {
  std::vector<ThinkOptions> questions;
  for (const CountdownProblem& problem : problems) questions.push_back(ask_greedily(root_line(problem), learner));
  const auto strategy = reasoning::make_best_of({.n = 1});
  PLAIT_TRY(const std::vector<Thought> thoughts, learner.think(*strategy, std::move(questions)));
  LearnerTraces traces;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    const std::string text = root_line(problems[i]) + thoughts[i].paths.front().text;
    const auto path = reasoning::solution_path(text);
    std::optional<std::size_t> at;
    if (path && is_right_path(problems[i], *path)) {
      const auto path_end = static_cast<std::size_t>(path->data() + path->size() - text.data());
      at = learner.count_tokens(std::string_view(text).substr(0, text.find('\n', path_end)));  // with the goal line
    }
    traces.solved_at.push_back(at);
    traces.tokens.add(static_cast<double>(learner.count_tokens(text)));
    traces.unfinished += thoughts[i].reason == engine::EndReason::length ? 1 : 0;
  }
  return traces;
}

bool LearnerPaths::any(std::size_t problem, std::size_t n) const {
  const std::vector<bool>& all = right[problem];
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(n, all.size()));
  return std::find(all.begin(), end, true) != end;
}

Proportion LearnerPaths::pass(std::size_t n) const {
  Proportion proportion;
  for (std::size_t i = 0; i < right.size(); ++i) proportion.add(any(i, n));
  return proportion;
}

Result<std::vector<std::vector<std::string>>> sample_answers(ModelThinking& learner,
                                                             std::span<const CountdownProblem> problems,
                                                             std::span<const std::string> before,
                                                             const PathOptions& options) {
  std::vector<ThinkOptions> questions;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    questions.push_back({.raw = (before.empty() ? "" : before[i]) + root_line(problems[i]),
                         .sampler = {.temperature = options.temperature, .seed = base::child_seed(options.seed, i)},
                         .call_tokens = kAnswerTokens});
  }
  const auto strategy = reasoning::make_best_of({.n = options.n});
  PLAIT_TRY(const std::vector<Thought> thoughts, learner.think(*strategy, std::move(questions)));
  std::vector<std::vector<std::string>> answers(problems.size());
  for (std::size_t i = 0; i < problems.size(); ++i) {
    for (const auto& path : thoughts[i].paths) answers[i].push_back(root_line(problems[i]) + path.text);
  }
  return answers;
}

Result<LearnerPaths> run_paths(ModelThinking& learner, std::span<const CountdownProblem> problems,
                               const PathOptions& options) {
  PLAIT_TRY(const auto answers, sample_answers(learner, problems, {}, options));
  LearnerPaths paths;
  PathCounter counter(learner, paths);
  for (std::size_t i = 0; i < problems.size(); ++i) counter.add(problems[i], next_to(problems, i), answers[i]);
  return paths;
}

Result<LearnerPaths> run_outlines(ModelThinking& learner, std::span<const CountdownProblem> problems, FirstMoves moves,
                                  const PathOptions& options) {
  std::vector<ThinkOptions> questions;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    const std::vector<CountdownMove> first = countdown_moves(countdown_root(problems[i]));
    const std::uint64_t seed = base::child_seed(options.seed, i);
    for (std::size_t path = 0; path < options.n; ++path) {
      questions.push_back({.raw = prompt_of(problems[i], first, moves, path),
                           .sampler = {.temperature = options.temperature, .seed = base::child_seed(seed, path)},
                           .call_tokens = kAnswerTokens});
    }
  }
  std::vector<std::string> prompts;
  std::ranges::transform(questions, std::back_inserter(prompts), [](const ThinkOptions& one) { return *one.raw; });
  const auto strategy = reasoning::make_best_of({.n = 1});
  PLAIT_TRY(const std::vector<Thought> thoughts, learner.think(*strategy, std::move(questions)));
  LearnerPaths paths;
  PathCounter counter(learner, paths);
  for (std::size_t i = 0; i < problems.size(); ++i) {
    std::vector<std::string> answers;
    for (std::size_t path = i * options.n; path < (i + 1) * options.n; ++path) {
      answers.push_back(prompts[path] + thoughts[path].paths.front().text);
    }
    counter.add(problems[i], next_to(problems, i), answers);
  }
  return paths;
}

Proportion LearnerSearches::solved() const { return proportion_of(right); }

Result<LearnerSearches> run_searches(ModelThinking& learner, std::span<const CountdownProblem> problems,
                                     std::size_t children, bool allowed) {
  std::vector<ThinkOptions> questions;
  for (const CountdownProblem& problem : problems) {
    questions.push_back(ask_greedily(child_budget_line(children) + root_line(problem), learner));
  }
  const auto strategy = reasoning::make_spawn({.children_max = allowed ? children : 0});
  PLAIT_TRY(const std::vector<Thought> thoughts, learner.think(*strategy, std::move(questions)));
  LearnerSearches searches;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    const auto path = reasoning::solution_path(thoughts[i].paths.back().text);
    searches.right.push_back(path && is_right_path(problems[i], *path));
    const reasoning::Spending spent = thoughts[i].spending();
    searches.children.add(static_cast<double>(thoughts[i].count("children")));
    searches.total.add(static_cast<double>(spent.generated_tokens));
    searches.sequential.add(static_cast<double>(spent.critical_path_tokens));
  }
  return searches;
}

}  // namespace plait::evaluation
