// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/ope_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "evaluation/countdown_policy.h"
#include "evaluation/experiments/planted_drafts.h"
#include "evaluation/experiments/scripted_thinking.h"
#include "models/kv_layout.h"
#include "reasoning/best_of.h"
#include "reasoning/normal_form.h"
#include "reasoning/outline_paths.h"
#include "reasoning/verifier.h"

namespace plait::evaluation {
namespace {

using base::Result;
using reasoning::CallRecord;
using reasoning::CallRole;
using reasoning::SelectRule;
using reasoning::Thought;

// Of the prompts in reasoning/prompts/.
constexpr std::string_view kPlan = "Do not answer yet, and compute nothing. List ";
constexpr std::string_view kWay = "Go about it in this way: ";

std::string move_text(const reasoning::Step& step) {
  return fmt::format("{}{}{}", step.left, step.operation, step.right);
}

/// Lists its first moves, and plays.
class Player {
 public:
  Player(const CountdownProblem& problem, double temperature)
      : problem_(problem), moves_(countdown_moves(countdown_root(problem))), temperature_(temperature) {}

  /// What the planner says instead.
  void set_plan(std::string plan) { plan_ = std::move(plan); }

  std::vector<Continuation> speak(std::string_view prompt, std::string_view said) const {
    if (prompt.find(kPlan) != std::string_view::npos) return rest_of(plan_.value_or(plan(prompt)), said);
    if (said.size() < kDrawDigits) return draw_digits(said);
    std::string text(said.substr(0, kDrawDigits));
    const std::size_t way = prompt.find(kWay);
    std::optional<std::size_t> first;
    if (way != std::string_view::npos) {
      first = index_of(prompt.substr(way + kWay.size()));
      if (!first) return rest_of(text + "\nThis leads nowhere.", said);
    }
    const SampledPath path = sample_path(problem_, temperature_, drawn(said), first);
    return rest_of(text + "\nAnswer: " + steps_answer(path.steps), said);
  }

 private:
  static std::vector<Continuation> rest_of(const std::string& text, std::string_view said) {
    if (said.size() >= text.size()) return {};
    return {{.text = text.substr(said.size())}};
  }

  /// As many as the prompt asks for, if there are so many.
  std::string plan(std::string_view prompt) const {
    std::string_view rest = prompt.substr(prompt.find(kPlan) + kPlan.size());
    const std::size_t n = std::min(reasoning::take_number(rest).value_or(0), moves_.size());
    std::string text = "<Outlines>\n";
    for (std::size_t i = 0; i < n; ++i)
      text += fmt::format("<Outline>{}: {}</Outline>\n", i + 1, move_text(moves_[i].step));
    return text + "</Outlines>";
  }

  /// The move of a line; nothing if it is none.
  std::optional<std::size_t> index_of(std::string_view line) const {
    line = line.substr(0, line.find('\n'));
    for (std::size_t i = 0; i < moves_.size(); ++i) {
      if (move_text(moves_[i].step) == line) return i;
    }
    return std::nullopt;
  }

  const CountdownProblem& problem_;
  std::vector<CountdownMove> moves_;
  double temperature_;
  std::optional<std::string> plan_;
};

/// The first move of a path, as it says it.
std::string first_move(const reasoning::ThoughtPath& path) { return path.answer.substr(0, path.answer.find('=')); }

/// A plan that keeps to few rules.
std::string malformed_plan(std::uint64_t seed) {
  constexpr std::array<std::string_view, 12> kPieces{"<Outline>1: add</Outline>\n",
                                                     "<Outline>7: Add </Outline>\n",
                                                     "<Outline></Outline>\n",
                                                     "<Outline>divide first\n",
                                                     "2. multiply\n",
                                                     "Outline 3: subtract\n",
                                                     "</Outlines>\n",
                                                     "<Outlines>\n",
                                                     "1) add\n",
                                                     "<Outline>3:   </Outline>\n",
                                                     "some words, no list\n",
                                                     "<Outline>4: <Outline>nested</Outline>\n"};
  std::string text;
  const std::uint64_t pieces = base::random_u64(seed, 0) % 12;
  for (std::uint64_t i = 0; i < pieces; ++i) text += kPieces[base::random_u64(seed, 1 + i) % kPieces.size()];
  return text.empty() ? "." : text;
}

class Runs {
 public:
  Runs(double temperature, std::size_t paths, OpeRunFigures& figures)
      : temperature_(temperature), paths_(paths), figures_(figures), tokenizer_(make_unit_tokenizer({})) {}

  Result<void> open() {
    const auto policy = speaking(*tokenizer_, [this](std::string_view prompt, std::string_view said) {
      const std::size_t way = said.empty() ? prompt.find(kWay) : std::string_view::npos;
      if (way != std::string_view::npos) prefix_ = static_cast<double>(way + kWay.size());  // a byte is a token
      return player_->speak(prompt, said);
    });
    PLAIT_TRY(wide_, ScriptedThinking::make(*tokenizer_, policy, {}));
    PLAIT_TRY(narrow_, ScriptedThinking::make(*tokenizer_, policy, {.rows_max = 2}));
    return {};
  }

  Result<void> run(const CountdownProblem& problem, std::uint64_t seed);
  Result<void> run_malformed(const CountdownProblem& problem, std::uint64_t seed);
  Result<void> run_illegal(const CountdownProblem& problem, std::uint64_t seed);
  [[nodiscard]] double found_computed() const { return cached_ / std::max(1.0, prompts_); }

 private:
  Result<Thought> think(ScriptedThinking& model, const reasoning::Strategy& strategy, const CountdownProblem& problem,
                        std::uint64_t seed) {
    reasoning::ThinkOptions options = ask(countdown_question(problem));
    options.sampler = {.temperature = 1, .seed = seed};
    return model.think(strategy, std::move(options));
  }
  [[nodiscard]] std::unique_ptr<reasoning::Strategy> outlines(const CountdownProblem& problem) const {
    return reasoning::make_outline_paths(
        {.n = paths_,
         .select = {.rule = SelectRule::verifier,
                    .verifier = reasoning::countdown_verifier(problem.numbers, problem.target)}});
  }
  void count_prompts(const Thought& thought);

  double temperature_;
  std::size_t paths_;
  OpeRunFigures& figures_;
  std::unique_ptr<models::Tokenizer> tokenizer_;
  std::unique_ptr<Player> player_;
  std::unique_ptr<ScriptedThinking> wide_;
  std::unique_ptr<ScriptedThinking> narrow_;
  double cached_ = 0;
  double prompts_ = 0;
  double prefix_ = 0;  ///< Tokens that the prompts of all paths begin with.
};

/// What paths compute: one prefix, and each what stands behind it, with up to a page that is not whole.
void Runs::count_prompts(const Thought& thought) {
  double prefilled = 0;
  double allowed = 0;
  bool first = true;
  for (const CallRecord& call : thought.calls) {
    if (call.role != CallRole::child) continue;
    const auto prompt = static_cast<double>(call.prompt_tokens);
    const auto computed = static_cast<double>(call.prefilled_tokens);
    allowed += (std::exchange(first, false) ? prompt : prompt - prefix_) + models::kPageTokens;
    prefilled += computed;
    prompts_ += prompt;
    cached_ += prompt - computed;
  }
  figures_.prefill_excess = std::max(figures_.prefill_excess, prefilled - allowed);
}

Result<void> Runs::run(const CountdownProblem& problem, std::uint64_t seed) {
  player_ = std::make_unique<Player>(problem, temperature_);
  const auto strategy = outlines(problem);
  PLAIT_TRY(const Thought thought, think(*wide_, *strategy, problem, seed));
  count_prompts(thought);
  std::set<std::string> moves;
  for (const reasoning::ThoughtPath& path : thought.paths) moves.insert(first_move(path));
  figures_.distinct.add(thought.paths.size() == paths_ && moves.size() == paths_);
  const auto planners = std::ranges::count(thought.calls, CallRole::planner, &CallRecord::role);
  figures_.one_plan.add(planners == 1);
  PLAIT_TRY(const Thought again, think(*narrow_, *strategy, problem, seed));
  bool same = again.answer == thought.answer && again.selector == thought.selector;
  for (std::size_t i = 0; i < thought.paths.size(); ++i) same = same && again.paths[i].text == thought.paths[i].text;
  figures_.any_order.add(same);

  const auto verifier = reasoning::countdown_verifier(problem.numbers, problem.target);
  const auto sampling = reasoning::make_best_of({.n = paths_});
  PLAIT_TRY(const Thought samples, think(*wide_, *sampling, problem, base::child_seed(seed, 1)));
  const auto any_right = [&](const Thought& of) {
    return std::ranges::any_of(of.paths, [&](const reasoning::ThoughtPath& path) {
      return verifier->score(path.answer).value_or(0) >= reasoning::kVerified;
    });
  };
  const bool by_outlines = any_right(thought);
  const bool by_samples = any_right(samples);
  figures_.pass_outlines.add(by_outlines);
  figures_.pass_best_of.add(by_samples);
  figures_.discordant.add(by_outlines, by_samples);
  figures_.tokens_outlines.add(static_cast<double>(thought.spending().generated_tokens));
  figures_.tokens_best_of.add(static_cast<double>(samples.spending().generated_tokens));
  return {};
}

/// As many paths as were asked for: with outlines that all differ, or plain and counted.
Result<void> Runs::run_malformed(const CountdownProblem& problem, std::uint64_t seed) {
  player_ = std::make_unique<Player>(problem, temperature_);
  player_->set_plan(malformed_plan(seed));
  PLAIT_TRY(const Thought thought, think(*wide_, *outlines(problem), problem, seed));
  std::set<std::string> outlines;
  std::size_t plain = 0;
  for (const reasoning::ThoughtPath& path : thought.paths) {
    const std::size_t colon = path.label.find(": ");
    if (colon == std::string::npos) {
      ++plain;
    } else {
      outlines.insert(reasoning::normal_answer(path.label.substr(colon + 2)));
    }
  }
  figures_.accounted.add(thought.paths.size() == paths_ && outlines.size() + plain == paths_ &&
                         plain == thought.count("fallback_paths") && !outlines.contains(""));
  return {};
}

/// Every second outline is no move: its path says so.
Result<void> Runs::run_illegal(const CountdownProblem& problem, std::uint64_t seed) {
  player_ = std::make_unique<Player>(problem, temperature_);
  const std::vector<CountdownMove> moves = countdown_moves(countdown_root(problem));
  std::string plan;
  std::size_t illegal = 0;
  for (std::size_t i = 0; i < paths_; ++i) {
    const bool is_move = i % 2 == 0 && i < moves.size();
    illegal += is_move ? 0 : 1;
    plan += fmt::format("{}. {}\n", i + 1, is_move ? move_text(moves[i].step) : fmt::format("{}*100", 200 + i));
  }
  player_->set_plan(plan);
  PLAIT_TRY(const Thought thought, think(*wide_, *outlines(problem), problem, seed));
  const auto failed = std::ranges::count_if(thought.paths, &reasoning::ThoughtPath::abstains);
  figures_.illegal_failed.add(static_cast<std::size_t>(failed) == illegal && thought.count("abstained") == illegal);
  return {};
}

}  // namespace

Result<OpeRunFigures> run_ope(std::span<const CountdownProblem> problems, double temperature, std::size_t paths,
                              std::size_t plans, std::uint64_t seed) {
  OpeRunFigures figures;
  Runs runs(temperature, paths, figures);
  PLAIT_TRY_VOID(runs.open());
  for (std::size_t i = 0; i < problems.size(); ++i) {
    PLAIT_TRY_VOID(runs.run(problems[i], base::child_seed(seed, i)));
    PLAIT_TRY_VOID(runs.run_illegal(problems[i], base::child_seed(seed, i)));
  }
  for (std::size_t i = 0; i < plans && !problems.empty(); ++i) {
    PLAIT_TRY_VOID(runs.run_malformed(problems[i % problems.size()], base::child_seed(seed + 1, i)));
  }
  figures.found_computed = runs.found_computed();
  return figures;
}

}  // namespace plait::evaluation
