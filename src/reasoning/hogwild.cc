// SPDX-License-Identifier: Apache-2.0
#include "reasoning/hogwild.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "reasoning/aggregate.h"
#include "reasoning/option_reader.h"
#include "reasoning/shared_prompt.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::TokenId;
using engine::EndReason;
using engine::SequenceId;

constexpr std::array<std::string_view, 3> kWorkLayouts{"combined", "contiguous", "interleaved"};
constexpr std::array<std::string_view, 8> kWorkerNames{"Alice", "Bob",   "Carol", "Dave",
                                                       "Erin",  "Frank", "Grace", "Henry"};
constexpr std::string_view kOthersHeader = "\n\n### Work in progress (others)\n\n";
constexpr std::string_view kOwnHeader = "\n\n### Work in progress (own)\n\n";

/// The workers of a run.
class Crew {
 public:
  Crew(Thinking& thinking, SharedPrompt& prompt, const HogwildOptions& options, std::size_t tokens_each)
      : thinking_(thinking), prompt_(prompt), options_(options), workers_(options.workers), tokens_each_(tokens_each) {}
  ~Crew() { prompt_.cancel_all(); }  // before the listeners go
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  Result<void> begin(SequenceId others_header, SequenceId own_header);
  /// There when all have ended: what somebody has put into a box, if anybody has.
  [[nodiscard]] Value<std::optional<std::string>> done() const { return done_.value(); }
  [[nodiscard]] const std::optional<base::Error>& error() const { return error_; }
  [[nodiscard]] std::vector<ThoughtPath> paths() const;
  /// All that was written, in an order in which a row may read it.
  [[nodiscard]] std::vector<SequenceId> all() const;

 private:
  struct Worker final : engine::Listener {
    Crew* crew = nullptr;
    std::size_t index = 0;
    SequenceId sequence = {};
    std::uint64_t call = 0;
    std::optional<engine::TextAnswer> step;  // the text of its unfinished step
    std::size_t steps = 0;
    std::size_t told = 0;
    std::size_t tokens = 0;  // of finished steps
    std::string text;        // of these, as it was told
    bool active = true;
    bool ends_step = false;
    engine::Usage usage = {};

    bool on_token(SequenceId row, const models::Sample& sample) override {
      const bool goes_on = step->on_token(row, sample);
      return crew->heard(*this) && goes_on;
    }
    void on_end(SequenceId row, const engine::Ending& ending) override {
      step->on_end(row, ending);
      crew->ended(*this, ending);  // it may be gone afterwards
    }
  };

  /// Of a row that feeds the last token of its step and is done then.
  struct Quiet final : engine::Listener {
    bool on_token(SequenceId /*row*/, const models::Sample& /*sample*/) override { return true; }
    void on_end(SequenceId /*row*/, const engine::Ending& /*ending*/) override {}
  };

  [[nodiscard]] static std::string_view name_of(const Worker& worker) { return kWorkerNames[worker.index]; }
  bool heard(Worker& worker);
  void ended(Worker& worker, const engine::Ending& ending);
  Result<void> finish_step(Worker& worker);
  Result<void> open_step(Worker& worker);
  Result<void> start_step(Worker& worker);
  [[nodiscard]] std::vector<SequenceId> seen_by(const Worker& worker) const;
  Result<void> show_all();
  void stop_others(const Worker& worker);

  Thinking& thinking_;
  SharedPrompt& prompt_;
  HogwildOptions options_;
  std::vector<Worker> workers_;
  std::size_t tokens_each_;
  SequenceId others_header_ = {};
  SequenceId own_header_ = {};
  std::vector<SequenceId> history_;
  Quiet quiet_;
  std::size_t generated_ = 0;
  std::size_t asked_at_ = 0;
  std::optional<std::string> answer_;
  std::optional<base::Error> error_;
  bool stopping_ = false;    // somebody has said that all are to end
  bool cancelling_ = false;  // they are being ended
  Promise<std::optional<std::string>> done_;
};

Result<void> Crew::begin(SequenceId others_header, SequenceId own_header) {
  others_header_ = others_header;
  own_header_ = own_header;
  for (Worker& worker : workers_) {
    worker.crew = this;
    worker.index = static_cast<std::size_t>(&worker - workers_.data());
    PLAIT_TRY_VOID(open_step(worker));
  }
  PLAIT_TRY_VOID(show_all());
  for (Worker& worker : workers_) {
    worker.call = thinking_.begin_call(CallRole::worker, std::string(name_of(worker)));
    PLAIT_TRY_VOID(start_step(worker));
  }
  return {};
}

/// A new sequence for the worker's next step, with its name in front.
Result<void> Crew::open_step(Worker& worker) {
  const models::Tokenizer& tokenizer = *thinking_.model().tokenizer;
  std::string header = fmt::format("**{} [{}]:**", name_of(worker), ++worker.steps);
  if (options_.question_every > 0 && generated_ - asked_at_ >= options_.question_every) {
    asked_at_ = generated_;
    PLAIT_TRY(const std::string question, thinking_.prompts().render("hogwild.question", {{"name", name_of(worker)}}));
    const bool fits = encode_behind(tokenizer, header + " " + question).size() <= engine::kForcedRows;
    if (fits) header += " " + question;
    thinking_.count(fits ? "redundancy_questions" : "questions_too_long");
  }
  PLAIT_TRY(worker.sequence, prompt_.row(encode_behind(tokenizer, header)));
  PLAIT_TRY(worker.step, engine::TextAnswer::make(tokenizer, {}, {}, options_.forbid_end));
  worker.told = 0;
  worker.ends_step = false;
  if (worker.steps > 1) thinking_.tell_text(worker.call, header);
  return {};
}

Result<void> Crew::start_step(Worker& worker) {
  auto options = row_options(thinking_, thinking_.seed(1 + worker.index, worker.steps), tokens_each_ - worker.tokens);
  if (options_.forbid_end) {
    constexpr double kNever = -std::numeric_limits<double>::infinity();
    for (const TokenId token : thinking_.model().tokenizer->end_of_generation()) {
      options.sampler.logit_bias.emplace_back(token, kNever);
    }
  }
  options.stop = worker.step->stop_ids();
  options.listener = &worker;
  return thinking_.engine().generate(worker.sequence, options);
}

std::vector<SequenceId> Crew::seen_by(const Worker& worker) const {
  std::vector<SequenceId> seen;
  if (options_.layout != WorkLayout::contiguous) seen = history_;
  if (options_.layout == WorkLayout::combined) seen.push_back(others_header_);
  if (options_.layout != WorkLayout::interleaved) {
    for (const Worker& other : workers_) {
      if (other.index != worker.index) seen.push_back(other.sequence);
    }
  }
  seen.push_back(own_header_);  // all see it, so all run in one step whatever the layout
  return seen;
}

Result<void> Crew::show_all() {
  for (const Worker& worker : workers_) {
    if (worker.active) PLAIT_TRY_VOID(thinking_.engine().watch_instead(worker.sequence, seen_by(worker)));
  }
  return {};
}

bool Crew::heard(Worker& worker) {
  ++generated_;
  const std::string& text = worker.step->text();
  const std::string_view fresh = std::string_view(text).substr(worker.told);
  worker.told = text.size();
  if (!fresh.empty()) thinking_.tell_text(worker.call, fresh);
  if (fresh.find('}') != std::string_view::npos && boxed(text)) {
    if (!answer_) answer_ = boxed(text);
    return false;
  }
  worker.ends_step = options_.layout != WorkLayout::contiguous && ends_step(text);
  return !worker.ends_step;
}

void Crew::ended(Worker& worker, const engine::Ending& ending) {
  add_usage(worker.usage, ending.usage);
  if (ending.reason == EndReason::failed) {
    error_ = ending.error.value_or(base::Error{ErrorCode::internal, "a worker failed"});
  }
  worker.tokens += worker.step->tokens().size();
  const bool goes_on = worker.ends_step && ending.reason == EndReason::stop && !stopping_ && !answer_ && !error_ &&
                       worker.tokens < tokens_each_;
  if (goes_on) {
    const auto next = finish_step(worker);
    if (next) return;
    error_ = next.error();
  }
  worker.active = false;
  if (error_) {
    thinking_.fail_call(worker.call, *error_);
  } else {
    const bool stopped = cancelling_ && ending.reason == EndReason::cancelled;  // somebody has the answer
    thinking_.end_call(worker.call, stopped ? EndReason::stop : ending.reason, worker.usage);
  }
  if (answer_ || error_) stop_others(worker);
  if (cancelling_) return;  // whoever ends them all goes on
  if (std::ranges::any_of(workers_, &Worker::active)) return;
  const Promise<std::optional<std::string>> done = done_;
  done.keep(answer_);
}

/// Its step becomes history, and it goes on with the next one. The step's last token is fed meanwhile.
Result<void> Crew::finish_step(Worker& worker) {
  const SequenceId finished = worker.sequence;
  worker.text += worker.step->text();
  history_.push_back(finished);
  PLAIT_TRY_VOID(open_step(worker));
  PLAIT_TRY_VOID(show_all());
  PLAIT_TRY_VOID(thinking_.engine().generate(finished, {.prompt_only = true, .listener = &quiet_}));
  return start_step(worker);
}

void Crew::stop_others(const Worker& worker) {
  if (std::exchange(stopping_, true)) return;
  cancelling_ = true;
  for (const Worker& other : workers_) {
    if (other.index != worker.index && other.active) thinking_.engine().cancel(other.sequence);
  }
  cancelling_ = false;
}

std::vector<ThoughtPath> Crew::paths() const {
  std::vector<ThoughtPath> all;
  for (const Worker& worker : workers_) {
    std::string text = worker.text + (worker.step ? worker.step->text() : "");
    std::string answer = std::string(boxed(text).value_or(""));
    all.push_back({.label = std::string(name_of(worker)), .text = std::move(text), .answer = std::move(answer)});
  }
  return all;
}

std::vector<SequenceId> Crew::all() const {
  std::vector<SequenceId> all = history_;
  for (const Worker& worker : workers_) {
    if (std::ranges::find(all, worker.sequence) == all.end()) all.push_back(worker.sequence);
  }
  return all;
}

class Hogwild final : public Strategy {
 public:
  explicit Hogwild(const HogwildOptions& options) : options_(options) {}

  [[nodiscard]] std::string_view name() const override { return "hogwild"; }
  [[nodiscard]] Bound bound(std::size_t question, std::size_t call) const override {
    return {.calls = options_.workers + 1,
            .rows = options_.workers,
            .generated_tokens = options_.workers * call + options_.answer_tokens,
            .critical_path_tokens = call + options_.answer_tokens,
            .prompt_tokens = question};
  }
  [[nodiscard]] Program<Thought> think(Thinking& thinking) const override;

 private:
  [[nodiscard]] Program<std::string> force_answer(Thinking& thinking, SharedPrompt& prompt, const Crew& crew) const;

  HogwildOptions options_;
};

Program<Thought> Hogwild::think(Thinking& thinking) const {
  text::Json names = text::Json::array();
  for (std::size_t i = 0; i < options_.workers; ++i) names.push_back(kWorkerNames[i]);
  PLAIT_CO_TRY(const Piece begin, thinking.piece("hogwild.start", {{"workers", names}}));
  SharedPrompt prompt(thinking);
  thinking.on_cancel([&prompt] { prompt.cancel_all(); });
  const Program<SequenceId> computing = prompt.compute(begin.tokens);
  PLAIT_CO_TRY([[maybe_unused]] const SequenceId root, co_await computing);
  const Program<SequenceId> others_header = prompt.compute_span(std::string(kOthersHeader), {});
  PLAIT_CO_TRY(const SequenceId others, co_await others_header);
  const bool combined = options_.layout == WorkLayout::combined;
  std::vector<SequenceId> behind;
  if (combined) behind.push_back(others);
  const Program<SequenceId> own_header = prompt.compute_span(std::string(kOwnHeader), behind);
  PLAIT_CO_TRY(const SequenceId own, co_await own_header);

  const std::size_t room = thinking.left() - std::min(thinking.left(), options_.answer_tokens);
  const std::size_t each = std::min(thinking.options().call_tokens, room / options_.workers);
  if (each == 0) co_return fail(ErrorCode::invalid_argument, "the budget leaves no token for each worker");
  Crew crew(thinking, prompt, options_, each);
  if (auto begun = crew.begin(others, own); !begun) co_return std::unexpected(std::move(begun).error());
  const Value<std::optional<std::string>> ending = crew.done();
  PLAIT_CO_TRY(const std::optional<std::string> answer, co_await ending);
  if (crew.error()) co_return std::unexpected(*crew.error());
  Thought thought{.selector = "first box", .paths = crew.paths()};
  if (answer) {
    thought.answer = *answer;
  } else if (!thinking.over()) {
    const Program<std::string> forcing = force_answer(thinking, prompt, crew);
    const Result<std::string> forced = co_await forcing;
    if (!forced && !thinking.over()) co_return std::unexpected(forced.error());
    thought.selector = "forced answer";
    thought.answer = forced.value_or("");
  }
  for (ThoughtPath& path : thought.paths) path.chosen = answer && path.answer == *answer;
  thinking.on_cancel({});
  co_return thought;
}

/// A row that sees all of it, made to begin its answer.
Program<std::string> Hogwild::force_answer(Thinking& thinking, SharedPrompt& prompt, const Crew& crew) const {
  PLAIT_CO_TRY(const std::string text, thinking.prompts().render("hogwild.answer", text::Json::object()));
  PLAIT_CO_TRY(const SequenceId row, prompt.row(encode_behind(*thinking.model().tokenizer, "\n\n" + text)));
  if (auto seen = thinking.engine().watch_instead(row, crew.all()); !seen) {
    co_return std::unexpected(std::move(seen).error());
  }
  const std::size_t most = std::min(options_.answer_tokens, thinking.left());
  models::StopOptions stop{.strings = {"}", "\n\n"}};
  const Program<Said> saying = say(thinking, row, "answer", thinking.seed(99), most, std::move(stop), 0);
  PLAIT_CO_TRY(const Said said, co_await saying);
  co_return said.text;
}

}  // namespace

std::string_view name(WorkLayout layout) { return kWorkLayouts[static_cast<std::size_t>(layout)]; }

bool ends_step(std::string_view text) {
  const std::size_t end = text.find_last_not_of(" \n");
  if (end == std::string_view::npos || std::string_view(".!?:\"')}]").find(text[end]) == std::string_view::npos) {
    return false;
  }
  return text.substr(end + 1).find("\n\n") != std::string_view::npos;
}

std::unique_ptr<Strategy> make_hogwild(const HogwildOptions& options) { return std::make_unique<Hogwild>(options); }

StrategyEntry hogwild_strategy() {
  return {.name = "hogwild",
          .about = "workers on one question who read each other's unfinished sentences",
          .options =
              "workers=2 layout=combined|contiguous|interleaved question_every=256 answer_tokens=16 "
              "forbid_end=false",
          .make = [](const text::Json& json) -> Result<std::unique_ptr<Strategy>> {
            OptionReader reader(json);
            HogwildOptions options;
            options.workers = reader.whole("workers", options.workers, 1, kWorkerNames.size());
            options.layout = static_cast<WorkLayout>(reader.choice("layout", kWorkLayouts));
            options.question_every = reader.whole("question_every", options.question_every, 0, 1'000'000);
            options.answer_tokens = reader.whole("answer_tokens", options.answer_tokens, 1, 4096);
            options.forbid_end = reader.flag("forbid_end", options.forbid_end);
            PLAIT_TRY_VOID(reader.done());
            return make_hogwild(options);
          }};
}

}  // namespace plait::reasoning
