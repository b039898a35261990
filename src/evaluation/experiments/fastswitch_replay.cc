// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/fastswitch_replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <iterator>
#include <limits>
#include <memory>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "evaluation/experiments/forced_guide.h"
#include "evaluation/experiments/pte_replay.h"

namespace plait::evaluation {
namespace {

using base::Result;

/// The forced token would be the same in any case; what led to it might not be. Eight sums, so that it costs some
/// microseconds beside milliseconds of a step.
std::uint64_t fingerprint(std::span<const float> logits) {
  constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15ULL;
  std::array<std::uint64_t, 8> lanes = {1, 2, 3, 4, 5, 6, 7, 8};
  for (std::size_t i = 0; i < logits.size(); ++i) {
    std::uint64_t& lane = lanes[i % lanes.size()];
    lane = (lane ^ std::bit_cast<std::uint32_t>(logits[i])) * kFactor;
  }
  std::uint64_t all = 0;
  for (const std::uint64_t lane : lanes) all = base::mix64(all ^ lane);
  return all;
}

/// Remembers what the logits were.
class RecordingRunner final : public engine::Runner {
 public:
  explicit RecordingRunner(engine::Runner& runner) : runner_(runner) {}

  [[nodiscard]] const models::KvLayout& layout() const override { return runner_.layout(); }
  [[nodiscard]] std::size_t vocabulary() const override { return runner_.vocabulary(); }
  [[nodiscard]] std::size_t context() const override { return runner_.context(); }
  [[nodiscard]] Result<void> forward(std::span<const models::Rows> batch, std::span<float> logits) override {
    PLAIT_TRY_VOID(runner_.forward(batch, logits));
    for (std::size_t at = 0; at < logits.size(); at += vocabulary()) {
      choices.push_back(fingerprint(logits.subspan(at, vocabulary())));
    }
    return {};
  }
  void for_each(std::size_t count, const std::function<void(std::size_t)>& f) override { runner_.for_each(count, f); }

  std::vector<std::uint64_t> choices;

 private:
  engine::Runner& runner_;
};

/// One chat, from its arrival to its last token.
class Talker final : public engine::Listener {
 public:
  Talker(const Chat& chat, std::size_t index, const ChatReplayOptions& options, const base::Clock& clock)
      : chat_(chat), seed_(base::child_seed(options.seed, index)), clock_(clock), seconds_(unit(options)) {
    if (options.priorities) priority_.emplace(*options.priorities, base::child_seed(seed_, 0));
    due_ = clock.now() + chat.arrival * seconds_;
  }

  [[nodiscard]] bool over() const { return turn_ == chat_.turns.size(); }
  /// When the user asks next; never while an answer is coming or after the last one.
  [[nodiscard]] double due() const { return over() || asked_ ? std::numeric_limits<double>::infinity() : due_; }
  [[nodiscard]] std::size_t live_tokens() const { return over() ? 0 : tokens_; }
  [[nodiscard]] const std::optional<base::Error>& error() const { return error_; }

  Result<void> ask(engine::Engine& engine) {
    if (turn_ == 0) {
      PLAIT_TRY(sequence_, engine.create({.client = fmt::format("{:x}", seed_), .level = level_}));
    }
    const ChatTurn& turn = chat_.turns[turn_];
    const std::size_t vocabulary = vocabulary_;
    PLAIT_TRY_VOID(engine.append(sequence_, scripted_tokens(seed_of(1), turn.prompt, vocabulary)));
    guide_.emplace(scripted_tokens(seed_of(2), turn.answer, vocabulary), vocabulary);
    asked_ = true;
    told_at_.reset();
    tokens_ += turn.prompt;
    return engine.generate(
        sequence_, {.sampler = {.temperature = 0}, .tokens_max = turn.answer, .guide = &*guide_, .listener = this});
  }

  /// The next period has begun.
  Result<void> draw_priority(engine::Engine& engine) {
    if (!priority_) return {};
    level_ = priority_->next() ? 0 : 1;
    return over() || tokens_ == 0 ? Result<void>() : engine.set_level(sequence_, level_);
  }

  /// Ends a turn that is done; closes the chat after the last one.
  void settle(engine::Engine& engine) {
    if (!ended_) return;
    ended_ = asked_ = false;
    if (++turn_ == chat_.turns.size()) return engine.close(sequence_);
    due_ = clock_.now() + chat_.turns[turn_].pause * seconds_;
  }

  bool on_token(engine::SequenceId, const models::Sample&) override {
    const double now = clock_.now();
    if (told_at_) {
      gaps.push_back(now - *told_at_);
    } else {
      first_tokens.push_back(now - due_);
    }
    told_at_ = now;
    ++tokens_;
    return true;
  }
  void on_end(engine::SequenceId, const engine::Ending& ending) override {
    if (ending.error) error_ = ending.error;
    ended_ = true;
  }

  void use_vocabulary(std::size_t vocabulary) { vocabulary_ = vocabulary; }

  std::vector<double> first_tokens;
  std::vector<double> gaps;

 private:
  static double unit(const ChatReplayOptions& options) { return options.rate > 0 ? 1 / options.rate : 0; }
  [[nodiscard]] std::uint64_t seed_of(std::uint64_t what) const { return base::child_seed(seed_, 3 * turn_ + what); }

  const Chat& chat_;
  std::uint64_t seed_;
  const base::Clock& clock_;
  double seconds_;  // between two arrivals
  std::size_t vocabulary_ = 0;
  std::optional<PriorityTrace> priority_;
  int level_ = 0;
  double due_ = 0;
  std::size_t turn_ = 0;
  std::size_t tokens_ = 0;
  bool asked_ = false;
  bool ended_ = false;
  engine::SequenceId sequence_;
  std::optional<ForcedGuide> guide_;
  std::optional<double> told_at_;
  std::optional<base::Error> error_;
};

/// Means over the steps that computed something.
class StepMeans {
 public:
  void add(const engine::EngineCounters& counters, double live_tokens) {
    if (counters.steps == steps_) return;
    steps_ = counters.steps;
    ++counted_;
    live_ += live_tokens;
    waiting_ += static_cast<double>(counters.waiting);
    running_ += static_cast<double>(counters.running);
    if (counters.waiting == 0) return;
    ++crowded_;
    idle_ += static_cast<double>(counters.pages_free) / counters.pages;
  }
  void tell(ChatRun& run) const {
    const double steps = std::max(counted_, 1.0);
    run.live_tokens = live_ / steps;
    run.waiting_mean = waiting_ / steps;
    run.running_mean = running_ / steps;
    run.idle_share = idle_ / std::max(crowded_, 1.0);
  }

 private:
  std::uint64_t steps_ = 0;
  double counted_ = 0;
  double crowded_ = 0;
  double live_ = 0;
  double waiting_ = 0;
  double running_ = 0;
  double idle_ = 0;
};

/// Pages that nobody should have any more. Transfers of closed sequences may still be on their way.
std::uint64_t leaked(engine::Engine& engine, const engine::KvSwapOptions& swap) {
  constexpr int kMilliseconds = 20'000;
  std::uint64_t missing = 0;
  for (int i = 0; i < kMilliseconds; ++i) {
    engine.step();  // nothing to compute: takes note of what the tiers have done
    const engine::EngineCounters counters = engine.counters();
    missing = counters.pages - counters.pages_free;
    for (engine::HostTier* tier : swap.tiers) {
      if (tier != nullptr) missing += tier->slots() - tier->space().free_runs().free_pages();
    }
    if (missing == 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return missing;
}

}  // namespace

Result<ChatRun> replay_chats(engine::Runner& model, std::span<const Chat> chats, const ChatReplayOptions& options,
                             const base::Clock& clock) {
  PLAIT_CHECK(options.rate == 0 || options.sleep_until, options.rate);
  RecordingRunner runner(model);
  const double begin = clock.now();
  std::vector<std::unique_ptr<Talker>> talkers;  // before the engine, which they listen to
  for (std::size_t i = 0; i < chats.size(); ++i) {
    talkers.push_back(std::make_unique<Talker>(chats[i], i, options, clock));
    talkers.back()->use_vocabulary(runner.vocabulary());
  }
  PLAIT_TRY(const auto engine, engine::Engine::make(runner, options.engine, clock));
  StepMeans means;
  std::uint64_t next_draw = 0;
  while (!std::ranges::all_of(talkers, &Talker::over)) {
    double next_due = std::numeric_limits<double>::infinity();
    for (const auto& talker : talkers) {
      if (talker->due() <= clock.now()) PLAIT_TRY_VOID(talker->ask(*engine));
      next_due = std::min(next_due, talker->due());
    }
    if (!engine->busy()) {
      options.sleep_until(next_due);
      continue;
    }
    if (options.priorities && engine->counters().steps >= next_draw) {
      for (const auto& talker : talkers) PLAIT_TRY_VOID(talker->draw_priority(*engine));
      next_draw += options.period_steps;
    }
    engine->step();
    double live = 0;
    for (const auto& talker : talkers) {
      if (talker->error()) return std::unexpected(*talker->error());
      talker->settle(*engine);
      live += static_cast<double>(talker->live_tokens());
    }
    means.add(engine->counters(), live);
  }
  ChatRun run{.seconds = clock.now() - begin, .choices = std::move(runner.choices)};
  means.tell(run);
  std::ranges::sort(run.choices);
  for (std::size_t i = 0; i < chats.size(); ++i) {
    run.tokens += static_cast<double>(chats[i].tokens());
    run.first_tokens.insert(run.first_tokens.end(), talkers[i]->first_tokens.begin(), talkers[i]->first_tokens.end());
    run.gaps.insert(run.gaps.end(), talkers[i]->gaps.begin(), talkers[i]->gaps.end());
  }
  run.counters = engine->counters();
  engine->check_invariants();
  run.pages_leaked = leaked(*engine, options.engine.swap);
  return run;
}

std::size_t choices_apart(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  std::vector<std::uint64_t> apart;
  std::ranges::set_symmetric_difference(a, b, std::back_inserter(apart));
  return apart.size();
}

}  // namespace plait::evaluation
