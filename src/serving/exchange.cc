// SPDX-License-Identifier: Apache-2.0
#include "serving/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/random.h"
#include "serving/embedding_reply.h"

namespace plait::serving {

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

void Exchange::cancel() {
  events_ = {};
  for (const auto& [sequence, choice] : sequences_) {
    if (!choices_[choice].answer.ending()) engine_.cancel(sequence);
  }
}

Accepted<std::unique_ptr<Exchange>> Exchange::start(engine::Engine& engine, const Target& target, Request request,
                                                    ExchangeEvents events) {
  if (request.thought) return not_supported("plait.strategy", "is for /v1/chat/completions, not for files of requests");
  PLAIT_CHECK(!request.prompts.empty());
  std::unique_ptr<Exchange> exchange(new Exchange(engine, target, std::move(request), std::move(events)));
  for (engine::Request& prompt : exchange->request_.prompts) PLAIT_TRY_VOID(exchange->submit(prompt));
  return exchange;
}

/// The ids of a choice's calls differ between choices and between turns of a conversation, and repeat with the seed.
std::uint64_t Exchange::id_seed(const engine::Request& prompt, std::size_t sample) {
  std::uint64_t hash = prompt.generate.sampler.seed;
  for (const base::TokenId token : prompt.prompt) {
    hash = base::mix64(hash ^ static_cast<std::uint32_t>(token.value())) + 1;
  }
  return base::child_seed(hash, sample);
}

Accepted<void> Exchange::submit(engine::Request& prompt) {
  const std::size_t first = choices_.size();
  const bool plain = request_.syntax.is_plain();
  for (std::size_t i = 0; i < prompt.samples; ++i) {
    auto marks = plain ? std::vector<base::TokenId>() : models::answer_marks(tokenizer_);
    auto answer = engine::TextAnswer::make(tokenizer_, request_.stop, {}, request_.ignore_eos, std::move(marks));
    if (!answer) return std::unexpected(refusal_of(answer.error()));
    Told& told = choices_.emplace_back(Told{.answer = *std::move(answer), .syntax = request_.syntax});
    told.syntax.id_seed = id_seed(prompt, i);
    if (!plain) told.parser.emplace(told.syntax);
  }
  prompt.generate.stop = choices_[first].answer.stop_ids();
  prompt.generate.listener = this;
  if (is_guided()) return submit_guided(prompt, first);
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
  if (!masks_ && request_.grammar) masks_ = request_.grammar->masks();
  const models::TokenMaskTable& table = request_.table ? *request_.table : masks_->table();
  const std::size_t tokens_max = prompt.generate.tokens_max;
  for (std::size_t i = 0; i < prompt.samples; ++i) {
    engine::Request one = prompt;
    one.samples = 1;
    if (i > 0) one.generate.sampler.seed = base::child_seed(prompt.generate.sampler.seed, i);
    engine::AnswerGuide& guide = guides_.emplace_back(table, masks_.get(), request_.guide, tokens_max);
    const auto refuse = [&](Refusal refusal) {
      while (choices_.size() > first + i) choices_.pop_back();
      return std::unexpected(std::move(refusal));
    };
    if (const std::size_t least = guide.tokens_min(); tokens_max < least) {
      return refuse({.message = fmt::format("the shortest answer in this format has {} tokens: {} are too few", least,
                                            tokens_max),
                     .param = "max_tokens",
                     .code = "invalid_value"});
    }
    one.generate.guide = &guide;
    const auto id = engine_.submit(one);
    if (!id) return refuse(refusal_of(id.error()));
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
  const std::string_view text = std::string_view(answer.text()).substr(told.text);
  if (!events_.part || (!over && text.empty())) return;
  told.text = answer.text().size();
  std::vector<models::AnswerEvent> events;
  if (told.parser) {
    events = told.parser->push(text);
    if (over) std::ranges::move(told.parser->finish(), std::back_inserter(events));
    if (!over && events.empty()) return;
  } else if (!text.empty()) {
    events.push_back({.text = std::string(text)});
  }
  const std::size_t first = std::min(told.tokens, answer.logprobs().size());
  const PromptPart prompt = std::exchange(told.prompt, true) ? PromptPart{} : prompt_part(choice);
  const ChoicePart part{.choice = choice,
                        .text = text,
                        .events = events,
                        .tokens = std::span(answer.tokens()).subspan(told.tokens),
                        .logprobs = std::span(answer.logprobs()).subspan(first),
                        .prompt = prompt,
                        .ending = over ? &*answer.ending() : nullptr};
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

models::Answer Exchange::answer(std::size_t choice) const {
  return models::read_answer(choices_[choice].answer.text(), choices_[choice].syntax);
}

std::vector<models::AnswerEvent> Exchange::events(std::size_t choice) const {
  models::AnswerParser parser(choices_[choice].syntax);
  std::vector<models::AnswerEvent> events = parser.push(choices_[choice].answer.text());
  std::ranges::move(parser.finish(), std::back_inserter(events));
  return events;
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
    choices.push_back({.tokens = answer.tokens(),
                       .logprobs = answer.logprobs(),
                       .prompt = prompt_part(i),
                       .reason = answer.ending()->reason,
                       .usage = answer.ending()->usage});
  }
  return choices;
}

text::Json Exchange::usage() const { return usage_body(choices(), choices_.size() / request_.prompts.size()); }

UsageNumbers Exchange::usage_numbers() const {
  return serving::usage_numbers(choices(), choices_.size() / request_.prompts.size());
}

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
  std::vector<Choice> answers = choices();
  if (const auto failed = refusal()) return {.status = failed->status, .body = refusal_body(*failed)};
  if (request_.reply.endpoint == Endpoint::embeddings) {
    std::vector<std::span<const float>> pooled;
    for (const Told& told : choices_) pooled.emplace_back(told.pooled);
    return {.status = 200, .body = embeddings_body(head, request_.reply.embedding, pooled, answers)};
  }
  for (std::size_t i = 0; i < answers.size(); ++i) answers[i].answer = answer(i);
  return {.status = 200, .body = reply_body(head, request_.reply, request_.prompts, answers, tokenizer_)};
}

}  // namespace plait::serving
