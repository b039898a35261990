// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/planted_drafts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>

#include "base/random.h"
#include "evaluation/countdown_policy.h"
#include "reasoning/arithmetic.h"

namespace plait::evaluation {
namespace {

constexpr std::string_view kAnswer = "Answer: ";
// Of the prompts in reasoning/prompts/.
constexpr std::string_view kNotes = "Notes from earlier attempts. They may be wrong; use what holds.\n";
constexpr std::string_view kEarlier = "An earlier attempt:\n";
constexpr std::string_view kDistil = "Write a digest of at most";
constexpr std::string_view kDraft = "\n\nWork it out step by step. ";
constexpr std::string_view kAfresh = "\n\nWork it out step by step with ";
constexpr double kTemperature = 8;

constexpr std::uint64_t kRightStream = 1;
constexpr std::uint64_t kBreakStream = 2;
constexpr std::uint64_t kPathStream = 3;

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// What lines that say an answer say.
std::vector<std::string_view> answers_in(std::string_view text) {
  std::vector<std::string_view> answers;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with(kAnswer)) answers.push_back(line.substr(kAnswer.size()));
  }
  return answers;
}

/// The notes of a prompt; empty: none.
std::string_view workspace_in(std::string_view prompt) {
  const std::size_t begin = prompt.find(kNotes);
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = prompt.substr(begin + kNotes.size());
  const std::size_t draft = rest.rfind(kDraft);
  return rest.substr(0, draft == std::string_view::npos ? rest.rfind(kAfresh) : draft);
}

/// So many bytes of words that mean nothing.
std::string filler(std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += "try this and that ";
  text.resize(bytes);
  return text;
}

}  // namespace

std::string_view name(Notes notes) {
  constexpr std::array<std::string_view, 4> kNames{"no notes", "wrong", "mixed", "right"};
  return kNames[static_cast<std::size_t>(notes)];
}

std::string steps_answer(const std::vector<reasoning::Step>& steps) {
  std::vector<std::string> texts;
  for (const reasoning::Step& step : steps) texts.push_back(reasoning::step_text(step));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string countdown_question(const CountdownProblem& problem) {
  return fmt::format("Reach {} from the numbers {}. Use each of them once, by + - * /.", problem.target,
                     fmt::join(problem.numbers, ", "));
}

double PlantedOptions::right(Notes notes) const {
  switch (notes) {
    case Notes::wrong:
      return right_wrong;
    case Notes::mixed:
      return right_mixed;
    case Notes::right:
      return right_right;
    case Notes::none:
      break;
  }
  return right_alone;
}

void PlantedDrafts::set(const CountdownProblem& problem, const PlantedOptions& options) {
  problem_ = problem;
  options_ = options;
  right_answer_ = steps_answer(solve_countdown(problem).value_or(std::vector<reasoning::Step>()));
  texts_.clear();
  workspace_tokens_max_ = 0;
  draft_workspace_.clear();
  answer_workspace_.clear();
  answer_notes_ = Notes::none;
}

Speaker PlantedDrafts::speaker() {
  return [this](std::string_view prompt, std::string_view said) { return speak(prompt, said); };
}

std::string PlantedDrafts::question() const { return countdown_question(problem_); }

bool PlantedDrafts::is_right(std::string_view answer) const {
  return reasoning::check_countdown(problem_.numbers, answer).reaches(problem_.target);
}

Notes PlantedDrafts::notes_in(std::string_view prompt) const {
  const std::size_t earlier = prompt.find(kEarlier);
  const auto answers = answers_in(earlier == std::string_view::npos ? workspace_in(prompt) : prompt.substr(earlier));
  const auto right = std::ranges::count_if(answers, [this](std::string_view answer) { return is_right(answer); });
  if (answers.empty()) return Notes::none;
  if (right == 0) return Notes::wrong;
  return static_cast<std::size_t>(right) == answers.size() ? Notes::right : Notes::mixed;
}

void PlantedDrafts::look_at(std::string_view prompt) {
  const std::string_view workspace = workspace_in(prompt);
  workspace_tokens_max_ = std::max(workspace_tokens_max_, workspace.size());  // a byte is a token
  if (has(prompt, kDraft)) draft_workspace_ = workspace;
  if (!has(prompt, kAfresh)) return;
  answer_workspace_ = workspace;
  answer_notes_ = notes_in(prompt);
}

std::vector<Continuation> PlantedDrafts::speak(std::string_view prompt, std::string_view said) {
  if (said.empty()) look_at(prompt);
  const bool distils = has(prompt, kDistil);
  if (!distils && said.size() < kDrawDigits) return draw_digits(said);
  const std::string_view draw = distils ? std::string_view() : said.substr(0, kDrawDigits);
  if (!distils && breaks(prompt, drawn(draw))) {
    return {{.text = "?", .weight = std::numeric_limits<double>::quiet_NaN()}};
  }
  std::string& text = texts_[std::string(prompt).append(draw)];
  if (text.empty()) text = distils ? digest(prompt) : draft(prompt, drawn(draw));
  if (said.size() >= text.size()) return {};
  return {{.text = text.substr(said.size())}};
}

bool PlantedDrafts::breaks(std::string_view prompt, std::uint64_t draw) const {
  if (!has(prompt, kDraft)) return false;
  const double often = workspace_in(prompt).empty() ? options_.breaks_first : options_.breaks_later;
  return base::random_unit(draw, kBreakStream) < often;
}

std::string PlantedDrafts::draft(std::string_view prompt, std::uint64_t draw) const {
  std::string answer = right_answer_;
  if (base::random_unit(draw, kRightStream) >= options_.right(notes_in(prompt))) {
    SampledPath path{.solved = true};
    for (std::uint64_t i = 0; path.solved && i < 100; ++i) {
      path = sample_path(problem_, kTemperature, base::child_seed(base::child_seed(draw, kPathStream), i));
    }
    answer = steps_answer(path.steps);
  }
  const std::string begin = fmt::format("{:0{}}\n", draw, kDrawDigits);
  const std::string end = '\n' + std::string(kAnswer) + answer;
  const std::size_t used = begin.size() + end.size();
  return begin + filler(options_.draft_tokens - std::min(options_.draft_tokens, used)) + end;
}

std::string PlantedDrafts::digest(std::string_view prompt) const {
  std::set<std::string_view> known;
  std::string text = "Seen so far:\n";
  for (const std::string_view answer : answers_in(prompt)) {
    if (!known.insert(answer).second) continue;
    text += std::string(kAnswer).append(answer) + '\n';
  }
  return text + filler(options_.digest_tokens - std::min(options_.digest_tokens, text.size()));
}

}  // namespace plait::evaluation
