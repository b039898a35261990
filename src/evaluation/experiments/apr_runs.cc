// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/apr_runs.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "evaluation/training_texts.h"
#include "reasoning/arithmetic.h"
#include "reasoning/search_trace.h"
#include "reasoning/spawn_grammar.h"
#include "reasoning/spawn_search.h"
#include "reasoning/verifier.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::CallRecord;
using reasoning::Thought;

constexpr std::size_t kChildrenMost = 10;

/// The contexts of a search, and what stands before each of its joins.
struct Contexts {
  std::vector<std::string> all = {};
  std::vector<std::size_t> before_joins = {};  ///< Tokens of the parent, [join].
};

Contexts contexts_of(const SpawnedSearch& search) {
  Contexts contexts;
  for (const TrainingText& text : spawned_texts(search, {})) {
    contexts.all.push_back(text.prompt + text.text);
    const std::string_view context = contexts.all.back();
    const auto block = reasoning::parse_spawn(context, kChildrenMost);
    const bool joins = context.starts_with(search.prompt) && block.ending == reasoning::SpawnBlock::Ending::closed;
    if (joins) contexts.before_joins.push_back(count_task_tokens(context.substr(0, block.begin)));
  }
  return contexts;
}

/// Where a join fills the window all but for one token, the search has that token and the runtime ends without it.
bool is_same(std::string_view text, std::string_view expected, bool window_ended) {
  if (text == expected) return true;
  return window_ended && expected.starts_with(text) && count_task_tokens(expected) == count_task_tokens(text) + 1;
}

AprRun run_of(const Thought& thought) {
  AprRun run{.solved = thought.count("verified") > 0};
  const reasoning::Spending spent = thought.spending();
  run.total = spent.generated_tokens;
  run.sequential = spent.critical_path_tokens;
  run.children = thought.count("children");
  run.window_ends = thought.count("joins_beyond_the_context");
  return run;
}

}  // namespace

AprRuns::AprRuns(std::size_t window)
    : window_(window), tokenizer_(make_unit_tokenizer(search_units())), scripts_(*tokenizer_) {}

Result<std::unique_ptr<AprRuns>> AprRuns::make(std::size_t window, std::size_t rows_max) {
  std::unique_ptr<AprRuns> runs(new AprRuns(window));
  // The last token of a text needs no place in the context.
  const ScriptedOptions options{.context = window - 1, .rows_max = rows_max};
  PLAIT_TRY(runs->model_, ScriptedThinking::make(*runs->tokenizer_, runs->scripts_.policy(), options));
  return runs;
}

Result<Thought> AprRuns::think(const CountdownProblem& problem, std::string_view root, std::size_t children) {
  const auto strategy = reasoning::make_spawn(
      {.children_max = children, .verifier = reasoning::countdown_verifier(problem.numbers, problem.target)});
  return model_->think(*strategy, {.raw = std::string(root), .call_tokens = window_});
}

Result<AprRun> AprRuns::spawned(const CountdownProblem& problem, const SpawnedSearch& search) {
  const Contexts contexts = contexts_of(search);
  scripts_.clear();
  for (const std::string& context : contexts.all) scripts_.add(context);
  PLAIT_TRY(const Thought thought, think(problem, search.prompt, kChildrenMost));
  AprRun run = run_of(thought);
  run.as_written = is_same(search.prompt + thought.paths.back().text, search.text, run.window_ends > 0);
  run.ledger_agrees = run.total == search.total_tokens && run.sequential == search.sequential_tokens;
  std::size_t join = 0;
  for (const CallRecord& call : thought.calls) {
    if (call.role != reasoning::CallRole::main || call.label == "segment 1" || join == contexts.before_joins.size())
      continue;
    run.earlier += contexts.before_joins[join];
    run.cached += std::min(call.cached_tokens, contexts.before_joins[join]);
    ++join;
  }
  return run;
}

Result<AprRun> AprRuns::serial(const CountdownProblem& problem, std::string_view text) {
  const std::string root = root_line(problem);
  const std::string_view cut = first_task_tokens(text, window_);
  scripts_.clear();
  scripts_.add(cut);
  PLAIT_TRY(const Thought thought, think(problem, root, 0));
  AprRun run = run_of(thought);
  run.as_written = root + thought.paths.back().text == cut;
  run.ledger_agrees = root.size() <= cut.size() && run.total == count_task_tokens(cut.substr(root.size())) &&
                      run.sequential == run.total;
  return run;
}

Result<bool> AprRuns::claims(const CountdownProblem& problem, std::string_view said) {
  const std::string root = root_line(problem);
  scripts_.clear();
  scripts_.add(root + std::string(said));
  PLAIT_TRY(const Thought thought, think(problem, root, kChildrenMost));
  return thought.count("verified") > 0;
}

std::string false_goal_text(const CountdownProblem& problem) {
  reasoning::SearchState state = countdown_root(problem);
  std::string text = reasoning::goal_line(problem.target) + reasoning::state_line(state);
  while (state.numbers.size() > 1) {
    const std::int64_t a = state.numbers[0];
    const std::int64_t b = state.numbers[1];
    reasoning::Step step{a, '+', b, a + b};
    if (state.numbers.size() == 2) {
      if (step.result == problem.target) step.operation = '*';
      step.result = problem.target;  // whatever it really gives
    }
    state.numbers.erase(state.numbers.begin(), state.numbers.begin() + 2);
    state.numbers.push_back(step.result);
    text += reasoning::explore_line(step, state.numbers);
  }
  return text + reasoning::goal_line(problem.target);
}

}  // namespace plait::evaluation
