// SPDX-License-Identifier: Apache-2.0
#include "reasoning/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <utility>

#include "reasoning/aggregate.h"
#include "reasoning/normal_form.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using text::Json;

constexpr std::array<std::string_view, 5> kRules{"majority", "verifier", "likelihood", "judge", "vote"};
constexpr std::size_t kJudgeTokens = 8;

std::vector<Candidate> candidates_of(const std::vector<ThoughtPath>& paths) {
  std::vector<Candidate> candidates;
  for (const ThoughtPath& path : paths) {
    candidates.push_back({.index = candidates.size(),
                          .answer = path.answer,
                          .mean_logprob = path.mean_logprob.value_or(0),
                          .abstains = path.abstains});
  }
  return candidates;
}

/// The first verified path, else the one with the highest score.
Result<Choice> by_verifier(std::span<const Candidate> candidates, const Verifier& verifier) {
  PLAIT_TRY(Choice choice, first_verified(candidates, verifier));
  if (choice.index) return choice;
  return highest_score(candidates, verifier);
}

/// The number in the judge's text, from 1 on; nothing if it names no candidate.
std::optional<std::size_t> number_in(std::string_view text, std::size_t most) {
  const std::size_t digit = text.find_first_of("0123456789");
  if (digit == std::string_view::npos) return std::nullopt;
  text.remove_prefix(digit);
  const auto number = take_number(text);
  if (!number || *number < 1 || *number > most) return std::nullopt;
  return *number - 1;
}

Thought with_choice(std::vector<ThoughtPath> paths, std::optional<std::size_t> chosen, std::string selector) {
  Thought thought{.selector = std::move(selector), .paths = std::move(paths)};
  if (!chosen) return thought;
  thought.paths[*chosen].chosen = true;
  thought.answer = thought.paths[*chosen].text;
  return thought;
}

}  // namespace

Result<SelectOptions> read_select(OptionReader& reader, std::string_view name) {
  SelectOptions options;
  const std::string verifier = reader.text("verifier", "");
  const std::size_t rule = reader.choice(name, kRules, verifier.empty() ? 0 : 1);
  options.rule = rule == 4 ? SelectRule::majority : static_cast<SelectRule>(rule);
  if (!verifier.empty()) {
    PLAIT_TRY(options.verifier, make_verifier(verifier));
  }
  if (options.rule == SelectRule::verifier && !options.verifier) {
    return fail(ErrorCode::invalid_argument, "to choose by a verifier, say which: verifier=equals:42");
  }
  return options;
}

Program<Thought> choose(Thinking& thinking, std::vector<ThoughtPath> paths, const SelectOptions& options) {
  const std::vector<Candidate> candidates = candidates_of(paths);
  if (options.verifier) {
    for (ThoughtPath& path : paths) {
      PLAIT_CO_TRY(path.score, options.verifier->score(path.answer));
    }
  }
  if (options.rule == SelectRule::judge) {
    Json answers = Json::array();
    for (const ThoughtPath& path : paths) answers.push_back(path.answer);
    PLAIT_CO_TRY(const State strand, thinking.open("best_of.judge", {{"answers", answers}}));
    Call call{.role = CallRole::judge,
              .label = "judge",
              .tokens = std::min(kJudgeTokens, thinking.share()),
              .seed = thinking.seed(700),
              .temperature = 0};
    const Program<Said> judging = thinking.call(strand, std::move(call));
    PLAIT_CO_TRY(const Said said, co_await judging);
    const auto number = number_in(said.text, paths.size());
    if (number) co_return with_choice(std::move(paths), number, "judge");
    thinking.count("judge_without_a_choice");
  }
  Choice choice;
  if (options.rule == SelectRule::verifier) {
    PLAIT_CO_TRY(choice, by_verifier(candidates, *options.verifier));
  } else {
    choice = options.rule == SelectRule::likelihood ? most_likely(candidates) : majority_vote(candidates);
  }
  thinking.count("abstained", choice.abstained);
  std::string selector(name(choice.selector));
  if (choice.selector == Selector::majority) selector += fmt::format(", {} of {}", choice.votes, choice.candidates);
  if (options.rule == SelectRule::verifier) selector += fmt::format(" {}", options.verifier->name());
  co_return with_choice(std::move(paths), choice.index, std::move(selector));
}

Result<std::vector<std::size_t>> ranked(const std::vector<ThoughtPath>& paths, const Verifier* verifier) {
  std::map<std::string, std::size_t> votes;
  for (const ThoughtPath& path : paths) ++votes[normal_answer(path.answer)];
  std::vector<double> scores;
  for (const ThoughtPath& path : paths) {
    if (verifier == nullptr) {
      scores.push_back(static_cast<double>(votes[normal_answer(path.answer)]));
    } else {
      PLAIT_TRY(const double score, verifier->score(path.answer));
      scores.push_back(score);
    }
  }
  std::vector<std::size_t> order(paths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    if (scores[a] != scores[b]) return scores[a] > scores[b];
    return paths[a].mean_logprob.value_or(0) > paths[b].mean_logprob.value_or(0);
  });
  return order;
}

}  // namespace plait::reasoning
