// SPDX-License-Identifier: Apache-2.0
//
// Scores options by what the model thinks of them behind the strand, and keeps the best.
//
// Each option is a fork of which every token is forced, so that each has a log-probability of the whole vocabulary's
// distribution; all run side by side. The best fork's sequence becomes the strand's: nothing is computed again.
//
// Where an option and the last token of the text before it are one token together, all options are scored from that
// token on: then they are told apart by the same text.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <utility>

#include "reasoning/detail/guides.h"
#include "reasoning/detail/strand.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::TokenId;
using engine::EndReason;
using engine::SequenceId;

constexpr std::size_t kOptionsMax = 256;

/// One generation of forced tokens.
struct Forced {
  Forced(std::vector<TokenId> its_tokens, std::size_t vocabulary)
      : tokens(its_tokens), guide(std::move(its_tokens), vocabulary) {}
  std::vector<TokenId> tokens;
  ForcingGuide guide;
  SequenceId sequence = {};
  bool running = false;
  double logprob = 0;
};

class Select final : public Operation, private engine::Listener {
 public:
  Select(std::string name, std::vector<std::string> options, ScoreRule rule, Promise<Capture> promise)
      : name_(std::move(name)), options_(std::move(options)), rule_(rule), promise_(std::move(promise)) {}

  void start(Strand& strand) override {
    strand_ = &strand;
    if (auto begun = begin(); !begun) give_up(begun.error());
  }
  void cancel(Strand& strand) override {
    cancelled_ = true;
    if (computing_) return strand.end_generation();
    give_up({ErrorCode::interrupted, "it was cancelled"});
  }
  void fail_with(const base::Error& error) override { promise_.keep(std::unexpected(error)); }

 private:
  Result<void> begin();
  Result<void> encode();
  Result<void> fork();
  Result<void> force(Forced& one, SequenceId sequence);
  bool on_token(SequenceId sequence, const models::Sample& sample) override;
  void on_end(SequenceId sequence, const engine::Ending& ending) override;
  void computed(const engine::Ending& ending);
  Forced* find(SequenceId sequence);
  void close_all();
  void give_up(const base::Error& error);
  void conclude();
  [[nodiscard]] Selection score() const;

  std::string name_;
  std::vector<std::string> options_;
  ScoreRule rule_;
  Promise<Capture> promise_;
  Strand* strand_ = nullptr;
  std::size_t base_ = 0;    // tokens of the strand before those that are scored
  bool computing_ = false;  // what stands before the options
  bool cancelled_ = false;
  std::deque<Forced> forced_;  // [option], then, by the rule, each at the beginning of a text
  std::size_t running_ = 0;
  engine::Usage usage_ = {};
  std::optional<base::Error> error_;
};

Result<void> Select::begin() {
  if (options_.empty() || options_.size() > kOptionsMax) {
    return fail(ErrorCode::invalid_argument, fmt::format("options: must be 1 to {} texts", kOptionsMax));
  }
  if (std::ranges::any_of(options_, &std::string::empty)) {
    return fail(ErrorCode::invalid_argument, "options: must not be empty");
  }
  if (strand_->length == 0) return fail(ErrorCode::invalid_argument, "the strand is empty: append something first");
  if (rule_ == ScoreRule::unconditional && strand_->owner.model.tokenizer->bos() == base::kNoToken) {
    return fail(ErrorCode::invalid_argument, "the rule `unconditional` needs a model with a begin token");
  }
  PLAIT_TRY_VOID(encode());
  computing_ = true;
  return strand_->owner.engine.generate(*strand_->sequence,
                                        {.tokens_max = 1, .prompt_only = true, .patient = true, .listener = this});
}

Result<void> Select::encode() {
  const StrandModel& model = strand_->owner.model;
  const auto boundary = strand_->boundary();
  std::vector<std::vector<TokenId>> whole;  // with the boundary's token
  bool healed = false;
  for (const std::string& option : options_) {
    if (!boundary) break;
    whole.push_back(encode_behind(*model.tokenizer, std::string(boundary->bytes) + option));
    healed = healed || whole.back().empty() || whole.back().front() != boundary->token;
  }
  base_ = strand_->length - (healed ? 1 : 0);
  for (std::size_t i = 0; i < options_.size(); ++i) {
    std::vector<TokenId> tokens = boundary ? std::move(whole[i]) : encode_behind(*model.tokenizer, options_[i]);
    if (boundary && !healed) tokens.erase(tokens.begin());
    if (tokens.empty()) return fail(ErrorCode::invalid_argument, fmt::format("options[{}]: has no tokens", i));
    if (base_ + tokens.size() > model.context) {
      return fail(ErrorCode::invalid_argument, fmt::format("the strand would have {} tokens: the context holds {}",
                                                           base_ + tokens.size(), model.context));
    }
    forced_.emplace_back(std::move(tokens), model.vocabulary);
  }
  for (std::size_t i = 0; rule_ == ScoreRule::unconditional && i < options_.size(); ++i) {
    forced_.emplace_back(forced_[i].tokens, model.vocabulary);
  }
  return {};
}

Result<void> Select::force(Forced& one, SequenceId sequence) {
  one.sequence = sequence;
  PLAIT_TRY_VOID(strand_->owner.engine.generate(sequence, {.sampler = {.top_logprobs = 0},
                                                           .tokens_max = one.tokens.size(),
                                                           .patient = true,
                                                           .guide = &one.guide,
                                                           .listener = this}));
  one.running = true;
  ++running_;
  return {};
}

Result<void> Select::fork() {
  engine::Engine& engine = strand_->owner.engine;
  for (std::size_t i = 0; i < forced_.size(); ++i) {
    Forced& one = forced_[i];
    if (i < options_.size()) {
      PLAIT_TRY(one.sequence, engine.fork(*strand_->sequence));
      PLAIT_TRY_VOID(engine.trim(one.sequence, base_));
    } else {
      PLAIT_TRY(one.sequence, engine.create(strand_->tree->options.sequence));
      const TokenId begin = strand_->owner.model.tokenizer->bos();
      PLAIT_TRY_VOID(engine.append(one.sequence, std::array{begin}));
    }
    PLAIT_TRY_VOID(force(one, one.sequence));
  }
  return {};
}

Forced* Select::find(SequenceId sequence) {
  const auto at = std::ranges::find(forced_, sequence, &Forced::sequence);
  return at == forced_.end() ? nullptr : &*at;
}

bool Select::on_token(SequenceId sequence, const models::Sample& sample) {
  Forced* one = find(sequence);
  if (one != nullptr && sample.logprobs) one->logprob += static_cast<double>(sample.logprobs->chosen);
  return true;
}

void Select::on_end(SequenceId sequence, const engine::Ending& ending) {
  const auto strand = strand_->shared_from_this();
  if (computing_) return computed(ending);
  Forced* one = find(sequence);
  if (one == nullptr || !one->running) return;  // it is given up
  one->running = false;
  --running_;
  usage_.computed_tokens += ending.usage.computed_tokens;
  usage_.cost += ending.usage.cost;
  if (ending.reason != EndReason::length && !error_) {
    error_ = ending.error.value_or(base::Error{ErrorCode::interrupted, "an option was not scored to its end"});
  }
  if (running_ > 0) return;
  if (error_) return give_up(*error_);
  conclude();
}

void Select::computed(const engine::Ending& ending) {
  computing_ = false;
  usage_ = ending.usage;
  if (ending.reason != EndReason::length || cancelled_) {
    return give_up(ending.error.value_or(base::Error{ErrorCode::interrupted, "it was cancelled"}));
  }
  if (auto forked = fork(); !forked) give_up(forked.error());
}

void Select::close_all() {
  for (Forced& one : forced_) {
    one.running = false;
    if (one.sequence != SequenceId()) strand_->owner.engine.close(std::exchange(one.sequence, {}));
  }
}

void Select::give_up(const base::Error& error) {
  close_all();
  const auto promise = promise_;
  Strand& strand = *strand_;
  if (!cancelled_) return strand.fail_running(error);
  strand.finish();
  promise.keep(std::unexpected(error));
}

Selection Select::score() const {
  Selection selection{.rule = rule_};
  for (std::size_t i = 0; i < options_.size(); ++i) {
    const Forced& one = forced_[i];
    const auto count = static_cast<double>(one.tokens.size());
    double score = one.logprob;
    if (rule_ == ScoreRule::mean) score /= count;
    if (rule_ == ScoreRule::unconditional) score -= forced_[options_.size() + i].logprob;
    selection.options.push_back(
        {.text = options_[i], .tokens = one.tokens.size(), .logprob = one.logprob, .score = score});
    if (score > selection.options[selection.best].score) selection.best = i;
  }
  const double best = selection.options[selection.best].score;
  double sum = 0;
  for (ScoredOption& option : selection.options) sum += option.probability = std::exp(option.score - best);
  for (ScoredOption& option : selection.options) option.probability /= sum;
  return selection;
}

void Select::conclude() {
  Strand& strand = *strand_;
  Selection selection = score();
  Forced& best = forced_[selection.best];
  std::size_t scored = 0;
  std::size_t longest = 0;
  for (const Forced& one : forced_) {
    scored += one.tokens.size();
    longest = std::max(longest, one.tokens.size());
  }
  const SequenceId old = std::exchange(*strand.sequence, std::exchange(best.sequence, {}));
  close_all();
  strand.owner.engine.close(old);
  strand.charge(usage_, 0, scored);
  strand.critical_path += longest;
  strand.settle(true);
  Capture capture{.name = name_, .text = options_[selection.best], .tokens = best.tokens, .usage = usage_};
  capture.selection = std::move(selection);
  strand.record(capture);
  strand.emit({.kind = StrandEvent::Kind::captured, .name = name_, .capture = &capture});
  const auto promise = promise_;
  strand.finish();
  promise.keep(std::move(capture));
}

}  // namespace

std::shared_ptr<Operation> select_operation(std::string name, std::vector<std::string> options, ScoreRule rule,
                                            Promise<Capture> promise) {
  return std::make_shared<Select>(std::move(name), std::move(options), rule, std::move(promise));
}

}  // namespace plait::reasoning
