// SPDX-License-Identifier: Apache-2.0
#include "reasoning/group_think.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "reasoning/option_reader.h"
#include "reasoning/shared_prompt.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::TokenId;
using engine::SequenceId;

constexpr std::array<std::string_view, 2> kThinkerLayouts{"slots", "last"};
constexpr std::array<std::string_view, 2> kMasks{"step", "causal"};
/// Fewer tokens of a budget are not worth a thinker.
constexpr std::size_t kBudgetLeast = 8;

/// The rows of a run.
class Group {
 public:
  Group(Thinking& thinking, SharedPrompt& prompt, std::size_t thinkers, std::size_t budget)
      : thinking_(thinking), prompt_(prompt), budget_(budget), thinkers_(thinkers) {}
  ~Group() { prompt_.cancel_all(); }  // before the listeners go
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  Result<void> begin(const GroupThinkOptions& how);
  /// There when all have ended.
  [[nodiscard]] Value<std::size_t> done() const { return done_.value(); }
  [[nodiscard]] std::vector<ThoughtPath> paths() const;
  [[nodiscard]] std::vector<SequenceId> sequences() const;

 private:
  struct Thinker final : engine::Listener {
    Group* group = nullptr;
    std::size_t index = 0;
    std::string name;
    SequenceId sequence = {};
    std::uint64_t call = 0;
    std::optional<engine::TextAnswer> text;

    bool on_token(SequenceId row, const models::Sample& sample) override { return text->on_token(row, sample); }
    void on_end(SequenceId row, const engine::Ending& ending) override {
      text->on_end(row, ending);
      group->ended(*this, ending);  // it may be gone afterwards
    }
  };
  void ended(const Thinker& thinker, const engine::Ending& ending);

  Thinking& thinking_;
  SharedPrompt& prompt_;
  std::size_t budget_;
  std::vector<Thinker> thinkers_;
  std::size_t running_ = 0;
  Promise<std::size_t> done_;
};

Result<void> Group::begin(const GroupThinkOptions& how) {
  const models::Tokenizer& tokenizer = *thinking_.model().tokenizer;
  engine::Engine& engine = thinking_.engine();
  std::vector<std::size_t> begins;
  for (Thinker& thinker : thinkers_) {
    thinker.group = this;
    thinker.index = begins.size();
    thinker.name = fmt::format("Thinker {}", thinker.index + 1);
    const auto tokens = encode_behind(tokenizer, thinker.name + ":");
    begins.push_back(tokens.size());
    PLAIT_TRY(thinker.sequence, prompt_.row(tokens));
    const auto show = [this, &thinker](std::string_view text) { thinking_.tell_text(thinker.call, text); };
    PLAIT_TRY(thinker.text, engine::TextAnswer::make(tokenizer, {}, show));
  }
  const auto slot = [&](std::size_t index) {
    return static_cast<std::ptrdiff_t>(prompt_.prompt_tokens() + index * budget_);
  };
  for (const Thinker& thinker : thinkers_) {
    std::vector<SequenceId> others;
    for (const Thinker& other : thinkers_) {
      if (&other == &thinker) continue;
      others.push_back(other.sequence);
      if (!how.slots) continue;
      PLAIT_TRY_VOID(engine.watch(thinker.sequence, other.sequence,
                                  {.other_position = slot(other.index),
                                   .own_position = slot(thinker.index),
                                   .late = !how.step_mask && other.index > thinker.index}));
    }
    if (!how.slots) PLAIT_TRY_VOID(engine.watch_instead(thinker.sequence, others));
  }
  running_ = thinkers_.size();
  for (Thinker& thinker : thinkers_) {
    thinker.call = thinking_.begin_call(CallRole::worker, thinker.name);
    auto options = row_options(thinking_, thinking_.seed(1, thinker.index), budget_ - begins[thinker.index]);
    options.stop = thinker.text->stop_ids();
    options.listener = &thinker;
    PLAIT_TRY_VOID(engine.generate(thinker.sequence, options));
  }
  return {};
}

void Group::ended(const Thinker& thinker, const engine::Ending& ending) {
  if (ending.reason == engine::EndReason::failed) thinking_.count("failed_thinkers");
  static_cast<void>(thinking_.close_call(thinker.call, ending));  // the others go on
  if (--running_ > 0) return;
  const Promise<std::size_t> done = done_;
  done.keep(thinkers_.size());
}

std::vector<ThoughtPath> Group::paths() const {
  std::vector<ThoughtPath> all;
  for (const Thinker& thinker : thinkers_) all.push_back({.label = thinker.name, .text = thinker.text->text()});
  return all;
}

std::vector<SequenceId> Group::sequences() const {
  std::vector<SequenceId> all;
  for (const Thinker& thinker : thinkers_) all.push_back(thinker.sequence);
  return all;
}

class GroupThink final : public Strategy {
 public:
  explicit GroupThink(const GroupThinkOptions& options) : options_(options) {}

  [[nodiscard]] std::string_view name() const override { return "group-think"; }
  [[nodiscard]] Bound bound(std::size_t question, std::size_t call) const override {
    const std::size_t last = options_.answer ? call : 0;
    return {.calls = options_.thinkers + (options_.answer ? 1 : 0),
            .rows = options_.thinkers,
            .generated_tokens = options_.thinkers * options_.budget + last,
            .critical_path_tokens = options_.budget + last,
            .prompt_tokens = question};
  }
  [[nodiscard]] Program<Thought> think(Thinking& thinking) const override;

 private:
  [[nodiscard]] Result<std::size_t> budget(const Thinking& thinking, std::size_t prompt) const;
  [[nodiscard]] Program<Said> answer(Thinking& thinking, SharedPrompt& prompt, const Group& group) const;

  GroupThinkOptions options_;
};

/// Tokens of each thinker: as asked for, and no more than the run's budget and the context hold.
Result<std::size_t> GroupThink::budget(const Thinking& thinking, std::size_t prompt) const {
  const std::size_t context = thinking.model().context;
  const std::size_t room = context > prompt ? (context - prompt) / options_.thinkers : 0;
  const std::size_t answer =
      options_.answer ? std::min(thinking.left() / (options_.thinkers + 1), thinking.share()) : 0;
  const std::size_t budget = std::min({options_.budget, room, (thinking.left() - answer) / options_.thinkers});
  if (budget >= kBudgetLeast) return budget;
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("{} thinkers behind a prompt of {} tokens would have {} tokens each, of a context of {} and a "
                  "budget of {}; ask for fewer thinkers or a larger budget",
                  options_.thinkers, prompt, budget, context, thinking.left()));
}

Program<Thought> GroupThink::think(Thinking& thinking) const {
  PLAIT_CO_TRY(const Piece begin, thinking.piece("group_think.start", {{"thinkers", options_.thinkers}}));
  PLAIT_CO_TRY(const std::size_t budget, this->budget(thinking, begin.tokens.size()));
  if (budget < options_.budget) thinking.count("tokens_of_each", budget);
  SharedPrompt prompt(thinking);
  thinking.on_cancel([&prompt] { prompt.cancel_all(); });
  const Program<SequenceId> computing = prompt.compute(begin.tokens);
  PLAIT_CO_TRY([[maybe_unused]] const SequenceId root, co_await computing);

  Group group(thinking, prompt, options_.thinkers, budget);
  if (auto begun = group.begin(options_); !begun) co_return std::unexpected(std::move(begun).error());
  const Value<std::size_t> ending = group.done();
  PLAIT_CO_TRY([[maybe_unused]] const std::size_t ended, co_await ending);
  Thought thought{.paths = group.paths()};
  for (const ThoughtPath& path : thought.paths) {
    if (!thought.answer.empty()) thought.answer += "\n\n";
    thought.answer += path.label + ":" + path.text;
  }
  if (thinking.over() || !options_.answer) {
    thinking.on_cancel({});
    co_return thought;
  }
  const Program<Said> answering = answer(thinking, prompt, group);
  const Result<Said> said = co_await answering;
  thinking.on_cancel({});
  if (said) {
    thought.answer = said->text;
    thought.selector = "one row that reads all";
  } else if (!thinking.over()) {
    co_return std::unexpected(said.error());
  }
  co_return thought;
}

/// A row that sees what all have computed, as each saw itself, and goes on behind it.
Program<Said> GroupThink::answer(Thinking& thinking, SharedPrompt& prompt, const Group& group) const {
  engine::Engine& engine = thinking.engine();
  PLAIT_CO_TRY(const SequenceId row, prompt.row({}));
  for (const SequenceId thinker : group.sequences()) {
    if (!engine.join(row, thinker, 0)) thinking.count("unread_parts");  // of which nothing was computed
  }
  PLAIT_CO_TRY(const std::string text,
               thinking.prompts().render("group_think.answer", {{"question", thinking.question()}}));
  const auto tokens = encode_behind(*thinking.model().tokenizer, "\n\n" + text);
  if (auto appended = engine.append(row, tokens); !appended) co_return std::unexpected(std::move(appended).error());
  const Program<Said> said = say(thinking, row, "answer", thinking.seed(2), thinking.share());
  co_return co_await said;
}

}  // namespace

std::unique_ptr<Strategy> make_group_think(const GroupThinkOptions& options) {
  return std::make_unique<GroupThink>(options);
}

StrategyEntry group_think_strategy() {
  return {.name = "group-think",
          .about = "thinkers on one question who see each other's every token",
          .options = "thinkers=4 budget=256 layout=slots|last mask=step|causal answer=true",
          .make = [](const text::Json& json) -> Result<std::unique_ptr<Strategy>> {
            OptionReader reader(json);
            GroupThinkOptions options;
            options.thinkers = reader.whole("thinkers", options.thinkers, 1, 16);
            options.budget = reader.whole("budget", options.budget, kBudgetLeast, 65536);
            options.slots = reader.choice("layout", kThinkerLayouts) == 0;
            options.step_mask = reader.choice("mask", kMasks) == 0;
            options.answer = reader.flag("answer", options.answer);
            PLAIT_TRY_VOID(reader.done());
            if (!options.slots && !options.step_mask) {
              return fail(ErrorCode::invalid_argument, "mask: `causal` needs the layout `slots`");
            }
            return make_group_think(options);
          }};
}

}  // namespace plait::reasoning
