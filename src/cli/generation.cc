// SPDX-License-Identifier: Apache-2.0
#include "cli/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace plait::cli {
namespace {

using Clock = std::chrono::steady_clock;

// How many prompt tokens are computed between two looks at the interrupt flag.
constexpr std::size_t kPromptPiece = 512;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double rate(std::size_t tokens, double seconds) { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }

}  // namespace

std::string_view name(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::interrupted:
      return "interrupted";
  }
  return "unknown";
}

std::string Generation::statistics() const {
  const std::size_t computed = prompt_tokens - cached_tokens;
  std::string line = fmt::format("{} prompt tokens", prompt_tokens);
  if (cached_tokens > 0) line += fmt::format(" ({} already computed)", cached_tokens);
  return line + fmt::format(" in {:.2f} s ({:.0f}/s), {} tokens in {:.2f} s ({:.0f}/s)", prompt_seconds,
                            rate(computed, prompt_seconds), tokens.size(), decode_seconds,
                            rate(tokens.size(), decode_seconds));
}

Generator::Generator(const models::Model& model, const models::Tokenizer& tokenizer, parallel::Team& team)
    : model_(&model), tokenizer_(&tokenizer), sequence_(model), workspace_(model, team), logits_(model.vocabulary()) {}

base::Result<Generation> Generator::run(std::span<const base::TokenId> prompt, const GenerationOptions& options,
                                        const std::function<void(std::string_view)>& show,
                                        const std::function<bool()>& interrupted) {
  Generation generation;
  generation.prompt_tokens = prompt.size();
  const auto start = Clock::now();
  PLAIT_TRY_VOID(compute_prompt(prompt, generation, interrupted));
  generation.prompt_seconds = seconds_since(start);
  if (generation.reason == FinishReason::interrupted) return generation;
  const auto first = Clock::now();
  PLAIT_TRY_VOID(decode(options, generation, show, interrupted));
  generation.decode_seconds = seconds_since(first);
  return generation;
}

base::Result<void> Generator::compute_prompt(std::span<const base::TokenId> prompt, Generation& generation,
                                             const std::function<bool()>& interrupted) {
  if (prompt.empty()) return base::fail(base::ErrorCode::invalid_argument, "the prompt is empty");
  if (prompt.size() >= model_->context()) {
    return base::fail(base::ErrorCode::invalid_argument,
                      fmt::format("the prompt has {} tokens and the context holds {}; shorten it or raise --context",
                                  prompt.size(), model_->context()));
  }
  // At least the last token is computed again: its logits are what decoding starts from.
  const auto [ours, theirs] = std::ranges::mismatch(tokens_, prompt);
  const std::size_t common =
      std::min(static_cast<std::size_t>(std::distance(tokens_.begin(), ours)), prompt.size() - 1);
  sequence_.trim(common);
  tokens_.resize(common);
  generation.cached_tokens = common;
  while (tokens_.size() < prompt.size()) {
    if (interrupted()) {
      generation.reason = FinishReason::interrupted;
      return {};
    }
    const auto piece = prompt.subspan(tokens_.size(), std::min(kPromptPiece, prompt.size() - tokens_.size()));
    const bool last = tokens_.size() + piece.size() == prompt.size();
    const std::span<float> logits = last ? std::span<float>(logits_) : std::span<float>();
    PLAIT_TRY_VOID(
        model_->forward(sequence_, piece, last ? models::Logits::last : models::Logits::none, workspace_, logits));
    tokens_.insert(tokens_.end(), piece.begin(), piece.end());
  }
  return {};
}

base::Result<void> Generator::decode(const GenerationOptions& options, Generation& generation,
                                     const std::function<void(std::string_view)>& show,
                                     const std::function<bool()>& interrupted) {
  PLAIT_TRY(auto sampler, models::Sampler::make(options.sampler));
  PLAIT_TRY(auto stop, models::StopStream::make({.strings = options.stop}));
  models::Detokenizer detokenizer(*tokenizer_);
  const auto give = [&](std::string_view text) {
    if (text.empty()) return;
    generation.text += text;
    show(text);
  };
  const std::size_t prompt_length = tokens_.size();
  generation.reason = FinishReason::length;
  while (true) {
    if (interrupted()) {
      generation.reason = FinishReason::interrupted;
      break;
    }
    PLAIT_TRY(auto sample, sampler.sample(logits_, {.tokens = tokens_, .prompt_length = prompt_length}));
    if (!options.ignore_eos && tokenizer_->is_end_of_generation(sample.token)) {
      generation.reason = FinishReason::stop;
      break;
    }
    generation.tokens.push_back(sample.token);
    if (sample.logprobs) generation.logprobs.push_back(*std::move(sample.logprobs));
    auto piece = stop.push(detokenizer.push(sample.token));
    give(piece.text);
    if (piece.stopped) {
      generation.reason = FinishReason::stop;
      return {};
    }
    if (generation.tokens.size() == options.tokens_max || tokens_.size() >= model_->context()) break;
    PLAIT_TRY_VOID(model_->forward(sequence_, std::span(&sample.token, 1), models::Logits::last, workspace_, logits_));
    tokens_.push_back(sample.token);
  }
  give(stop.push(detokenizer.flush()).text + stop.flush());
  return {};
}

}  // namespace plait::cli
