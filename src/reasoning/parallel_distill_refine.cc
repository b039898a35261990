// SPDX-License-Identifier: Apache-2.0
#include "reasoning/parallel_distill_refine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <utility>

#include "base/random.h"
#include "reasoning/aggregate.h"
#include "reasoning/option_reader.h"

namespace plait::reasoning {
namespace {

using base::Result;
using text::Json;

constexpr std::array<std::string_view, 4> kDistillers{"summary", "top-k", "per-sample-top-k", "random-k"};

/// What the next drafts begin from: one text for all, or one for each.
using Workspaces = std::vector<std::string>;

std::size_t tokens_of(const Thinking& thinking, std::string_view text) {
  return thinking.model().tokenizer->encode(text, {.add_special = false}).size();
}

/// The end of a text, from a word on, of about so many tokens at most.
std::string end_of(const Thinking& thinking, const std::string& text, std::size_t tokens) {
  const auto all = thinking.model().tokenizer->encode(text, {.add_special = false});
  if (all.size() <= tokens) return text;
  const std::vector<base::TokenId> last(all.end() - static_cast<std::ptrdiff_t>(tokens), all.end());
  const std::string end = thinking.model().tokenizer->decode(last, true);
  const std::size_t space = end.find(' ');
  return "…" + (space == std::string::npos ? end : end.substr(space));
}

/// At most so many tokens, cut behind a sentence where one ends.
std::string clip(Thinking& thinking, std::string text, std::size_t tokens) {
  if (tokens_of(thinking, text) <= tokens) return text;
  thinking.count("clipped_workspaces");
  while (!text.empty() && tokens_of(thinking, text) > tokens) {
    const std::size_t end = text.size() < 2 ? std::string::npos : text.find_last_of(".!?\n", text.size() - 2);
    text.resize(end == std::string::npos ? text.size() / 2 : end + 1);
  }
  return text;
}

class Pdr final : public Strategy {
 public:
  explicit Pdr(PdrOptions options) : options_(std::move(options)) {}

  [[nodiscard]] std::string_view name() const override { return "pdr"; }
  [[nodiscard]] Bound bound(std::size_t question, std::size_t call) const override;
  [[nodiscard]] Program<Thought> think(Thinking& thinking) const override;

 private:
  /// Calls that remain from round `round` on, the last one included.
  [[nodiscard]] std::size_t calls_from(std::size_t round) const;
  [[nodiscard]] std::size_t distiller_calls() const { return options_.distiller == Distiller::summary ? 1 : 0; }
  [[nodiscard]] Program<std::vector<ThoughtPath>> draft(Thinking& thinking, std::size_t round,
                                                        const Workspaces& workspaces) const;
  [[nodiscard]] Program<Workspaces> distil(Thinking& thinking, std::size_t round, std::vector<ThoughtPath> drafts,
                                           const Workspaces& before) const;
  [[nodiscard]] Workspaces pick(Thinking& thinking, std::size_t round, const std::vector<ThoughtPath>& drafts,
                                std::vector<std::size_t> order) const;

  PdrOptions options_;
};

std::size_t Pdr::calls_from(std::size_t round) const {
  std::size_t calls = 1;
  for (std::size_t r = round; r < options_.rounds.size(); ++r) calls += options_.rounds[r] + distiller_calls();
  return calls;
}

Bound Pdr::bound(std::size_t question, std::size_t call) const {
  const std::size_t drafts = std::accumulate(options_.rounds.begin(), options_.rounds.end(), std::size_t{0});
  const std::size_t rounds = options_.rounds.size();
  const std::size_t distilled = rounds * distiller_calls() * options_.workspace_tokens;
  const PdrBudget budget =
      pdr_budget(options_.rounds, question, 0, options_.workspace_tokens, options_.shown_tokens, distiller_calls() > 0);
  return {.calls = calls_from(0),
          .rows = *std::ranges::max_element(options_.rounds),
          .generated_tokens = (drafts + 1) * call + distilled,
          .critical_path_tokens = (rounds + 1) * call + distilled,
          .prompt_tokens = budget.total};
}

Program<Thought> Pdr::think(Thinking& thinking) const {
  Workspaces workspaces{""};
  Thought thought;
  for (std::size_t round = 0; round < options_.rounds.size(); ++round) {
    const Program<std::vector<ThoughtPath>> drafting = draft(thinking, round, workspaces);
    PLAIT_CO_TRY(std::vector<ThoughtPath> drafts, co_await drafting);
    thought.paths.insert(thought.paths.end(), drafts.begin(), drafts.end());
    if (drafts.empty()) {
      thinking.count("rounds_without_drafts");
      continue;  // with the workspace there was
    }
    const Program<Workspaces> distilling = distil(thinking, round, std::move(drafts), workspaces);
    PLAIT_CO_TRY(workspaces, co_await distilling);
  }
  PLAIT_CO_TRY(const State last, thinking.open("pdr.refine", {{"workspace", workspaces.front()}}));
  Call call{.label = "answer", .tokens = thinking.share(), .seed = thinking.seed(1000)};
  const Program<Said> answering = thinking.call(last, std::move(call));
  PLAIT_CO_TRY(const Said said, co_await answering);
  thought.answer = said.text;
  thought.selector = "last call";
  thought.paths.push_back({.label = "answer", .text = said.text, .answer = final_answer(said.text), .chosen = true});
  co_return thought;
}

/// The drafts of a round that came to something.
Program<std::vector<ThoughtPath>> Pdr::draft(Thinking& thinking, std::size_t round,
                                             const Workspaces& workspaces) const {
  const std::size_t count = options_.rounds[round];
  std::vector<State> strands;
  std::optional<std::uint64_t> prompt;
  if (workspaces.size() == 1) {  // one prefix for all, computed once
    PLAIT_CO_TRY(const State root, thinking.open("pdr.draft", {{"workspace", workspaces.front()}}));
    const Program<Said> committing = thinking.commit(root, fmt::format("round {}", round + 1));
    PLAIT_CO_TRY(const Said committed, co_await committing);
    prompt = committed.call;
    strands = root.fork(count);
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      PLAIT_CO_TRY(State strand, thinking.open("pdr.draft", {{"workspace", workspaces[i % workspaces.size()]}}));
      strands.push_back(std::move(strand));
    }
  }
  const std::size_t tokens = thinking.share(calls_from(round));
  std::vector<Program<Said>> calls;
  for (std::size_t i = 0; i < count; ++i) {
    Call call{.role = CallRole::draft,
              .label = fmt::format("draft {}.{}", round + 1, i + 1),
              .tokens = tokens,
              .seed = thinking.seed(round, i),
              .logprobs = true,
              .parent = prompt};
    calls.push_back(thinking.call(strands[i], std::move(call)));
  }
  std::vector<ThoughtPath> drafts;
  std::optional<base::Error> error;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const Result<Said> said = co_await calls[i];
    if (!said) {
      thinking.count("failed_drafts");
      error = said.error();
      continue;
    }
    drafts.push_back({.label = fmt::format("draft {}.{}", round + 1, i + 1),
                      .text = said->text,
                      .answer = final_answer(said->text),
                      .mean_logprob = said->mean_logprob});
    thinking.reach(drafts.back());
  }
  if (thinking.over()) co_return std::unexpected(error.value_or(base::Error{base::ErrorCode::interrupted, "over"}));
  co_return drafts;
}

Program<Workspaces> Pdr::distil(Thinking& thinking, std::size_t round, std::vector<ThoughtPath> drafts,
                                const Workspaces& before) const {
  if (options_.distiller != Distiller::summary) {
    PLAIT_CO_TRY(std::vector<std::size_t> order, ranked(drafts, options_.select.verifier.get()));
    co_return pick(thinking, round, drafts, std::move(order));
  }
  Json shown = Json::array();
  for (const ThoughtPath& draft : drafts) shown.push_back(end_of(thinking, draft.text, options_.shown_tokens));
  constexpr double kWordsPerToken = 0.7;
  const auto words = static_cast<std::size_t>(kWordsPerToken * static_cast<double>(options_.workspace_tokens));
  PLAIT_CO_TRY(const State strand, thinking.open("pdr.distill", {{"drafts", shown}, {"words", words}}));
  Call call{.role = CallRole::distiller,
            .label = fmt::format("digest {}", round + 1),
            .tokens = std::min(options_.workspace_tokens, thinking.share(calls_from(round + 1) + 1)),
            .seed = thinking.seed(2000 + round)};
  const Program<Said> distilling = thinking.call(strand, std::move(call));
  const Result<Said> said = co_await distilling;
  if (!said && thinking.over()) co_return std::unexpected(said.error());
  if (!said) {
    thinking.count("failed_digests");
    co_return before;
  }
  co_return Workspaces{clip(thinking, said->text, options_.workspace_tokens)};
}

/// Workspaces without a call of the model: some of the drafts. `order`: the best first.
Workspaces Pdr::pick(Thinking& thinking, std::size_t round, const std::vector<ThoughtPath>& drafts,
                     std::vector<std::size_t> order) const {
  const auto shuffled = [&](std::vector<std::size_t> indices, std::uint64_t stream) {
    for (std::size_t i = indices.size(); i > 1; --i) {
      std::swap(indices[i - 1], indices[base::random_u64(thinking.seed(3000 + round, stream), i) % i]);
    }
    return indices;
  };
  const auto workspace = [&](const std::vector<std::size_t>& indices) {
    std::string text;
    for (std::size_t i = 0; i < std::min(options_.keep, indices.size()); ++i) {
      text += fmt::format("Attempt {}:\n{}\n\n", i + 1,
                          end_of(thinking, drafts[indices[i]].text, options_.workspace_tokens / options_.keep));
    }
    return clip(thinking, std::move(text), options_.workspace_tokens);
  };
  if (options_.distiller == Distiller::random_k) return {workspace(shuffled(order, 0))};
  const bool last = round + 1 == options_.rounds.size();
  if (options_.distiller == Distiller::top_k || last) return {workspace(order)};
  order.resize(std::max((order.size() + 1) / 2, std::min(options_.keep, order.size())));
  Workspaces all;
  for (std::size_t i = 0; i < options_.rounds[round + 1]; ++i) all.push_back(workspace(shuffled(order, i)));
  return all;
}

class Refine final : public Strategy {
 public:
  explicit Refine(std::size_t rounds) : rounds_(rounds) {}

  [[nodiscard]] std::string_view name() const override { return "refine"; }
  [[nodiscard]] Bound bound(std::size_t question, std::size_t call) const override {
    return {.calls = rounds_ + 1,
            .rows = 1,
            .generated_tokens = (rounds_ + 1) * call,
            .critical_path_tokens = (rounds_ + 1) * call,
            .prompt_tokens = (rounds_ + 1) * question + rounds_ * call};
  }
  [[nodiscard]] Program<Thought> think(Thinking& thinking) const override;

 private:
  std::size_t rounds_;
};

Program<Thought> Refine::think(Thinking& thinking) const {
  Thought thought{.selector = "last call"};
  std::string draft;
  for (std::size_t round = 0; round <= rounds_; ++round) {
    PLAIT_CO_TRY(const State strand, thinking.open(round == 0 ? "" : "refine.next", {{"draft", draft}}));
    const std::string label = round == 0 ? "draft" : fmt::format("refinement {}", round);
    Call call{.role = round == 0 ? CallRole::draft : CallRole::main,
              .label = label,
              .tokens = thinking.share(rounds_ + 1 - round),
              .seed = thinking.seed(round)};
    const Program<Said> saying = thinking.call(strand, std::move(call));
    PLAIT_CO_TRY(const Said said, co_await saying);
    draft = said.text;
    thought.paths.push_back({.label = label, .text = said.text, .answer = final_answer(said.text)});
    thinking.reach(thought.paths.back());
  }
  thought.paths.back().chosen = true;
  thought.answer = draft;
  co_return thought;
}

}  // namespace

PdrBudget pdr_budget(std::span<const CallRecord> calls) {
  PdrBudget budget;
  std::map<std::string, std::size_t> longest;  // by round: "draft 3.1" is of round 3
  for (const CallRecord& call : calls) {
    if (call.generated_tokens == 0 && call.role == CallRole::main) continue;  // a prefix, which its forks count
    const std::size_t tokens = call.prompt_tokens + call.generated_tokens;
    budget.total += tokens;
    if (call.role != CallRole::draft) {
      budget.sequential += tokens;
      continue;
    }
    std::size_t& most = longest[call.label.substr(0, call.label.find('.'))];
    most = std::max(most, tokens);
  }
  for (const auto& [round, tokens] : longest) budget.sequential += tokens;
  return budget;
}

PdrBudget pdr_budget(std::span<const std::size_t> rounds, std::size_t p, std::size_t d, std::size_t c, std::size_t e,
                     bool distiller_calls) {
  const std::size_t r = rounds.size();
  const std::size_t drafts = std::accumulate(rounds.begin(), rounds.end(), std::size_t{0});
  const std::size_t distilling = distiller_calls ? r * (p + c) + drafts * e : 0;
  return {.sequential = r * p + (r - 1) * c + r * d + (p + c + d) + distilling,
          .total = drafts * (p + d) + (drafts - rounds[0]) * c + (p + c + d) + distilling};
}

std::unique_ptr<Strategy> make_pdr(PdrOptions options) { return std::make_unique<Pdr>(std::move(options)); }
std::unique_ptr<Strategy> make_refine(std::size_t rounds) { return std::make_unique<Refine>(rounds); }

StrategyEntry pdr_strategy() {
  return {.name = "pdr",
          .about = "rounds of parallel drafts, each distilled into a bounded workspace for the next",
          .options =
              "rounds=4,2 keep=2 distill=summary|top-k|per-sample-top-k|random-k workspace_tokens=512 "
              "shown_tokens=128 verifier=…",
          .make = [](const Json& json) -> Result<std::unique_ptr<Strategy>> {
            OptionReader reader(json);
            PdrOptions options;
            options.rounds = reader.list("rounds", options.rounds, 8, 1, 64);
            options.keep = reader.whole("keep", options.keep, 1, 64);
            options.distiller = static_cast<Distiller>(reader.choice("distill", kDistillers));
            options.workspace_tokens = reader.whole("workspace_tokens", options.workspace_tokens, 16, 65536);
            options.shown_tokens = reader.whole("shown_tokens", options.shown_tokens, 8, 65536);
            PLAIT_TRY(options.select, read_select(reader, "select"));
            PLAIT_TRY_VOID(reader.done());
            return make_pdr(std::move(options));
          }};
}

StrategyEntry refine_strategy() {
  return {.name = "refine",
          .about = "one answer, improved several times",
          .options = "rounds=3",
          .make = [](const Json& json) -> Result<std::unique_ptr<Strategy>> {
            OptionReader reader(json);
            const std::size_t rounds = reader.whole("rounds", 3, 1, 64);
            PLAIT_TRY_VOID(reader.done());
            return make_refine(rounds);
          }};
}

}  // namespace plait::reasoning
