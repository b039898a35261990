// SPDX-License-Identifier: Apache-2.0
#include "reasoning/thinking.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/random.h"

namespace plait::reasoning {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using engine::EndReason;
using text::Json;

/// The text of a message's content; parts that are no text are left out.
std::string text_of(const Json& message) {
  if (!message.is_object()) return {};
  const auto content = message.find("content");
  if (content == message.end()) return {};
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  if (!content->is_array()) return text;
  for (const Json& part : *content) {
    if (part.is_object() && part.contains("text") && part["text"].is_string()) text += part["text"].get<std::string>();
  }
  return text;
}

double mean(const std::vector<models::Logprobs>& logprobs) {
  double sum = 0;
  for (const auto& one : logprobs) sum += static_cast<double>(one.chosen);
  return logprobs.empty() ? 0 : sum / static_cast<double>(logprobs.size());
}

}  // namespace

std::string_view name(ThoughtEvent::Kind kind) {
  constexpr std::array<std::string_view, 4> kNames{"opened", "text", "closed", "failed"};
  return kNames[static_cast<std::size_t>(kind)];
}

Thinking::Thinking(Strands& strands, engine::Engine& engine, const base::Clock& clock, const Prompts& prompts,
                   ThinkOptions options)
    : strands_(strands), engine_(engine), clock_(clock), prompts_(prompts), options_(std::move(options)) {
  if (options_.raw) {
    question_ = *options_.raw;
  } else if (options_.messages.is_array() && !options_.messages.empty()) {
    question_ = text_of(options_.messages.back());
  }
}

Thinking::~Thinking() {
  options_.events = {};
  cancel();
  PLAIT_CHECK(!running_);
}

Value<Thought> Thinking::run(const Strategy& strategy) {
  PLAIT_CHECK(!running_ && calls_.empty());
  started_ = clock_.now();
  running_ = true;
  return conclude(strategy).value();
}

Result<void> Thinking::check(const Strategy& strategy) {
  if (question_.empty()) return fail(ErrorCode::invalid_argument, "there is no question: the last message has no text");
  const Bound bound = strategy.bound(0, options_.call_tokens);  // what is generated does not hang on the question
  budget_ = options_.tokens_max > 0 ? options_.tokens_max : bound.generated_tokens;
  if (budget_ < bound.calls) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a budget of {} tokens is less than one for each of up to {} calls of the strategy {}",
                            budget_, bound.calls, strategy.name()));
  }
  return {};
}

Program<Thought> Thinking::conclude(const Strategy& strategy) {
  Result<Thought> thought = Thought{};
  if (auto checked = check(strategy); !checked) {
    thought = std::unexpected(std::move(checked).error());
  } else {
    thought = co_await strategy.think(*this);
  }
  strands_open_.clear();
  if (!thought && over_) thought = partial();
  if (thought) {
    if (over_) thought->reason = *over_;
    thought->calls = calls_;
    for (const auto& [name, times] : counts_) thought->counts[name] += times;
  }
  running_ = false;
  co_return thought;
}

/// The last path that was reached speaks for the run.
Thought Thinking::partial() {
  Thought thought{.paths = reached_};
  if (!thought.paths.empty()) {
    thought.paths.back().chosen = true;
    thought.answer = thought.paths.back().text;
    thought.selector = "last reached";
  }
  return thought;
}

void Thinking::cancel() {
  if (!running_) return;
  end_early(EndReason::cancelled);
  const std::function<void()> end = cancel_;  // the run may set another one meanwhile
  if (end) end();
  const std::vector<State> open = strands_open_;  // the run ends meanwhile
  for (const State& strand : open) {
    if (!strand.closed()) strand.cancel();
  }
}

void Thinking::end_early(EndReason reason) {
  if (!over_) over_ = reason;
}

Result<Piece> Thinking::piece(std::string_view name, Json variables) const {
  std::string text = question_;
  if (options_.raw && name.ends_with(".start")) name = {};
  if (!name.empty()) {
    variables["question"] = question_;
    PLAIT_TRY(text, prompts_.render(name, variables));
  }
  if (options_.raw) return text_piece(*model().tokenizer, std::move(text), false);
  Json messages = options_.messages;
  if (!name.empty()) messages.back()["content"] = std::move(text);
  return chat_piece(model(), std::move(messages));
}

Result<State> Thinking::open(std::string_view name, Json variables) {
  PLAIT_TRY(Piece begin, piece(name, std::move(variables)));
  return open_piece(std::move(begin));
}

Result<State> Thinking::open_text(std::string text) {
  return open_piece(text_piece(*model().tokenizer, std::move(text), true));
}

Result<State> Thinking::open_piece(Piece piece) {
  PLAIT_TRY(State strand, strands_.create({.sequence = options_.sequence,
                                           .seed = options_.sampler.seed,
                                           .heal = false,
                                           .events = [this](const StrandEvent& event) { heard(event); }}));
  static_cast<void>(strand.append(std::move(piece)));  // an error surfaces in the first call
  strands_open_.push_back(strand);
  return strand;
}

Program<Said> Thinking::commit(State strand, std::string label) {
  if (over_) co_return fail(ErrorCode::interrupted, "the run is over");
  const std::uint64_t id = begin_call(CallRole::main, std::move(label));
  GenOptions options;
  options.generate.prompt_only = true;
  options.generate.deadline = options_.deadline;
  const Program<Capture> hearing = hear_out(std::move(strand), id, "commit", std::move(options));
  PLAIT_CO_TRY([[maybe_unused]] const Capture capture, co_await hearing);
  if (over_) co_return fail(ErrorCode::interrupted, "the run is over");
  co_return Said{.call = id};
}

Program<Capture> Thinking::hear_out(State strand, std::uint64_t call, std::string name, GenOptions options) {
  calling_[strand.id()] = call;
  const Value<Capture> value = strand.gen(std::move(name), std::move(options));
  const Result<Capture> capture = co_await value;
  calling_.erase(strand.id());
  if (capture) {
    end_call(call, capture->reason, capture->usage);
  } else {
    fail_call(call, capture.error());
  }
  co_return capture;
}

Program<Said> Thinking::call(State strand, Call call) {
  if (!over_ && call.tokens == 0) end_early(EndReason::length);
  if (over_) co_return fail(ErrorCode::interrupted, "the run is over");
  const std::uint64_t id = begin_call(call.role, call.label, call.parent);
  GenOptions options;
  options.generate.sampler = options_.sampler;
  options.generate.sampler.seed = call.seed;
  if (call.temperature) options.generate.sampler.temperature = *call.temperature;
  if (call.logprobs) options.generate.sampler.top_logprobs = 0;
  options.generate.tokens_max = call.tokens;
  options.generate.deadline = options_.deadline;
  options.seeded = true;
  options.stop = {.strings = call.stop, .include_text = call.stop_text};
  const Program<Capture> hearing = hear_out(std::move(strand), id, call.label, std::move(options));
  PLAIT_CO_TRY(const Capture capture, co_await hearing);
  Said said{.text = capture.text,
            .tokens = capture.tokens,
            .stop_string = capture.stop_string,
            .reason = capture.reason,
            .call = id};
  if (call.logprobs) said.mean_logprob = mean(capture.logprobs);
  if (over_ && !said.text.empty()) reach({.label = call.label, .text = said.text});
  if (over_) co_return fail(ErrorCode::interrupted, "the run is over");
  co_return said;
}

std::size_t Thinking::share(std::size_t calls) const {
  return std::min(options_.call_tokens, left() / std::max<std::size_t>(calls, 1));
}

std::size_t Thinking::left() const { return budget_ - std::min(budget_, sum(calls_).generated_tokens); }

std::uint64_t Thinking::seed(std::uint64_t round, std::uint64_t index) const {
  return base::child_seed(base::child_seed(options_.sampler.seed, round), index);
}

std::uint64_t Thinking::begin_call(CallRole role, std::string label, std::optional<std::uint64_t> parent) {
  calls_.push_back({.id = calls_.size() + 1,
                    .parent = parent,
                    .role = role,
                    .label = std::move(label),
                    .start = clock_.now() - started_});
  critical_before_.push_back(critical_);
  tell(ThoughtEvent::Kind::opened, calls_.size());
  return calls_.size();
}

void Thinking::tell_text(std::uint64_t call, std::string_view text) { tell(ThoughtEvent::Kind::text, call, text); }

void Thinking::end_call(std::uint64_t call, EndReason reason, const engine::Usage& usage) {
  CallRecord& row = record(call);
  row.prompt_tokens = usage.prompt_tokens;
  row.cached_tokens = usage.cached_tokens;
  row.prefilled_tokens = usage.computed_tokens;
  row.generated_tokens = usage.generated_tokens;
  row.critical_tokens = critical_before_[call - 1] + usage.generated_tokens;
  row.end = clock_.now() - started_;
  row.reason = reason;
  row.cost = usage.cost;
  row.waited_seconds = usage.waited_seconds;
  row.prompt_seconds = usage.prompt_seconds;
  row.decode_seconds = usage.decode_seconds;
  row.preemptions = usage.preemptions;
  critical_ = std::max(critical_, row.critical_tokens);
  if (reason == EndReason::deadline || reason == EndReason::cancelled) end_early(reason);
  tell(ThoughtEvent::Kind::closed, call);
}

void Thinking::fail_call(std::uint64_t call, const base::Error& error) {
  CallRecord& row = record(call);
  row.end = clock_.now() - started_;
  row.reason = EndReason::failed;
  tell(ThoughtEvent::Kind::failed, call, error.message);
}

Result<void> Thinking::close_call(std::uint64_t call, const engine::Ending& ending) {
  if (ending.reason == EndReason::failed) {
    const base::Error error = ending.error.value_or(base::Error{ErrorCode::internal, "the row failed"});
    fail_call(call, error);
    return std::unexpected(error);
  }
  end_call(call, ending.reason, ending.usage);
  if (over_) return fail(ErrorCode::interrupted, "the run is over");
  return {};
}

void Thinking::tell(ThoughtEvent::Kind kind, std::uint64_t call, std::string_view text) {
  if (options_.events) options_.events({.kind = kind, .call = &record(call), .text = text});
}

void Thinking::heard(const StrandEvent& event) {
  if (event.kind != StrandEvent::Kind::text) return;
  const auto at = calling_.find(event.strand);
  if (at != calling_.end()) tell_text(at->second, event.text);
}

}  // namespace plait::reasoning
