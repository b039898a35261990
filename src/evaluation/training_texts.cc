// SPDX-License-Identifier: Apache-2.0
#include "evaluation/training_texts.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "evaluation/countdown_search.h"
#include "reasoning/search_trace.h"
#include "reasoning/spawn_grammar.h"

namespace plait::evaluation {
namespace {

constexpr std::array<std::pair<std::string_view, TrainingKind>, 3> kNames{
    {{"direct", TrainingKind::direct}, {"depth-first", TrainingKind::depth_first}, {"spawned", TrainingKind::spawned}}};

/// A text that begins with the root's state, which is the prompt.
TrainingText behind(const std::string& root, std::string_view text) {
  PLAIT_CHECK(text.starts_with(root));
  return {root, std::string(text.substr(root.size()))};
}

SpawnedSearch searched(const CountdownProblem& problem, const TrainingOptions& options) {
  BestFirstOptions policy = spawning_policy(options.seed);
  policy.context_tokens = options.context_tokens;
  policy.children_max = base::random_u64(options.seed, 1) % (kChildBudgetMost + 1);
  if (policy.children_max == 0) policy.nested_probability = 0;
  return spawned_search(problem, policy);
}

}  // namespace

std::optional<TrainingKind> training_kind(std::string_view name) {
  const auto* const at = std::ranges::find(kNames, name, &std::pair<std::string_view, TrainingKind>::first);
  return at == kNames.end() ? std::nullopt : std::optional(at->second);
}

std::vector<TrainingText> spawned_texts(const SpawnedSearch& search, const std::string& heading) {
  std::vector<TrainingText> texts;
  std::string parent = heading + search.prompt;
  for (const SpawnedSegment& segment : search.segments) {
    texts.push_back({parent, segment.text});
    parent += segment.text;
    const auto block = reasoning::parse_spawn(parent, segment.children.size());
    if (segment.children.empty() || block.ending != reasoning::SpawnBlock::Ending::closed) break;
    std::vector<reasoning::SubSearchResult> results;
    for (const SpawnedChild& child : segment.children) {
      texts.push_back({child.prompt, child.text});
      const auto path = reasoning::solution_path(child.text);
      results.push_back({child.call, path ? std::optional(std::string(*path)) : std::nullopt});
    }
    parent = reasoning::joined_text(parent, block, results);
  }
  return texts;
}

std::string child_budget_line(std::size_t children) {
  return "Child budget: " + std::to_string(std::min(children, kChildBudgetMost)) + "\n";
}

std::vector<TrainingText> training_texts(const CountdownProblem& problem, TrainingKind kind,
                                         const TrainingOptions& options) {
  if (kind == TrainingKind::spawned) {
    const SpawnedSearch search = searched(problem, options);
    return spawned_texts(search, child_budget_line(search.children));
  }
  const reasoning::SearchState root = countdown_root(problem);
  const std::string prompt = reasoning::state_line(root);
  if (kind == TrainingKind::depth_first) return {behind(prompt, depth_first_text(problem).text)};
  const auto steps = solve_countdown(problem);
  if (!steps) return {};
  return {behind(prompt, path_text(root, "0", *steps))};
}

}  // namespace plait::evaluation
