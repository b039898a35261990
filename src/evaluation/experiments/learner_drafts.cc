// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/learner_drafts.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/random.h"
#include "evaluation/countdown_search.h"
#include "evaluation/experiments/planted_drafts.h"
#include "reasoning/aggregate.h"
#include "reasoning/search_trace.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::Step;

constexpr std::size_t kKeep = 4;
constexpr std::size_t kTrainingDrafts = 4;

/// A number that is there: as the answer wrote it, and what it really is.
struct Available {
  std::int64_t written;
  std::int64_t value;
};

std::optional<std::int64_t> take(std::vector<Available>& there, std::int64_t written) {
  const auto at = std::ranges::find(there, written, &Available::written);
  if (at == there.end()) return std::nullopt;
  const std::int64_t value = at->value;
  there.erase(at);
  return value;
}

/// The path that these steps are, in the language of searches; nothing if it has another order or no such move.
std::optional<std::string> path_of(const CountdownProblem& problem, std::span<const Step> steps) {
  reasoning::SearchState state = countdown_root(problem);
  for (const Step& step : steps) {
    auto moves = countdown_moves(state);
    const auto move = std::ranges::find(moves, step, &CountdownMove::step);
    if (move == moves.end()) return std::nullopt;
    state = std::move(move->state);
  }
  return path_text(countdown_root(problem), "0", steps);
}

std::vector<std::string> none(std::size_t count) { return std::vector<std::string>(count); }

std::vector<std::string> workspaces_of(std::span<const CountdownProblem> problems,
                                       const std::vector<std::vector<LearnerDraft>>& drafts, bool nearest) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    const auto some = std::span(drafts[i]).first(std::min(kKeep, drafts[i].size()));
    all.push_back(nearest ? workspace_text(nearest_drafts(problems[i], drafts[i], kKeep)) : workspace_text(some));
  }
  return all;
}

std::vector<std::vector<LearnerDraft>> first(const std::vector<std::vector<LearnerDraft>>& drafts, std::size_t n) {
  std::vector<std::vector<LearnerDraft>> some;
  for (const auto& all : drafts) {
    some.emplace_back(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(n, all.size())));
  }
  return some;
}

/// The runs of one set of problems.
class Refining {
 public:
  Refining(ModelThinking& direct, ModelThinking& refining, std::span<const CountdownProblem> problems,
           std::uint64_t seed)
      : direct_(direct), refining_(refining), problems_(problems), seed_(seed) {}

  Result<RefineFigures> run() {
    PLAIT_TRY(const auto answers, sample_answers(direct_, problems_, {}, {.n = 16, .seed = seed_}));
    drafts_ = read_answers(direct_, problems_, answers, 16);
    eight_ = read_answers(direct_, problems_, answers, 8);
    figures_.single = {
        .right = drafts_.first_right, .sequential = drafts_.tokens.value(), .total = drafts_.tokens.value()};
    PLAIT_TRY_VOID(parallel());
    PLAIT_TRY_VOID(chain());
    PLAIT_TRY_VOID(workspaces());
    votes();
    return std::move(figures_);
  }

 private:
  /// One answer behind these, and what it took behind what the drafts took.
  Result<RefineArm> answer(const std::vector<std::string>& workspaces, double sequential, double total) {
    PLAIT_TRY(const DraftedAnswers said, draft(refining_, problems_, workspaces, {.n = 1, .seed = seed_ + 1}));
    return RefineArm{.right = said.first_right,
                     .sequential = sequential + said.longest.value(),
                     .total = total + said.tokens.value()};
  }

  Result<void> parallel() {
    const double longest = eight_.longest.value();
    const double total = 8 * eight_.tokens.value();
    PLAIT_TRY(figures_.eight, answer(workspaces_of(problems_, eight_.drafts, true), longest, total));
    PLAIT_TRY(figures_.eight_random, answer(workspaces_of(problems_, eight_.drafts, false), longest, total));
    PLAIT_TRY(const DraftedAnswers second,
              draft(refining_, problems_, workspaces_of(problems_, drafts_.drafts, true), {.n = 8, .seed = seed_ + 2}));
    PLAIT_TRY(figures_.sixteen_eight,
              answer(workspaces_of(problems_, second.drafts, true), drafts_.longest.value() + second.longest.value(),
                     16 * drafts_.tokens.value() + 8 * second.tokens.value()));
    return {};
  }

  /// Each refinement sees all that came before it.
  Result<void> chain() {
    std::vector<std::vector<LearnerDraft>> seen = first(drafts_.drafts, 1);
    double tokens = figures_.single.sequential;
    for (RefineArm* arm : {&figures_.once, &figures_.twice}) {
      PLAIT_TRY(const DraftedAnswers said, draft(refining_, problems_, workspaces_of(problems_, seen, false),
                                                 {.n = 1, .seed = seed_ + (arm == &figures_.once ? 3 : 4)}));
      tokens += said.tokens.value();
      *arm = {.right = said.first_right, .sequential = tokens, .total = tokens};
      for (std::size_t i = 0; i < seen.size(); ++i) std::ranges::copy(said.drafts[i], std::back_inserter(seen[i]));
    }
    return {};
  }

  /// Of problems whose drafts are some right and some wrong: what the answer behind each kind of workspace is worth.
  Result<void> workspaces() {
    std::vector<CountdownProblem> some;
    std::vector<std::string> wrong;
    std::vector<std::string> mixed;
    std::vector<std::string> right;
    for (std::size_t i = 0; i < problems_.size(); ++i) {
      std::vector<LearnerDraft> good;
      std::vector<LearnerDraft> bad;
      for (const LearnerDraft& one : drafts_.drafts[i]) {
        const bool reaches = one.value == problems_[i].target;
        if (reaches && good.empty()) good.push_back(one);
        if (!reaches && bad.size() < kKeep) bad.push_back(one);
      }
      if (good.empty() || bad.empty()) continue;
      some.push_back(problems_[i]);
      wrong.push_back(workspace_text(bad));
      right.push_back(workspace_text(good));
      bad.insert(bad.begin() + static_cast<std::ptrdiff_t>(bad.size() / 2), good.front());
      mixed.push_back(workspace_text(bad));
    }
    WorkspaceFigures& figures = figures_.workspaces;
    for (const auto& [texts, into] : {std::pair(none(some.size()), &figures.empty), std::pair(wrong, &figures.wrong),
                                      std::pair(mixed, &figures.mixed), std::pair(right, &figures.right)}) {
      PLAIT_TRY(const DraftedAnswers said, draft(refining_, some, texts, {.n = 1, .seed = seed_ + 5}));
      *into = proportion_of(said.first_right);
    }
    return {};
  }

  void votes() {
    for (std::size_t i = 0; i < problems_.size(); ++i) {
      std::vector<reasoning::Candidate> candidates;
      for (const LearnerDraft& one : eight_.drafts[i]) {
        candidates.push_back({.index = candidates.size(), .answer = steps_answer(one.steps)});
      }
      const auto choice = reasoning::majority_vote(candidates);
      figures_.majority.add(choice.index && eight_.drafts[i][*choice.index].right);
      figures_.any.add(eight_.any_right[i]);
    }
  }

  ModelThinking& direct_;
  ModelThinking& refining_;
  std::span<const CountdownProblem> problems_;
  std::uint64_t seed_;
  DraftedAnswers drafts_;
  DraftedAnswers eight_;
  RefineFigures figures_;
};

}  // namespace

std::optional<LearnerDraft> read_draft(const CountdownProblem& problem, std::string_view answer) {
  const auto written = reasoning::path_steps(answer);
  if (!written || written->empty()) return std::nullopt;
  LearnerDraft draft{.right = is_right_path(problem, answer)};
  std::vector<Available> there;
  for (const std::int64_t number : problem.numbers) there.push_back({number, number});
  for (const Step& step : *written) {
    auto left = take(there, step.left);
    auto right = take(there, step.right);
    if (!left || !right) return std::nullopt;
    if (*left < *right) std::swap(left, right);
    const auto value = reasoning::apply(*left, step.operation, *right);
    if (!value || *value < 0) return std::nullopt;
    draft.steps.push_back({*left, step.operation, *right, *value});
    there.push_back({step.result, *value});
    draft.value = *value;
  }
  if (there.size() != 1) return std::nullopt;
  return draft;
}

std::string workspace_text(std::span<const LearnerDraft> drafts) {
  std::string text;
  for (const LearnerDraft& draft : drafts) {
    text += "Draft: ";
    for (const Step& step : draft.steps) {
      if (!text.ends_with(' ')) text += ',';
      text += reasoning::step_text(step);
    }
    text += '\n';
  }
  return text.empty() ? text : "Workspace:\n" + text;
}

std::vector<LearnerDraft> nearest_drafts(const CountdownProblem& problem, std::span<const LearnerDraft> drafts,
                                         std::size_t keep) {
  std::vector<LearnerDraft> kept;
  for (const LearnerDraft& draft : drafts) {
    if (std::ranges::find(kept, draft.steps, &LearnerDraft::steps) == kept.end()) kept.push_back(draft);
  }
  std::ranges::stable_sort(kept, {}, [&](const LearnerDraft& draft) { return std::abs(draft.value - problem.target); });
  kept.resize(std::min(keep, kept.size()));
  return kept;
}

DraftedAnswers read_answers(const ModelThinking& learner, std::span<const CountdownProblem> problems,
                            const std::vector<std::vector<std::string>>& answers, std::size_t n) {
  DraftedAnswers said;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    said.drafts.emplace_back();
    const std::size_t given = learner.count_tokens(root_line(problems[i]));
    std::vector<bool> right;
    double longest = 0;
    for (const std::string& answer : std::span(answers[i]).first(n)) {
      right.push_back(is_right_path(problems[i], answer));
      const auto tokens = static_cast<double>(learner.count_tokens(answer) - given);
      said.tokens.add(tokens);
      longest = std::max(longest, tokens);
      if (auto one = read_draft(problems[i], answer)) said.drafts.back().push_back(*std::move(one));
    }
    said.first_right.push_back(right.front());
    said.any_right.push_back(std::ranges::find(right, true) != right.end());
    said.longest.add(longest);
  }
  return said;
}

Result<DraftedAnswers> draft(ModelThinking& learner, std::span<const CountdownProblem> problems,
                             std::span<const std::string> workspaces, const PathOptions& options) {
  PLAIT_TRY(const auto answers, sample_answers(learner, problems, workspaces, options));
  return read_answers(learner, problems, answers, options.n);
}

Result<std::vector<TrainingText>> refining_texts(ModelThinking& direct, std::span<const CountdownProblem> problems,
                                                 std::uint64_t seed) {
  PLAIT_TRY(const DraftedAnswers drafted,
            draft(direct, problems, {}, {.n = kTrainingDrafts, .temperature = 1, .seed = seed}));
  std::vector<TrainingText> texts;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    const std::size_t most = std::min(kTrainingDrafts, drafted.drafts[i].size());
    const std::size_t count = base::random_u64(base::child_seed(seed, i), 0) % (most + 1);
    const auto shown = std::span(drafted.drafts[i]).first(count);
    const auto right = std::ranges::find(shown, problems[i].target, &LearnerDraft::value);
    std::optional<std::string> path;
    if (right != shown.end()) path = path_of(problems[i], right->steps);
    if (const auto solution = solve_countdown(problems[i]); !path && solution) path = path_of(problems[i], *solution);
    if (!path) continue;
    const std::string root = root_line(problems[i]);
    texts.push_back({workspace_text(shown) + root, path->substr(root.size())});
  }
  return texts;
}

Proportion RefineArm::solved() const { return proportion_of(right); }

Result<RefineFigures> run_refining(ModelThinking& direct, ModelThinking& refining,
                                   std::span<const CountdownProblem> problems, std::uint64_t seed) {
  return Refining(direct, refining, problems, seed).run();
}

}  // namespace plait::evaluation
