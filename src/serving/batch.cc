// SPDX-License-Identifier: Apache-2.0
#include "serving/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace plait::serving {
namespace {

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

std::int64_t seconds_since_1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

ReplyHead head_of(const Target& target, Endpoint endpoint, std::string_view custom_id) {
  const char* kind = endpoint == Endpoint::completions ? "cmpl" : "chatcmpl";
  return {.id = fmt::format("{}-{:016x}", kind, batch_seed(custom_id)),
          .created = seconds_since_1970(),
          .model = target.model};
}

}  // namespace

void EngineAnswers::start(std::size_t order, Request request) {
  auto exchange =
      Exchange::start(engine_, target_, std::move(request), {.done = [this, order] { done_.push_back(order); }});
  if (exchange) {
    running_.emplace(order, *std::move(exchange));
  } else {
    refused_.push_back({.order = order, .refusal = exchange.error()});
  }
}

std::vector<BatchAnswers::Answer> EngineAnswers::advance() {
  if (!running_.empty()) engine_.step();
  std::vector<Answer> answers = std::exchange(refused_, {});
  for (const std::size_t order : std::exchange(done_, {})) {
    answers.push_back({.order = order, .exchange = std::move(running_.extract(order).mapped())});
  }
  return answers;
}

Batch::Batch(BatchAnswers& answers, const Target& target, store::ResultFile& results, const BatchDone& done,
             BatchOptions options, const base::Clock& clock)
    : answers_(answers),
      target_(target),
      results_(results),
      done_(done),
      options_(std::move(options)),
      clock_(clock),
      committed_at_(clock.now()) {}

Batch::~Batch() = default;

base::Result<BatchCounts> Batch::run(const NextLine& next, const Watch& watch) {
  while (true) {
    PLAIT_TRY_VOID(fill(next));
    if (!flights_.empty()) PLAIT_TRY_VOID(land(answers_.advance()));
    PLAIT_TRY_VOID(commit(false));
    if (!watch(counts_)) counts_.ended_early = true;
    if (counts_.ended_early || (input_over_ && flights_.empty())) break;
  }
  flights_.clear();
  PLAIT_TRY_VOID(commit(true));
  return counts_;
}

bool Batch::has_room() const {
  if (options_.ordered && next_order_ - next_written_ >= options_.ahead_max) return false;
  return answers_.has_room(generations_);
}

/// Begins requests until there are enough of them. Long stretches of input that need no work are cut, so that the
/// caller's watch is asked.
base::Result<void> Batch::fill(const NextLine& next) {
  constexpr std::size_t kLinesAtOnce = 1024;
  for (std::size_t i = 0; i < kLinesAtOnce && !input_over_ && has_room(); ++i) {
    PLAIT_TRY(auto line, next());
    if (!line) {
      input_over_ = true;
      break;
    }
    ++number_;
    if (!is_blank(*line)) PLAIT_TRY_VOID(take(*std::move(line)));
  }
  return {};
}

/// One line of the input.
base::Result<void> Batch::take(std::string text) {
  ++counts_.lines;
  auto line = text.size() > kBatchLineBytesMax
                  ? std::unexpected(fmt::format("longer than {} bytes", kBatchLineBytesMax))
                  : read_batch_line(text);
  const auto fault = [&](std::string_view custom_id, LineFault kind, std::string message) -> base::Result<void> {
    if (done_.has_fault(number_)) {
      ++counts_.skipped;
      return {};
    }
    ++counts_.failed;
    return write(next_order_++, batch_fault(number_, custom_id, kind, std::move(message)));
  };
  if (!line) return fault({}, LineFault::invalid_line, std::move(line).error());
  const auto [first, is_new] = seen_.emplace(line->custom_id, number_);
  if (!is_new) {
    return fault(line->custom_id, LineFault::duplicate_custom_id,
                 fmt::format("line {} has the same custom_id", first->second));
  }
  if (done_.has_request(line->custom_id)) {
    ++counts_.skipped;
    return {};
  }
  const std::size_t order = next_order_++;
  if (line->refusal) return refuse(number_, line->custom_id, order, *line->refusal);
  return begin(*std::move(line), order);
}

base::Result<void> Batch::refuse(std::uint64_t number, std::string_view custom_id, std::size_t order,
                                 const Refusal& refusal) {
  ++counts_.failed;
  return write(order, batch_result(number, custom_id, {refusal.status, refusal_body(refusal)}));
}

base::Result<void> Batch::begin(BatchLine line, std::size_t order) {
  auto request = read_request(line.endpoint, line.body, target_, batch_seed(line.custom_id));
  if (!request) return refuse(number_, line.custom_id, order, request.error());
  const bool other_model = !request->model_asked.empty() && request->model_asked != target_.model;
  if (!request->model_asked.empty() && options_.refuse_model) {
    const auto refusal = options_.refuse_model(request->model_asked);
    if (refusal) return refuse(number_, line.custom_id, order, *refusal);
  }
  std::size_t generations = 0;
  for (engine::Request& prompt : request->prompts) {
    prompt.generate.patient = true;  // the file counts, not who is first
    generations += prompt.samples;
  }
  if (options_.prepare) options_.prepare(*request);
  if (other_model) ++counts_.other_model;
  if (!request->reply.warnings.empty()) ++counts_.warned;
  generations_ += generations;
  flights_.emplace(order, Flight{.number = number_,
                                 .endpoint = line.endpoint,
                                 .custom_id = std::move(line.custom_id),
                                 .generations = generations});
  answers_.start(order, *std::move(request));
  return {};
}

/// Writes the results of requests that have been answered.
base::Result<void> Batch::land(std::vector<BatchAnswers::Answer> answers) {
  for (BatchAnswers::Answer& answer : answers) {
    const Flight flight = std::move(flights_.extract(answer.order).mapped());
    generations_ -= flight.generations;
    if (!answer.exchange) {
      PLAIT_TRY_VOID(refuse(flight.number, flight.custom_id, answer.order, answer.refusal));
      continue;
    }
    Reply reply = answer.exchange->reply(head_of(target_, flight.endpoint, flight.custom_id));
    ++(reply.status == 200 ? counts_.answered : counts_.failed);
    if (reply.status == 200) {
      const text::Json& usage = reply.body["usage"];
      counts_.prompt_tokens += usage["prompt_tokens"].get<std::uint64_t>();
      counts_.generated_tokens += usage.value("completion_tokens", std::uint64_t{0});  // embeddings have none
    }
    PLAIT_TRY_VOID(write(answer.order, batch_result(flight.number, flight.custom_id, std::move(reply))));
  }
  return {};
}

base::Result<void> Batch::write(std::size_t order, std::string result) {
  if (!options_.ordered) return append(result);
  waits_.emplace(order, std::move(result));
  while (!waits_.empty() && waits_.begin()->first == next_written_) {
    PLAIT_TRY_VOID(append(waits_.begin()->second));
    waits_.erase(waits_.begin());
    ++next_written_;
  }
  return {};
}

base::Result<void> Batch::append(const std::string& result) {
  ++uncommitted_;
  return results_.append(result);
}

base::Result<void> Batch::commit(bool now) {
  const double time = clock_.now();
  const bool due = time >= committed_at_ + options_.commit_seconds || uncommitted_ >= options_.commit_results;
  if (uncommitted_ == 0 || !(due || now)) return {};
  PLAIT_TRY_VOID(results_.commit());
  uncommitted_ = 0;
  committed_at_ = time;
  return {};
}

}  // namespace plait::serving
