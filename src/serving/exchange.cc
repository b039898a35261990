// SPDX-License-Identifier: Apache-2.0
#include "serving/exchange.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/random.h"
#include "serving/embedding_reply.h"

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

std::optional<Refusal> refusal_of(const engine::Ending& ending) {
  if (ending.reason == engine::EndReason::stop || ending.reason == engine::EndReason::length) return std::nullopt;
  if (ending.error) return refusal_of(*ending.error);
  return Refusal{.status = 500, .message = "the generation was ended", .code = "generation_failed"};
}

Exchange::Exchange(engine::Engine& engine, const Target& target, Request request, ExchangeEvents events)
    : engine_(engine), tokenizer_(*target.tokenizer), request_(std::move(request)), events_(std::move(events)) {}

Exchange::~Exchange() {
  events_ = {};
  for (const auto& [sequence, choice] : sequences_) {
    if (!choices_[choice].answer.ending()) engine_.close(sequence);
  }
}

Accepted<std::unique_ptr<Exchange>> Exchange::start(engine::Engine& engine, const Target& target, Request request,
                                                    ExchangeEvents events) {
  PLAIT_CHECK(!request.prompts.empty());
  std::unique_ptr<Exchange> exchange(new Exchange(engine, target, std::move(request), std::move(events)));
  for (engine::Request& prompt : exchange->request_.prompts) PLAIT_TRY_VOID(exchange->submit(prompt));
  return exchange;
}

Accepted<void> Exchange::submit(engine::Request& prompt) {
  const std::size_t first = choices_.size();
  for (std::size_t i = 0; i < prompt.samples; ++i) {
    auto answer = engine::TextAnswer::make(tokenizer_, request_.stop, {}, request_.ignore_eos);
    if (!answer) return std::unexpected(refusal_of(answer.error()));
    choices_.push_back({.answer = *std::move(answer)});
  }
  prompt.generate.stop = choices_[first].answer.stop_ids();
  prompt.generate.listener = this;
  if (request_.grammar) return submit_guided(prompt, first);
  const auto ids = engine_.submit(prompt);
  if (!ids) {
    while (choices_.size() > first) choices_.pop_back();
    return std::unexpected(refusal_of(ids.error()));
  }
  for (std::size_t i = 0; i < ids->size(); ++i) sequences_.emplace_back((*ids)[i], first + i);
  running_ += ids->size();
  return {};
}

// A guide is for one generation, so each sample is submitted by itself, with the seed that it would have had.
Accepted<void> Exchange::submit_guided(const engine::Request& prompt, std::size_t first) {
  if (!masks_) masks_ = request_.grammar->masks();
  const std::size_t tokens_max = prompt.generate.tokens_max;
  const std::size_t least = masks_->tokens_to_end(masks_->start());
  if (tokens_max < least) {
    while (choices_.size() > first) choices_.pop_back();
    return std::unexpected(Refusal{
        .message = fmt::format("the shortest answer in this format has {} tokens: {} are too few", least, tokens_max),
        .param = "max_tokens",
        .code = "invalid_value"});
  }
  for (std::size_t i = 0; i < prompt.samples; ++i) {
    engine::Request one = prompt;
    one.samples = 1;
    if (i > 0) one.generate.sampler.seed = base::child_seed(prompt.generate.sampler.seed, i);
    one.generate.guide = &guides_.emplace_back(*masks_, tokens_max);
    const auto id = engine_.submit(one);
    if (!id) {
      while (choices_.size() > first + i) choices_.pop_back();
      return std::unexpected(refusal_of(id.error()));
    }
    sequences_.emplace_back(id->front(), first + i);
    ++running_;
  }
  return {};
}

std::size_t Exchange::choice_of(engine::SequenceId sequence) const {
  const auto at =
      std::ranges::lower_bound(sequences_, sequence, {}, &std::pair<engine::SequenceId, std::size_t>::first);
  PLAIT_CHECK(at != sequences_.end() && at->first == sequence, sequence.value());
  return at->second;
}

void Exchange::tell(std::size_t choice) {
  Told& told = choices_[choice];
  const engine::TextAnswer& answer = told.answer;
  const bool over = answer.ending().has_value();
  if (!events_.part || (!over && answer.text().size() == told.text)) return;
  const std::size_t first = std::min(told.tokens, answer.logprobs().size());
  const PromptPart prompt = std::exchange(told.prompt, true) ? PromptPart{} : prompt_part(choice);
  const ChoicePart part{.choice = choice,
                        .text = std::string_view(answer.text()).substr(told.text),
                        .tokens = std::span(answer.tokens()).subspan(told.tokens),
                        .logprobs = std::span(answer.logprobs()).subspan(first),
                        .prompt = prompt,
                        .ending = over ? &*answer.ending() : nullptr};
  told.text = answer.text().size();
  told.tokens = answer.tokens().size();
  events_.part(part);
}

bool Exchange::on_token(engine::SequenceId sequence, const models::Sample& sample) {
  const std::size_t choice = choice_of(sequence);
  const bool goes_on = choices_[choice].answer.on_token(sequence, sample);
  tell(choice);
  return goes_on;
}

void Exchange::on_prompt_logprobs(engine::SequenceId sequence, std::size_t /*index*/,
                                  const models::Logprobs& logprobs) {
  choices_[choice_of(sequence)].prompt_logprobs.push_back(logprobs);
}

void Exchange::on_pooled(engine::SequenceId sequence, std::span<const float> pooled) {
  choices_[choice_of(sequence)].pooled.assign(pooled.begin(), pooled.end());
}

// The engine tells the first of several samples, unless each was submitted by itself.
PromptPart Exchange::prompt_part(std::size_t choice) const {
  const std::size_t samples = request_.prompts.front().samples;
  const engine::Request& prompt = request_.prompts[choice / samples];
  if (!prompt.generate.prompt_logprobs) return {};
  const std::size_t told = request_.grammar ? choice : choice - choice % samples;
  return {.tokens = prompt.prompt, .logprobs = choices_[told].prompt_logprobs};
}

void Exchange::on_end(engine::SequenceId sequence, const engine::Ending& ending) {
  const std::size_t choice = choice_of(sequence);
  choices_[choice].answer.on_end(sequence, ending);
  tell(choice);
  if (--running_ == 0 && events_.done) events_.done();
}

std::size_t Exchange::generated_tokens() const {
  std::size_t tokens = 0;
  for (const Told& choice : choices_) tokens += choice.answer.tokens().size();
  return tokens;
}

std::vector<Choice> Exchange::choices() const {
  PLAIT_CHECK(done());
  std::vector<Choice> choices;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const engine::TextAnswer& answer = choices_[i].answer;
    choices.push_back({.text = answer.text(),
                       .tokens = answer.tokens(),
                       .logprobs = answer.logprobs(),
                       .prompt = prompt_part(i),
                       .reason = answer.ending()->reason,
                       .usage = answer.ending()->usage});
  }
  return choices;
}

text::Json Exchange::usage() const { return usage_body(choices(), choices_.size() / request_.prompts.size()); }

std::optional<Refusal> Exchange::refusal() const {
  PLAIT_CHECK(done());
  for (const Told& told : choices_) {
    if (auto refusal = refusal_of(*told.answer.ending())) return refusal;
  }
  return std::nullopt;
}

std::optional<std::string> Exchange::stop_string(std::size_t choice) const {
  const auto which = choices_[choice].answer.stop_string();
  return which ? std::optional(request_.stop.strings[*which]) : std::nullopt;
}

Reply Exchange::reply(const ReplyHead& head) const {
  const std::vector<Choice> answers = choices();
  if (const auto failed = refusal()) return {.status = failed->status, .body = refusal_body(*failed)};
  if (request_.reply.endpoint == Endpoint::embeddings) {
    std::vector<std::span<const float>> pooled;
    for (const Told& told : choices_) pooled.emplace_back(told.pooled);
    return {.status = 200, .body = embeddings_body(head, request_.reply.embedding, pooled, answers)};
  }
  return {.status = 200, .body = reply_body(head, request_.reply, request_.prompts, answers, tokenizer_)};
}

}  // namespace plait::serving
