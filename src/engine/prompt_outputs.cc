// SPDX-License-Identifier: Apache-2.0
//
// What prompts give besides keys and values: log-probabilities of their own tokens, and pooled hidden states.
//
// Generation::wanted_row is the next own token whose row has to give something. Rows before it may be found computed,
// also after a preemption; rows from it on are computed by the sequence itself, once each as far as anybody is told. So
// entries come in order and none twice, and a mean is summed in the order of the tokens however the prompt is cut.
//
// Logits of prompts are many and large: a step has at most kLogitsBytes of them, and beside streams fewer, so that the
// pace of these is kept. They are dealt out evenly; whose rows are in the cache pays for the rest only.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "engine/engine_state.h"

namespace plait::engine {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

/// Of the logits of prompts in a step: 341 rows of a vocabulary of 49,152, 110 of one of 151,936.
constexpr base::Bytes kLogitsBytes = base::Bytes{64} << 20U;
constexpr int kTopMax = 128;  // as models::SamplerOptions

}  // namespace

Result<void> Engine::State::check_outputs(const Sequence& sequence, const GenerateOptions& generate) const {
  if (!generate.prompt_logprobs && !generate.pooling) return {};
  if (sequence.group != 0) return fail(ErrorCode::invalid_argument, "a row group gives nothing but tokens");
  if (generate.prompt_logprobs && generate.pooling) {
    return fail(ErrorCode::invalid_argument, "prompt_logprobs and pooling do not go together");
  }
  if (generate.pooling && (!generate.prompt_only || runner.width() == 0)) {
    return fail(ErrorCode::invalid_argument,
                runner.width() == 0 ? "there are no hidden states to pool" : "pooling needs prompt_only");
  }
  if (!generate.prompt_logprobs) return {};
  const PromptLogprobs& wanted = *generate.prompt_logprobs;
  if (wanted.first < 1 || wanted.first > sequence.tokens.size()) {
    return fail(ErrorCode::invalid_argument, fmt::format("prompt_logprobs: the first token is 1 to {}, not {}",
                                                         sequence.tokens.size(), wanted.first));
  }
  if (wanted.top < 0 || wanted.top > kTopMax) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("prompt_logprobs: {} is outside of 0 to {}", wanted.top, kTopMax));
  }
  return {};
}

void Engine::State::want_rows(Sequence& sequence, Generation& generation) {
  const GenerateOptions& asked = generation.options;
  if (asked.prompt_logprobs) generation.wanted_row = asked.prompt_logprobs->first - 1;
  if (asked.pooling) {
    generation.wanted_row = *asked.pooling == models::Pooling::last ? generation.prompt_length - 1 : 0;
    generation.pooled.assign(runner.width(), 0);
  }
  if (!generation.wants_rows() || sequence.span.length() <= generation.wanted_row) return;
  trim_span(sequence, generation.wanted_row);
  generation.computed = sequence.span.length();
}

/// Its tokens up to where what others have computed is of use: behind them one more has to be computed.
std::span<const base::TokenId> Engine::State::findable(const Sequence& sequence) const {
  const std::span<const base::TokenId> tokens(sequence.tokens);
  const Generation& generation = *sequence.generation;
  return generation.wants_rows() ? tokens.first(generation.wanted_row + 1) : tokens;
}

/// Fills shares_: what each prompt could be fed in this step, of `tokens` in all.
void Engine::State::share_prompts(std::size_t tokens) {
  const auto scores = [](const Sequence* sequence) {
    return sequence->generation->wants_rows() && sequence->generation->options.prompt_logprobs.has_value();
  };
  const auto scoring = static_cast<std::size_t>(std::ranges::count_if(prompts_, scores));
  std::size_t most = kLogitsBytes / (sizeof(float) * runner.vocabulary());
  if (paced_) most = std::min(most, static_cast<std::size_t>(static_cast<double>(tokens) / (1 + runner.logits_work())));
  most = std::max<std::size_t>(most, 1);
  std::size_t number = 0;
  shares_.clear();
  for (const Sequence* sequence : prompts_) {
    std::size_t left = sequence->pending();
    if (scores(sequence)) {
      const std::size_t part = most / scoring + (number++ < most % scoring ? 1 : 0);
      const std::size_t wanted = std::max(sequence->generation->wanted_row, sequence->span.length());
      left = std::min(left, wanted - sequence->span.length() + part);
    }
    if (left > 0) shares_.push_back({.ticket = *sequence->ticket, .left = left});
  }
}

/// Which rows of its piece give what.
void Engine::State::ask_outputs(StepItem& item) const {
  const Sequence& sequence = *item.sequence;
  const Generation& generation = *sequence.generation;
  item.chooses = item.tokens == sequence.pending() && !generation.options.prompt_only;
  item.scored = item.pooled = 0;
  item.logits_rows = item.chooses ? 1 : 0;
  if (!generation.wants_rows()) return;
  const std::size_t end = sequence.span.length() + item.tokens;
  const std::size_t first = std::max(sequence.span.length(), generation.wanted_row);
  const std::size_t wanted = std::min(end, generation.wanted_end()) - std::min({first, end, generation.wanted_end()});
  if (wanted == 0) return;
  if (generation.options.pooling) {
    item.pooled = wanted;
  } else {
    item.scored = wanted;
    item.logits_rows = end - first;
  }
}

/// In rows without logits.
double Engine::State::logits_rows_cost(const StepItem& item) const {
  return item.scored == 0 ? 0 : static_cast<double>(item.scored) * runner.logits_work();
}

/// Notes what the logits from `row` on are to score.
void Engine::State::score(const StepItem& item, std::size_t row) {
  const Sequence& sequence = *item.sequence;
  for (std::size_t i = 0; i < item.scored; ++i) {
    const std::size_t index = sequence.generation->wanted_row + i + 1;
    scores_.push_back({.id = sequence.id,
                       .arrival = sequence.arrival,
                       .index = index,
                       .token = sequence.tokens[index],
                       .top = static_cast<std::size_t>(sequence.generation->options.prompt_logprobs->top),
                       .row = row + i,
                       .logprobs = models::Logprobs{}});
  }
}

void Engine::State::score_token(Score& score) {
  const auto logits = std::span(logits_).subspan(score.row * runner.vocabulary(), runner.vocabulary());
  score.logprobs = models::log_probabilities(logits, score.token, score.top);
}

void Engine::State::tell_scores() {
  for (const Score& score : scores_) {
    Sequence* sequence = find(score.id);  // a listener may have closed it meanwhile
    if (sequence == nullptr || !sequence->generation || sequence->arrival != score.arrival) continue;
    if (!score.logprobs) {
      end(*sequence, EndReason::failed, score.logprobs.error());
      continue;
    }
    Generation& generation = *sequence->generation;
    PLAIT_CHECK(generation.wanted_row + 1 == score.index, generation.wanted_row, score.index);
    ++generation.wanted_row;
    Listener* listener = generation.options.listener;
    if (listener != nullptr) listener->on_prompt_logprobs(score.id, score.index, *score.logprobs);
  }
}

/// Adds the hidden states from row `row` of hidden_ on.
void Engine::State::pool(const StepItem& item, std::size_t row) {
  if (item.pooled == 0) return;
  Generation& generation = *item.sequence->generation;
  const std::size_t width = runner.width();
  for (const float* state = hidden_.data() + row * width; generation.wanted_row < item.sequence->span.length();
       state += width, ++generation.wanted_row) {
    for (std::size_t i = 0; i < width; ++i) generation.pooled[i] += static_cast<double>(state[i]);
  }
}

/// Tells what was pooled, if anything was to be. False if the generation is over meanwhile.
bool Engine::State::tell_pooled(Sequence& sequence) {
  const Generation& generation = *sequence.generation;
  Listener* listener = generation.options.listener;
  if (!generation.options.pooling || listener == nullptr) return true;
  const double count =
      *generation.options.pooling == models::Pooling::mean ? static_cast<double>(generation.prompt_length) : 1;
  std::vector<float> pooled;
  pooled.reserve(generation.pooled.size());
  for (const double sum : generation.pooled) pooled.push_back(static_cast<float>(sum / count));
  if (!std::ranges::all_of(pooled, [](float value) { return std::isfinite(value); })) {
    end(sequence, EndReason::failed,
        base::Error{ErrorCode::invalid_data, "hidden states: NaN or infinity; the model's numbers are damaged"});
    return false;
  }
  const SequenceId id = sequence.id;
  const std::uint64_t arrival = sequence.arrival;
  listener->on_pooled(id, pooled);
  const Sequence* still = find(id);
  return still != nullptr && still->generation && still->arrival == arrival;
}

}  // namespace plait::engine
