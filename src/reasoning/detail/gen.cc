// SPDX-License-Identifier: Apache-2.0
//
// A generation: perhaps one token to heal the boundary before it, then the text.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/random.h"
#include "engine/grammar_guide.h"
#include "engine/text_answer.h"
#include "reasoning/detail/guides.h"
#include "reasoning/detail/strand.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::TokenId;
using engine::EndReason;

/// The boundary's token is drawn from a stream of its own, so that the others are as without it.
constexpr std::uint64_t kBoundaryStream = ~std::uint64_t{0};

void add(engine::Usage& sum, const engine::Usage& part) {
  sum.computed_tokens += part.computed_tokens;
  sum.preemptions += part.preemptions;
  sum.cost += part.cost;
  sum.waited_seconds += part.waited_seconds;
  sum.prompt_seconds += part.prompt_seconds;
  sum.decode_seconds += part.decode_seconds;
}

/// How many of the tokens a text of so many bytes has whole, and their bytes.
std::pair<std::size_t, std::size_t> tokens_within(const models::Tokenizer& tokenizer, std::span<const TokenId> tokens,
                                                  std::size_t bytes) {
  models::Detokenizer detokenizer(tokenizer);
  std::size_t written = 0;
  std::pair<std::size_t, std::size_t> within = {0, 0};
  for (std::size_t i = 0; i < tokens.size() && written <= bytes; ++i) {
    written += detokenizer.push(tokens[i]).size();
    const bool whole = models::Detokenizer(detokenizer).flush().empty();
    if (whole && written <= bytes) within = {i + 1, written};
  }
  return within;
}

class Gen final : public Operation, private engine::Listener {
 public:
  Gen(std::string name, GenOptions options, Promise<Capture> promise)
      : name_(std::move(name)), options_(std::move(options)), promise_(std::move(promise)) {}

  void start(Strand& strand) override {
    strand_ = &strand;
    if (auto begun = begin(); !begun) {
      give_back();
      strand.fail_running(begun.error());
    }
  }
  void cancel(Strand& strand) override { strand.end_generation(); }
  void fail_with(const base::Error& error) override { promise_.keep(std::unexpected(error)); }

 private:
  Result<void> begin();
  Result<void> heal(const Boundary& boundary);
  Result<void> run();
  bool on_token(engine::SequenceId sequence, const models::Sample& sample) override;
  void on_end(engine::SequenceId sequence, const engine::Ending& ending) override;
  bool show(engine::SequenceId sequence, const models::Sample& sample);
  void healed(engine::SequenceId sequence, const engine::Ending& ending);
  void conclude(const engine::Ending& ending);
  void give_back();
  Result<void> cut_at_stop();

  std::string name_;
  GenOptions options_;
  Promise<Capture> promise_;
  Strand* strand_ = nullptr;
  std::optional<engine::TextAnswer> answer_;
  std::shared_ptr<models::MaskCache> masks_;
  std::optional<engine::GrammarGuide> guide_;
  std::optional<models::GrammarState> grammar_at_;
  // Of the boundary.
  std::optional<TokenId> boundary_;  // while it is chosen, and where it became another one
  std::size_t skipped_ = 0;          // bytes that stood there before
  std::optional<HealingGuide> healing_;
  std::optional<models::Sample> chosen_;
  std::size_t before_ = 0;  // length of the strand
  std::size_t told_ = 0;    // bytes of the text
  engine::Usage usage_ = {};
};

Result<void> Gen::begin() {
  engine::GenerateOptions& generate = options_.generate;
  before_ = strand_->length;
  if (before_ == 0) return fail(ErrorCode::invalid_argument, "the strand is empty: append something first");
  if (!options_.seeded) generate.sampler.seed = strand_->next_seed();
  PLAIT_TRY(answer_, engine::TextAnswer::make(*strand_->owner.model.tokenizer, options_.stop, {}, options_.ignore_end));
  if (options_.grammar) {
    masks_ = options_.grammar();
    const std::size_t least = masks_->tokens_to_end(masks_->start());
    if (generate.tokens_max > 0 && generate.tokens_max < least) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the shortest text of this format has {} tokens: tokens_max of {} is too few", least,
                              generate.tokens_max));
    }
  }
  const auto boundary = generate.prompt_only ? std::nullopt : strand_->boundary();
  return boundary ? heal(*boundary) : run();
}

Result<void> Gen::heal(const Boundary& boundary) {
  const bool space = strand_->owner.model.tokenizer->add_space_prefix() && boundary.bytes.starts_with(' ');
  skipped_ = boundary.bytes.size() - (space ? 1 : 0);  // which the detokenizer takes away at a beginning
  healing_.emplace(*strand_->owner.words(), boundary, masks_);
  PLAIT_TRY_VOID(strand_->owner.engine.trim(*strand_->sequence, before_ - 1));
  boundary_ = boundary.token;
  engine::GenerateOptions generate = options_.generate;
  generate.sampler.seed = base::child_seed(generate.sampler.seed, kBoundaryStream);
  generate.tokens_max = 1;
  generate.guide = &*healing_;
  generate.listener = this;
  return strand_->owner.engine.generate(*strand_->sequence, generate);
}

Result<void> Gen::run() {
  engine::GenerateOptions generate = options_.generate;
  if (generate.tokens_max > 0) generate.tokens_max -= answer_->tokens().size();
  generate.stop = answer_->stop_ids();
  generate.listener = this;
  if (masks_) {
    guide_.emplace(*masks_, generate.tokens_max, grammar_at_.value_or(masks_->start()));
    generate.guide = &*guide_;
  }
  return strand_->owner.engine.generate(*strand_->sequence, generate);
}

bool Gen::on_token(engine::SequenceId sequence, const models::Sample& sample) {
  if (healing_) {
    chosen_ = sample;
    return true;
  }
  return show(sequence, sample);
}

bool Gen::show(engine::SequenceId sequence, const models::Sample& sample) {
  const auto self = strand_->shared_from_this();
  const bool goes_on = answer_->on_token(sequence, sample);
  const std::string_view all = answer_->text();
  if (all.size() > told_) {
    const std::string_view fresh = all.substr(std::exchange(told_, all.size()));
    strand_->emit({.kind = StrandEvent::Kind::text, .name = name_, .text = fresh});
  }
  return goes_on;
}

void Gen::on_end(engine::SequenceId sequence, const engine::Ending& ending) {
  const auto strand = strand_->shared_from_this();
  if (healing_) return healed(sequence, ending);
  answer_->on_end(sequence, ending);
  conclude(ending);
}

void Gen::healed(engine::SequenceId sequence, const engine::Ending& ending) {
  add(usage_, ending.usage);
  usage_.prompt_tokens = before_;
  usage_.cached_tokens = ending.usage.cached_tokens;
  const auto finish = [&](EndReason reason) {
    answer_->on_end(sequence, {.reason = reason});
    conclude({.reason = reason, .error = ending.error});
  };
  if (ending.reason != EndReason::length || !chosen_) {
    healing_.reset();
    give_back();
    return finish(ending.reason);
  }
  if (masks_) grammar_at_ = healing_->behind(chosen_->token);
  healing_.reset();
  bool goes_on = true;
  if (chosen_->token == *boundary_) {
    boundary_.reset();
  } else {
    answer_->leave_out(skipped_);
    goes_on = show(sequence, *chosen_);
  }
  if (!goes_on) return finish(EndReason::stop);
  if (answer_->tokens().size() == options_.generate.tokens_max && options_.generate.tokens_max > 0) {
    return finish(EndReason::length);
  }
  if (auto running = run(); !running) {
    give_back();
    strand_->fail_running(running.error());
  }
}

/// Makes the strand what it was.
void Gen::give_back() {
  engine::Engine& engine = strand_->owner.engine;
  const std::size_t kept = before_ - (boundary_ ? 1 : 0);
  if (strand_->tokens().size() > kept) static_cast<void>(engine.trim(*strand_->sequence, kept));
  if (boundary_) static_cast<void>(engine.append(*strand_->sequence, std::array{*boundary_}));
  boundary_.reset();
}

/// The strand says what the capture says: tokens of the stop string go, and of one that is cut in two the beginning
/// stays as text.
Result<void> Gen::cut_at_stop() {
  const auto& tokenizer = *strand_->owner.model.tokenizer;
  const std::size_t skipped = boundary_ ? skipped_ : 0;
  const std::string& text = answer_->text();
  const auto [count, bytes] = tokens_within(tokenizer, answer_->tokens(), skipped + text.size());
  const std::size_t kept = before_ - (boundary_ ? 1 : 0) + count;
  if (count == 0 && boundary_) {
    PLAIT_TRY_VOID(strand_->replace_end(kept, std::array{*boundary_}));
    return strand_->append_text(text, false);
  }
  PLAIT_TRY_VOID(strand_->replace_end(kept, {}));
  return strand_->append_text(std::string_view(text).substr(bytes - skipped), false);
}

void Gen::conclude(const engine::Ending& ending) {
  Strand& strand = *strand_;
  add(usage_, ending.usage);
  if (usage_.prompt_tokens == 0) {
    usage_.prompt_tokens = ending.usage.prompt_tokens;
    usage_.cached_tokens = ending.usage.cached_tokens;
  }
  usage_.generated_tokens = answer_->tokens().size();
  strand.charge(usage_, usage_.generated_tokens, 0);
  strand.critical_path += usage_.generated_tokens;
  if (ending.reason == EndReason::failed) {
    give_back();
    return strand.fail_running(ending.error.value_or(base::Error{ErrorCode::internal, "the generation failed"}));
  }
  strand.settle(boundary_.has_value());
  if (answer_->stop_string()) {
    if (auto cut = cut_at_stop(); !cut) return strand.fail_running(cut.error());
  }
  Capture capture{.name = name_,
                  .text = answer_->text(),
                  .tokens = answer_->tokens(),
                  .logprobs = answer_->logprobs(),
                  .reason = ending.reason,
                  .usage = usage_};
  if (const auto which = answer_->stop_string()) capture.stop_string = options_.stop.strings[*which];
  strand.record(capture);
  strand.emit({.kind = StrandEvent::Kind::captured, .name = name_, .capture = &capture});
  const auto promise = promise_;
  strand.finish();
  promise.keep(std::move(capture));
}

}  // namespace

std::shared_ptr<Operation> gen_operation(std::string name, GenOptions options, Promise<Capture> promise) {
  return std::make_shared<Gen>(std::move(name), std::move(options), std::move(promise));
}

}  // namespace plait::reasoning
