// SPDX-License-Identifier: Apache-2.0
#include "reasoning/aggregate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "reasoning/normal_form.h"

namespace plait::reasoning {
namespace {

/// A candidate that has an answer.
struct Entry {
  const Candidate* candidate = nullptr;
  std::string normal = {};
};

double likelihood(const Candidate& candidate) {
  return std::isnan(candidate.mean_logprob) ? -std::numeric_limits<double>::infinity() : candidate.mean_logprob;
}

bool is_better(const Candidate& a, const Candidate& b) {
  if (likelihood(a) != likelihood(b)) return likelihood(a) > likelihood(b);
  return a.index < b.index;
}

/// Those that have an answer, by index.
std::vector<Entry> entries_of(std::span<const Candidate> candidates) {
  std::vector<Entry> entries;
  for (const Candidate& candidate : candidates) {
    std::string normal = normal_answer(candidate.answer);
    if (!candidate.abstains && !normal.empty()) entries.push_back({&candidate, std::move(normal)});
  }
  std::ranges::sort(entries, {}, [](const Entry& entry) { return entry.candidate->index; });
  return entries;
}

Choice choice_of(Selector selector, std::span<const Candidate> candidates, std::span<const Entry> entries,
                 const Entry* chosen) {
  Choice choice{.selector = selector, .candidates = candidates.size()};
  choice.abstained = candidates.size() - entries.size();
  if (chosen == nullptr) return choice;
  choice.index = chosen->candidate->index;
  choice.answer = chosen->candidate->answer;
  choice.votes = static_cast<std::size_t>(std::ranges::count(entries, chosen->normal, &Entry::normal));
  return choice;
}

}  // namespace

std::string_view name(Selector selector) {
  constexpr std::array<std::string_view, 4> kNames{"majority", "likelihood", "verifier", "score"};
  return kNames[static_cast<std::size_t>(selector)];
}

Choice majority_vote(std::span<const Candidate> candidates) {
  struct Party {
    const Entry* best = nullptr;
    std::size_t votes = 0;
  };
  const std::vector<Entry> entries = entries_of(candidates);
  std::map<std::string_view, Party> parties;
  for (const Entry& entry : entries) {
    Party& party = parties[entry.normal];
    ++party.votes;
    if (party.best == nullptr || is_better(*entry.candidate, *party.best->candidate)) party.best = &entry;
  }
  Party most;
  for (const auto& [answer, party] : parties) {
    const bool tie = party.votes == most.votes && is_better(*party.best->candidate, *most.best->candidate);
    if (party.votes > most.votes || tie) most = party;
  }
  return choice_of(Selector::majority, candidates, entries, most.best);
}

Choice most_likely(std::span<const Candidate> candidates) {
  const std::vector<Entry> entries = entries_of(candidates);
  const Entry* best = nullptr;
  for (const Entry& entry : entries) {
    if (best == nullptr || is_better(*entry.candidate, *best->candidate)) best = &entry;
  }
  Choice choice = choice_of(Selector::likelihood, candidates, entries, best);
  if (best != nullptr) choice.score = best->candidate->mean_logprob;
  return choice;
}

base::Result<Choice> first_verified(std::span<const Candidate> candidates, const Verifier& verifier) {
  const std::vector<Entry> entries = entries_of(candidates);
  for (const Entry& entry : entries) {
    PLAIT_TRY(const double score, verifier.score(entry.candidate->answer));
    if (score < kVerified) continue;
    Choice choice = choice_of(Selector::verifier, candidates, entries, &entry);
    choice.score = score;
    return choice;
  }
  return choice_of(Selector::verifier, candidates, entries, nullptr);
}

base::Result<Choice> highest_score(std::span<const Candidate> candidates, const Verifier& verifier) {
  const std::vector<Entry> entries = entries_of(candidates);
  const Entry* best = nullptr;
  double highest = 0;
  for (const Entry& entry : entries) {
    PLAIT_TRY(const double score, verifier.score(entry.candidate->answer));
    const bool tie = best != nullptr && score == highest && is_better(*entry.candidate, *best->candidate);
    if (best != nullptr && score <= highest && !tie) continue;
    best = &entry;
    highest = score;
  }
  Choice choice = choice_of(Selector::score, candidates, entries, best);
  choice.score = highest;
  return choice;
}

}  // namespace plait::reasoning
