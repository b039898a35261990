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
  EndOfGeneration end;
  engine::GenerateOptions options;
  options.prompt_only = true;
  options.deadline = thinking_.options().deadline;
  options.listener = &end;
  const std::uint64_t call = thinking_.begin_call(CallRole::main, std::move(label));
  if (auto begun = thinking_.engine().generate(sequence, options); !begun) {
    thinking_.fail_call(call, begun.error());
    co_return std::unexpected(std::move(begun).error());
  }
  const Value<engine::Ending> ended = end.value();
  PLAIT_CO_TRY(const engine::Ending ending, co_await ended);
  if (ending.reason == engine::EndReason::failed) {
    const base::Error error = ending.error.value_or(base::Error{ErrorCode::internal, "the prompt failed"});
    thinking_.fail_call(call, error);
    co_return std::unexpected(error);
  }
  thinking_.end_call(call, ending.reason, ending.usage);
  if (thinking_.over()) co_return fail(ErrorCode::interrupted, "the run is over");
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

namespace {

/// A row's text, told as it comes.
class RowText final : public engine::Listener {
 public:
  RowText(Thinking& thinking, engine::TextAnswer text, std::uint64_t call)
      : thinking_(thinking), text_(std::move(text)), call_(call) {}

  bool on_token(SequenceId row, const models::Sample& sample) override {
    const bool goes_on = text_.on_token(row, sample);
    tell();
    return goes_on;
  }
  void on_end(SequenceId row, const engine::Ending& ending) override {
    text_.on_end(row, ending);
    tell();
    const Promise<engine::Ending> promise = ended_;
    promise.keep(ending);  // it may be gone afterwards
  }
  [[nodiscard]] Value<engine::Ending> ended() const { return ended_.value(); }
  [[nodiscard]] const engine::TextAnswer& text() const { return text_; }

 private:
  void tell() {
    const std::string_view fresh = std::string_view(text_.text()).substr(told_);
    told_ = text_.text().size();
    if (!fresh.empty()) thinking_.tell_text(call_, fresh);
  }

  Thinking& thinking_;
  engine::TextAnswer text_;
  std::uint64_t call_;
  std::size_t told_ = 0;
  Promise<engine::Ending> ended_;
};

}  // namespace

Program<Said> say(Thinking& thinking, SequenceId row, std::string label, std::uint64_t seed, std::size_t tokens,
                  models::StopOptions stop, std::optional<double> temperature) {
  if (!thinking.over() && tokens == 0) thinking.end_early(engine::EndReason::length);
  if (thinking.over()) co_return fail(ErrorCode::interrupted, "the run is over");
  PLAIT_CO_TRY(engine::TextAnswer answer, engine::TextAnswer::make(*thinking.model().tokenizer, std::move(stop), {}));
  const std::uint64_t call = thinking.begin_call(CallRole::main, std::move(label));
  engine::GenerateOptions options = row_options(thinking, seed, tokens);
  if (temperature) options.sampler.temperature = *temperature;
  options.stop = answer.stop_ids();
  RowText text(thinking, std::move(answer), call);
  options.listener = &text;
  if (auto begun = thinking.engine().generate(row, options); !begun) {
    thinking.fail_call(call, begun.error());
    co_return std::unexpected(std::move(begun).error());
  }
  const Value<engine::Ending> ended = text.ended();
  PLAIT_CO_TRY(const engine::Ending ending, co_await ended);
  if (ending.reason == engine::EndReason::failed) {
    const base::Error error = ending.error.value_or(base::Error{ErrorCode::internal, "the row failed"});
    thinking.fail_call(call, error);
    co_return std::unexpected(error);
  }
  thinking.end_call(call, ending.reason, ending.usage);
  Said said{.text = text.text().text(), .tokens = text.text().tokens(), .reason = ending.reason, .call = call};
  if (thinking.over()) co_return fail(ErrorCode::interrupted, "the run is over");
  co_return said;
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
