// SPDX-License-Identifier: Apache-2.0
#include "serving/exchange.h"

#include <algorithm>

#include "base/check.h"

namespace plait::serving {
namespace {

// What the engine says, as the client is to see it.
Refusal refusal_of(const base::Error& error) {
  switch (error.code) {
    case base::ErrorCode::invalid_argument:
      return {.status = 400, .message = error.message, .code = "invalid_value"};
    case base::ErrorCode::out_of_resources:
      return {.status = 503, .message = error.message, .code = "kv_memory_exceeded"};
    default:
      return {.status = 500, .message = error.message, .code = "generation_failed"};
  }
}

}  // namespace

Exchange::Exchange(engine::Engine& engine, const Target& target, Request request, std::function<void()> done)
    : engine_(engine), tokenizer_(*target.tokenizer), request_(std::move(request)), done_(std::move(done)) {}

Exchange::~Exchange() {
  done_ = {};
  for (const auto& [sequence, choice] : sequences_) {
    if (!answers_[choice].ending()) engine_.close(sequence);
  }
}

Accepted<std::unique_ptr<Exchange>> Exchange::start(engine::Engine& engine, const Target& target, Request request,
                                                    std::function<void()> done) {
  PLAIT_CHECK(!request.prompts.empty());
  std::unique_ptr<Exchange> exchange(new Exchange(engine, target, std::move(request), std::move(done)));
  for (engine::Request& prompt : exchange->request_.prompts) PLAIT_TRY_VOID(exchange->submit(prompt));
  return exchange;
}

Accepted<void> Exchange::submit(engine::Request& prompt) {
  const std::size_t first = answers_.size();
  for (std::size_t i = 0; i < prompt.samples; ++i) {
    auto answer = engine::TextAnswer::make(tokenizer_, request_.stop, {}, request_.ignore_eos);
    if (!answer) return std::unexpected(refusal_of(answer.error()));
    answers_.push_back(*std::move(answer));
  }
  prompt.generate.stop = answers_[first].stop_ids();
  prompt.generate.listener = this;
  const auto ids = engine_.submit(prompt);
  if (!ids) {
    while (answers_.size() > first) answers_.pop_back();
    return std::unexpected(refusal_of(ids.error()));
  }
  for (std::size_t i = 0; i < ids->size(); ++i) sequences_.emplace_back((*ids)[i], first + i);
  running_ += ids->size();
  return {};
}

engine::TextAnswer& Exchange::answer_of(engine::SequenceId sequence) {
  const auto at =
      std::ranges::lower_bound(sequences_, sequence, {}, &std::pair<engine::SequenceId, std::size_t>::first);
  PLAIT_CHECK(at != sequences_.end() && at->first == sequence, sequence.value());
  return answers_[at->second];
}

bool Exchange::on_token(engine::SequenceId sequence, const models::Sample& sample) {
  return answer_of(sequence).on_token(sequence, sample);
}

void Exchange::on_end(engine::SequenceId sequence, const engine::Ending& ending) {
  answer_of(sequence).on_end(sequence, ending);
  if (--running_ == 0 && done_) done_();
}

std::size_t Exchange::generated_tokens() const {
  std::size_t tokens = 0;
  for (const engine::TextAnswer& answer : answers_) tokens += answer.tokens().size();
  return tokens;
}

Reply Exchange::reply(const ReplyHead& head) const {
  PLAIT_CHECK(done());
  std::vector<Choice> choices;
  for (const engine::TextAnswer& answer : answers_) {
    const engine::Ending& ending = *answer.ending();
    if (ending.reason != engine::EndReason::stop && ending.reason != engine::EndReason::length) {
      const Refusal refusal =
          ending.error ? refusal_of(*ending.error)
                       : Refusal{.status = 500, .message = "the generation was ended", .code = "generation_failed"};
      return {.status = refusal.status, .body = refusal_body(refusal)};
    }
    choices.push_back({.text = answer.text(),
                       .tokens = answer.tokens(),
                       .logprobs = answer.logprobs(),
                       .reason = ending.reason,
                       .usage = ending.usage});
  }
  return {.status = 200, .body = reply_body(head, request_.reply, request_.prompts, choices, tokenizer_)};
}

}  // namespace plait::serving
