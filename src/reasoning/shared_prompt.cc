// SPDX-License-Identifier: Apache-2.0
#include "reasoning/shared_prompt.h"

#include <utility>

#include "reasoning/piece.h"

namespace plait::reasoning {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::TokenId;
using engine::SequenceId;

namespace {

/// Keeps a value when a generation has ended, and listens for its text if there is one. It may be gone afterwards.
class EndOfGeneration final : public engine::Listener {
 public:
  explicit EndOfGeneration(engine::TextAnswer* text = nullptr) : text_(text) {}
  [[nodiscard]] Value<engine::Ending> value() const { return promise_.value(); }
  bool on_token(SequenceId row, const models::Sample& sample) override {
    return text_ == nullptr || text_->on_token(row, sample);
  }
  void on_end(SequenceId row, const engine::Ending& ending) override {
    if (text_ != nullptr) text_->on_end(row, ending);
    const Promise<engine::Ending> promise = promise_;  // whoever waits may end this
    promise.keep(ending);
  }

 private:
  engine::TextAnswer* text_;
  Promise<engine::Ending> promise_;
};

/// Lets a row generate until it ends, as a call of the run. `options` have no listener yet.
Program<engine::Ending> run_row(Thinking& thinking, SequenceId row, std::uint64_t call, engine::GenerateOptions options,
                                engine::TextAnswer* text) {
  EndOfGeneration end(text);
  options.listener = &end;
  if (auto begun = thinking.engine().generate(row, options); !begun) {
    thinking.fail_call(call, begun.error());
    co_return std::unexpected(std::move(begun).error());
  }
  const Value<engine::Ending> ended = end.value();
  PLAIT_CO_TRY(const engine::Ending ending, co_await ended);
  if (auto closed = thinking.close_call(call, ending); !closed) co_return std::unexpected(std::move(closed).error());
  co_return ending;
}

}  // namespace

SharedPrompt::~SharedPrompt() {
  for (const SequenceId sequence : sequences_) thinking_.engine().close(sequence);
}

Program<SequenceId> SharedPrompt::compute(std::vector<TokenId> prompt) {
  PLAIT_CO_TRY(const SequenceId root, thinking_.engine().create(thinking_.options().sequence));
  sequences_.push_back(root);
  prompt_tokens_ = prompt.size();
  if (auto appended = thinking_.engine().append(root, prompt); !appended) {
    co_return std::unexpected(std::move(appended).error());
  }
  const Program<SequenceId> computing = compute_row(root, "prompt");
  PLAIT_CO_TRY([[maybe_unused]] const SequenceId computed, co_await computing);
  PLAIT_CO_TRY(holder_, thinking_.engine().create(thinking_.options().sequence));
  sequences_.push_back(holder_);
  if (auto joined = thinking_.engine().join(holder_, root, 0); !joined) {
    co_return std::unexpected(std::move(joined).error());
  }
  co_return holder_;
}

Program<SequenceId> SharedPrompt::compute_span(std::string text, std::vector<SequenceId> behind) {
  const auto tokens = encode_behind(*thinking_.model().tokenizer, text);
  PLAIT_CO_TRY(const SequenceId sequence, row(tokens));
  if (auto seen = thinking_.engine().watch_instead(sequence, behind); !seen) {
    co_return std::unexpected(std::move(seen).error());
  }
  const Program<SequenceId> computing = compute_row(sequence, "header");
  PLAIT_CO_TRY([[maybe_unused]] const SequenceId computed, co_await computing);
  if (auto held = hold(sequence); !held) co_return std::unexpected(std::move(held).error());
  co_return sequence;
}

/// Members of a row group are never set aside.
Result<void> SharedPrompt::hold(SequenceId sequence) {
  held_.push_back(sequence);
  return thinking_.engine().watch_instead(holder_, held_);
}

Program<SequenceId> SharedPrompt::compute_row(SequenceId sequence, std::string label) {
  if (thinking_.over()) co_return fail(ErrorCode::interrupted, "the run is over");
  engine::GenerateOptions options;
  options.prompt_only = true;
  options.deadline = thinking_.options().deadline;
  const std::uint64_t call = thinking_.begin_call(CallRole::main, std::move(label));
  const Program<engine::Ending> running = run_row(thinking_, sequence, call, std::move(options), nullptr);
  PLAIT_CO_TRY([[maybe_unused]] const engine::Ending ending, co_await running);
  co_return sequence;
}

Result<SequenceId> SharedPrompt::row(std::span<const TokenId> tokens) {
  PLAIT_TRY(const SequenceId sequence, thinking_.engine().fork(holder_));
  sequences_.push_back(sequence);
  PLAIT_TRY_VOID(thinking_.engine().watch_instead(sequence, {}));
  PLAIT_TRY_VOID(thinking_.engine().append(sequence, tokens));
  return sequence;
}

void SharedPrompt::cancel_all() {
  engine::Engine& engine = thinking_.engine();
  const std::vector<SequenceId> all = sequences_;
  for (const SequenceId sequence : all) engine.cancel(sequence);
}

engine::GenerateOptions row_options(const Thinking& thinking, std::uint64_t seed, std::size_t tokens) {
  engine::GenerateOptions options;
  options.sampler = thinking.options().sampler;
  options.sampler.seed = seed;
  options.tokens_max = tokens;
  options.deadline = thinking.options().deadline;
  return options;
}

Program<Said> say(Thinking& thinking, SequenceId row, std::string label, std::uint64_t seed, std::size_t tokens,
                  models::StopOptions stop, std::optional<double> temperature) {
  if (!thinking.over() && tokens == 0) thinking.end_early(engine::EndReason::length);
  if (thinking.over()) co_return fail(ErrorCode::interrupted, "the run is over");
  const std::uint64_t call = thinking.begin_call(CallRole::main, std::move(label));
  const auto show = [&thinking, call](std::string_view text) { thinking.tell_text(call, text); };
  auto answer = engine::TextAnswer::make(*thinking.model().tokenizer, std::move(stop), show);
  if (!answer) {
    thinking.fail_call(call, answer.error());
    co_return std::unexpected(std::move(answer).error());
  }
  engine::GenerateOptions options = row_options(thinking, seed, tokens);
  if (temperature) options.sampler.temperature = *temperature;
  options.stop = answer->stop_ids();
  const Program<engine::Ending> running = run_row(thinking, row, call, std::move(options), &*answer);
  PLAIT_CO_TRY(const engine::Ending ending, co_await running);
  co_return Said{.text = answer->text(), .tokens = answer->tokens(), .reason = ending.reason, .call = call};
}

void add_usage(engine::Usage& sum, const engine::Usage& part) {
  if (sum.prompt_tokens == 0) {
    sum.prompt_tokens = part.prompt_tokens;
    sum.cached_tokens = part.cached_tokens;
  }
  sum.computed_tokens += part.computed_tokens;
  sum.generated_tokens += part.generated_tokens;
  sum.preemptions += part.preemptions;
  sum.cost += part.cost;
}

}  // namespace plait::reasoning
