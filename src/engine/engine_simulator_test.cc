// SPDX-License-Identifier: Apache-2.0
//
// Random events on the real engine, with a scripted model and a virtual clock, from outside and from within listeners:
// submit, fork, join, watch, trim, new turns, cancel, close, deadlines, changes of level. Memories are far too small,
// with and without host tiers that are late, out of order, too small, stuck for a while or broken; steps fail, logits
// are no numbers, masks fail or allow nothing. After each event every page is counted, and nobody lives past a
// deadline; at the end every generation, and the reason for which it ended, is compared with the script followed by
// hand. A failing seed repeats: PLAIT_SIMULATOR_SEED=N. PLAIT_SIMULATOR_EVENTS sets how many events there are in all
// (20,000; a million with PLAIT_LONG). Each kind of event and fault must have had its effect.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "testing/environment.h"
#include "testing/fake_tier.h"
#include "testing/scripted_runner.h"

namespace plait::engine {
namespace {

using base::TokenId;

constexpr std::size_t kVocabulary = 50;

/// Forbids one token, forces some, and fails at a given choice, all as its number says.
class NumberedGuide final : public Guide {
 public:
  static constexpr auto kError = base::ErrorCode::unsupported;

  explicit NumberedGuide(std::uint64_t number)
      : fails_at_(number % 3 == 0 ? 1 + number / 3 % 20 : 0),
        empty_(number % 2 == 0),
        forces_every_(2 + number % 5),
        forced_(1 + number % 70, TokenId(static_cast<std::int32_t>(number % 7))),
        mask_{~(std::uint64_t{1} << (number % kVocabulary))} {}

  base::Result<std::span<const std::uint64_t>> mask() override {
    if (++choices_ != fails_at_) return mask_;
    if (empty_) return nothing_;
    return base::fail(kError, "the guide fails as asked");
  }
  std::span<const TokenId> accept(TokenId /*token*/) override {
    return choices_ % forces_every_ == 0 ? std::span<const TokenId>(forced_) : std::span<const TokenId>();
  }

 private:
  std::uint64_t fails_at_;  ///< 0: never.
  bool empty_;              ///< It fails by allowing nothing.
  std::uint64_t forces_every_;
  std::vector<TokenId> forced_;
  std::array<std::uint64_t, 1> mask_;
  std::array<std::uint64_t, 1> nothing_ = {};
  std::uint64_t choices_ = 0;
};

/// A generation: how it was asked for, and what came of it.
struct Line {
  std::vector<TokenId> prompt;
  GenerateOptions options;
  std::optional<std::uint64_t> guide_number = {};
  std::unique_ptr<NumberedGuide> guide = {};
  bool watches = false;  ///< What it generates depends on others.
  std::vector<TokenId> got = {};
  std::optional<EndReason> reason = {};
  base::ErrorCode code = {};  ///< If it failed.
};

/// How often what was meant to happen did.
struct Effects {
  std::uint64_t ends[5] = {};  ///< [reason]
  std::uint64_t nans = 0;
  std::uint64_t empty_masks = 0;
  std::uint64_t failed_guides = 0;
  std::uint64_t failed_steps = 0;
  std::uint64_t forks = 0;
  std::uint64_t joins = 0;
  std::uint64_t watches = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t swap_ins = 0;
  std::uint64_t lost_to_io = 0;
  std::uint64_t full_tiers = 0;  ///< Slots of copies that had to go.
  std::uint64_t tokens_hit = 0;
  std::uint64_t compared = 0;  ///< Tokens.

  /// Names of those that did not; `rare`: of what takes some 100,000 events, too.
  [[nodiscard]] std::string missing(bool rare) const {
    std::string names;
    const auto need = [&](std::uint64_t count, const char* what) {
      if (count == 0) names += std::string(names.empty() ? "" : ", ") + what;
    };
    for (std::size_t reason = 0; reason < std::size(ends); ++reason) {
      need(ends[reason], name(static_cast<EndReason>(reason)).data());
    }
    need(nans, "logits that are no numbers");
    need(empty_masks, "empty masks");
    need(failed_guides, "guides that fail");
    need(failed_steps, "steps that fail");
    need(forks, "forks");
    need(joins, "joins");
    need(watches, "watches");
    need(preemptions, "preemptions");
    need(swap_ins, "swap-ins");
    need(lost_to_io, "I/O errors");
    if (rare) need(full_tiers, "full tiers");
    need(tokens_hit, "prefix hits");
    need(compared, "tokens");
    return names;
  }
};

class Simulation final : public Listener {
 public:
  Simulation(std::uint64_t seed, std::size_t events, Effects& effects)
      : seed_(seed), events_(events), effects_(effects) {
    script_.vocabulary = kVocabulary;
    script_.context = 700;
    script_.window = seed % 3 == 0 ? 0 : 16 + random(100);
    runner_ = std::make_unique<testing::ScriptedRunner>(script_, clock_);
    if (random(4) == 0) runner_->fails_on = kBadToken;
    EngineOptions options;
    const std::size_t pages = 30 + random(200);
    options.kv_bytes = pages * (runner_->layout().page_bytes(0) + runner_->layout().page_bytes(1));
    options.rows_max = 1 + random(24);
    options.cache = {.policy = kEvictionKinds[random(kEvictionKinds.size())], .seed = seed};
    options.share_prefixes = random(5) != 0;
    options.preempt_levels = random(3) == 0;
    if (random(4) != 0) add_tiers(options, pages);
    engine_ = *Engine::make(*runner_, options, clock_);
  }

  void run() {
    for (std::size_t event = 0; event < events_ && !::testing::Test::HasFailure(); ++event) {
      act();
      engine_->check_invariants();
    }
    for (std::size_t steps = 0; step(); ++steps) ASSERT_LT(steps, 1'000'000U) << "it never ends";
    for (const SequenceId id : known_) {
      engine_->close(id);
      engine_->check_invariants();
    }
    const EngineCounters counters = engine_->counters();
    EXPECT_EQ(counters.sequences, 0U);
    effects_.preemptions += counters.preemptions;
    effects_.swap_ins += counters.swap.swap_ins;
    effects_.lost_to_io += counters.swap.recomputes;
    effects_.full_tiers += counters.swap.pages_contaminated;
    effects_.tokens_hit += counters.prefixes.tokens_hit;
    engine_.reset();  // waits for the tiers
    for (const auto& tier : tiers_) {
      if (tier == nullptr) continue;
      EXPECT_EQ(tier->conflicts(), 0);
      EXPECT_EQ(tier->in_flight(), 0U);
      EXPECT_EQ(tier->space().available(), tier->slots()) << "slots are leaked";
    }
    check();
  }

  bool on_token(SequenceId id, const models::Sample& sample) override {
    Line& line = *current_.at(id);
    EXPECT_FALSE(line.reason);
    line.got.push_back(sample.token);
    if (random(60) == 0 && !known_.empty()) change();  // from within
    return random(400) != 0;
  }
  void on_end(SequenceId id, const Ending& ending) override {
    Line& line = *current_.at(id);
    EXPECT_FALSE(line.reason);
    line.reason = ending.reason;
    ++effects_.ends[static_cast<std::size_t>(ending.reason)];
    EXPECT_EQ(ending.error.has_value(), ending.reason == EndReason::failed);
    if (ending.error) line.code = ending.error->code;
    if (random(20) == 0 && !known_.empty()) cancel();
  }

 private:
  void add_tiers(EngineOptions& options, std::size_t pages) {
    const double errors = random(3) == 0 ? 0.05 : 0;
    const auto slots = static_cast<std::uint32_t>(random(2) == 0 ? 1 + random(pages / 2 + 1) : 20 * pages);
    for (std::size_t group = 0; group < kLayerGroups; ++group) {
      if (runner_->layout().page_bytes(group) == 0) continue;
      const base::Bytes bytes = runner_->layout().page_bytes(group) + 64 * random(2);
      tiers_[group] = std::make_unique<testing::FakeTier>(slots, bytes,
                                                          testing::FakeTierOptions{.seed = seed_ + group,
                                                                                   .delay_ticks_max = 1 + random(40),
                                                                                   .write_error_rate = errors,
                                                                                   .read_error_rate = errors});
      options.swap.tiers[group] = tiers_[group].get();
    }
    options.swap.choice = random(3) == 0 ? SwapChoice::cost : SwapChoice::swap;
    options.swap.wait = static_cast<SwapWait>(random(3));
    options.swap.wait_out = random(8) == 0;
    options.swap.manager.join_pages = random(4) != 0;
    options.swap.manager.reuse = random(4) != 0;
  }

  /// One step, and what holds after each.
  bool step() {
    const double before = clock_.now();
    const bool more = engine_->step();
    engine_->check_invariants();
    for (const auto& [id, line] : current_) {
      if (!line->reason && line->options.deadline) {
        EXPECT_GT(*line->options.deadline, before) << "lives past its deadline";
      }
    }
    return more;
  }

  std::uint64_t random(std::uint64_t below) { return base::random_u64(seed_, draws_++) % below; }
  SequenceId any() { return known_[random(known_.size())]; }

  std::vector<TokenId> text() {
    // Few different texts, so that prompts begin alike.
    std::vector<TokenId> tokens;
    const std::uint64_t which = random(4);
    const std::size_t length = 1 + random(150);
    for (std::size_t i = 0; i < length; ++i) {
      tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(which, i) % kVocabulary));
    }
    if (random(2) == 0) tokens.back() = TokenId(static_cast<std::int32_t>(random(kVocabulary)));
    if (random(30) != 0) std::ranges::replace(tokens, TokenId(kBadToken), TokenId(0));
    return tokens;
  }

  GenerateOptions how() {
    GenerateOptions options;
    options.tokens_max = 1 + random(60);
    options.sampler = {.temperature = random(2) == 0 ? 0.0 : 1.5, .seed = random(1000)};
    options.returns = random(2) == 0;
    options.prompt_only = random(12) == 0;
    options.listener = this;
    if (random(10) == 0) options.deadline = clock_.now() + static_cast<double>(random(100)) / 100;
    return options;
  }

  Line& add_line(std::vector<TokenId> prompt, const GenerateOptions& options) {
    lines_.push_back(std::make_unique<Line>(Line{.prompt = std::move(prompt), .options = options}));
    return *lines_.back();
  }
  /// Gives some lines a guide. What to hand to the engine.
  GenerateOptions guided(Line& line) {
    GenerateOptions options = line.options;
    if (random(6) != 0) return options;
    line.guide_number = random(1000);
    line.guide = std::make_unique<NumberedGuide>(*line.guide_number);
    options.guide = line.guide.get();
    return options;
  }

  void submit() {
    Line& line = add_line(text(), how());
    const std::size_t samples = random(6) == 0 ? 1 + random(5) : 1;
    const Request request{.options = {.client = std::string(1, static_cast<char>('a' + random(4))),
                                      .weight = 1 + static_cast<double>(random(3)),
                                      .level = static_cast<int>(random(2))},
                          .prompt = line.prompt,
                          .generate = samples == 1 ? guided(line) : line.options,  // each has its own guide
                          .samples = samples};
    const auto ids = engine_->submit(request);
    if (!ids) {
      EXPECT_EQ(ids.error().code, base::ErrorCode::out_of_resources);
      lines_.pop_back();
      return;
    }
    current_[ids->front()] = &line;
    for (std::size_t i = 1; i < ids->size(); ++i) {
      Line& other = add_line(request.prompt, request.generate);
      other.options.sampler.seed = base::child_seed(request.generate.sampler.seed, i);
      current_[(*ids)[i]] = &other;
    }
  }

  void generate(SequenceId id) {
    Line& line = add_line(engine_->tokens(id), how());
    line.watches = watching_.contains(id);
    if (engine_->generate(id, guided(line))) {
      current_[id] = &line;
    } else {
      lines_.pop_back();
    }
  }

  void fork() {
    const SequenceId parent = any();
    const SequenceId child = *engine_->fork(parent);
    if (watching_.contains(parent)) watching_.insert(child);
    ++effects_.forks;
    if (known_.size() < 12) {
      known_.push_back(child);
    } else {
      engine_->close(child);
    }
  }

  void watch() {
    const SequenceId one = any();
    const SequenceId other = any();
    Watch watch;
    if (random(2) == 0) watch = {.other_position = random(200), .own_position = random(200)};
    if (!engine_->watch(one, other, watch)) return;
    watching_.insert({one, other});
    ++effects_.watches;
  }

  /// What goes wrong outside of the engine.
  void disturb() {
    const std::uint64_t what = random(7);
    if (what == 0) {
      runner_->next_error = base::Error{kStepError, "the step fails as asked"};
      return;
    }
    for (const auto& tier : tiers_) {
      if (tier == nullptr) continue;
      if (what < 4) tier->set_delay(random(2) == 0 ? 100'000 : 1 + random(40));  // stuck, or moving again
      if (what >= 4) tier->set_error_rates(random(3) == 0 ? 1 : 0, random(3) == 0 ? 1 : 0);
    }
  }

  void act() {
    for (const auto& tier : tiers_) {
      if (tier != nullptr) tier->advance(random(6));
    }
    if (random(60) == 0) disturb();
    const std::uint64_t what = random(100);
    if (what < 70) {
      step();
    } else if (what < 80) {
      submit();
    } else if (what < 83 || known_.empty()) {
      if (known_.size() < 12) known_.push_back(*engine_->create({}));
    } else if (what < 88) {
      (void)engine_->append(any(), text());
    } else if (what < 89) {
      watch();
    } else {
      change();
    }
  }

  /// What a listener may do as well. Requires: something is known.
  void change() {
    const std::uint64_t what = random(11);
    if (what < 4) {
      generate(any());
    } else if (what < 6) {
      fork();
    } else if (what < 7) {
      const SequenceId id = any();
      (void)engine_->trim(id, random(engine_->tokens(id).size() + 2));
    } else if (what < 8) {
      effects_.joins += engine_->join(any(), any(), random(40)) ? 1 : 0;
    } else if (what < 9) {
      cancel();
    } else if (what < 10) {
      EXPECT_TRUE(engine_->set_level(any(), static_cast<int>(random(4))));
    } else {
      const std::size_t at = random(known_.size());
      engine_->close(known_[at]);
      known_.erase(known_.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  /// Of a known sequence or of any that generates.
  void cancel() {
    std::vector<SequenceId> generating;
    for (const auto& [id, line] : current_) {
      if (!line->reason) generating.push_back(id);
    }
    engine_->cancel(generating.empty() || random(2) == 0 ? any() : generating[random(generating.size())]);
  }

  void check() {
    for (const auto& line : lines_) {
      ASSERT_TRUE(line->reason);
      if (!line->watches) check(*line);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }

  /// Follows the script to where the line ended, and looks for the reason there.
  void check(const Line& line) {
    auto sampler = models::Sampler::make(line.options.sampler);
    std::optional<NumberedGuide> guide;
    if (line.guide_number) guide.emplace(*line.guide_number);
    std::vector<TokenId> tokens = line.prompt;
    std::vector<TokenId> forced;
    const auto next = [&]() -> base::Result<models::Sample> {
      std::vector<float> logits = runner_->logits(tokens);
      if (guide) {
        PLAIT_TRY(const std::span<const std::uint64_t> mask, guide->mask());
        for (std::size_t t = 0; t < logits.size(); ++t) {
          if ((mask[0] >> t & 1U) == 0) logits[t] = -std::numeric_limits<float>::infinity();
        }
      }
      if (std::ranges::find(tokens, TokenId(runner_->fails_on)) != tokens.end()) logits[0] = std::nanf("");
      return sampler->sample(logits, {.tokens = tokens, .prompt_length = line.prompt.size()});
    };
    for (const TokenId token : line.got) {
      if (!forced.empty()) {
        ASSERT_EQ(token, forced.back());
        forced.pop_back();
      } else {
        const auto sample = next();
        ASSERT_TRUE(sample) << sample.error().chain();
        ASSERT_EQ(sample->token, token) << tokens.size();
        if (guide) {
          const auto more = guide->accept(token);
          forced.assign(more.begin(), more.end());  // all the same
        }
      }
      tokens.push_back(token);
      ++effects_.compared;
    }
    if (line.reason == EndReason::length && !line.options.prompt_only) {
      ASSERT_EQ(tokens.size(), std::min(script_.context + 1, line.prompt.size() + line.options.tokens_max));
    }
    ASSERT_TRUE(line.got.empty() || !line.options.prompt_only);
    if (line.reason != EndReason::failed) return;
    const auto sample = next();
    check_failure(line, sample ? std::nullopt : std::optional(sample.error().code));
  }

  /// `code` is what the choice would have failed with at which it ended.
  void check_failure(const Line& line, std::optional<base::ErrorCode> code) {
    using enum base::ErrorCode;
    if (line.code == kStepError) {
      ++effects_.failed_steps;
    } else if (line.code == out_of_resources) {  // of pages: others kept them
    } else {
      ASSERT_EQ(line.code, code);
      effects_.failed_guides += code == NumberedGuide::kError ? 1 : 0;
      const bool saw = std::ranges::find(line.prompt, TokenId(kBadToken)) != line.prompt.end() ||
                       std::ranges::find(line.got, TokenId(kBadToken)) != line.got.end();
      if (code == invalid_data) ++(saw && runner_->fails_on == kBadToken ? effects_.nans : effects_.empty_masks);
    }
  }

  static constexpr std::int32_t kBadToken = 41;
  static constexpr auto kStepError = base::ErrorCode::internal;

  std::uint64_t seed_;
  std::size_t events_;
  Effects& effects_;
  std::uint64_t draws_ = 0;
  testing::ScriptOptions script_;
  testing::VirtualClock clock_;
  std::unique_ptr<testing::ScriptedRunner> runner_;
  std::array<std::unique_ptr<testing::FakeTier>, kLayerGroups> tiers_;
  std::vector<std::unique_ptr<Line>> lines_;
  std::map<SequenceId, Line*> current_;
  std::set<SequenceId> watching_;  ///< Members of row groups.
  std::vector<SequenceId> known_;
  std::unique_ptr<Engine> engine_;
};

TEST(EngineSimulator, RandomEventsBreakNothing) {
  constexpr std::size_t kEvents = 1000;  // of one seed
  const std::uint64_t first = testing::setting("PLAIT_SIMULATOR_SEED", 0);
  const std::uint64_t events =
      testing::setting("PLAIT_SIMULATOR_EVENTS", testing::very_long_run() ? 1'000'000 : 20'000);
  const std::uint64_t seeds = std::max<std::uint64_t>(1, events / kEvents);
  Effects effects;
  for (std::uint64_t seed = first; seed < first + seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE("PLAIT_SIMULATOR_SEED=" + std::to_string(seed));
    Simulation(seed, kEvents, effects).run();
  }
  if (seeds >= 20) {
    EXPECT_EQ(effects.missing(seeds >= 500), "");
  }
}

}  // namespace
}  // namespace plait::engine
