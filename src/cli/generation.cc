// SPDX-License-Identifier: Apache-2.0
#include "cli/generation.h"

#include <fmt/format.h>

#include <utility>

#include "cli/engine_settings.h"
#include "engine/text_answer.h"
#include "os/memory.h"

namespace plait::cli {
namespace {

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

Generator::Generator(const models::Model& model, const models::Tokenizer& tokenizer, parallel::Team& team,
                     base::Bytes kv_setting)
    : model_(&model), tokenizer_(&tokenizer), kv_setting_(kv_setting), runner_(model, team) {}

base::Result<engine::Engine*> Generator::engine() {
  if (engine_ == nullptr) {
    // Memory is taken only as tokens come.
    const base::Bytes bytes = kv_bytes(kv_setting_, runner_, {.sequences = 1}, os::memory_info().available);
    PLAIT_TRY(engine_, engine::Engine::make(runner_, {.kv_bytes = bytes, .rows_max = 1}));
  }
  return engine_.get();
}

base::Result<Generation> Generator::run(std::span<const base::TokenId> prompt, const GenerationOptions& options,
                                        const std::function<void(std::string_view)>& show,
                                        const std::function<bool()>& interrupted) {
  PLAIT_TRY(engine::Engine * engine, this->engine());
  PLAIT_TRY(auto answer, engine::TextAnswer::make(*tokenizer_, {.strings = options.stop}, show, options.ignore_eos));
  const engine::Request request{.prompt = {prompt.begin(), prompt.end()},
                                .generate = {.sampler = options.sampler,
                                             .tokens_max = options.tokens_max,
                                             .stop = answer.stop_ids(),
                                             .returns = true,
                                             .listener = &answer}};
  PLAIT_TRY(const auto ids, engine->submit(request));
  while (!answer.ending()) {
    if (interrupted()) {
      engine->cancel(ids.front());
    } else {
      engine->step();
    }
  }
  const engine::Ending& ending = *answer.ending();
  if (ending.error) return std::unexpected(*ending.error);
  Generation generation{.text = answer.text(),
                        .tokens = answer.tokens(),
                        .logprobs = answer.logprobs(),
                        .prompt_tokens = prompt.size(),
                        .cached_tokens = ending.usage.cached_tokens,
                        .prompt_seconds = ending.usage.prompt_seconds,
                        .decode_seconds = ending.usage.decode_seconds};
  if (ending.reason == engine::EndReason::length) generation.reason = FinishReason::length;
  if (ending.reason == engine::EndReason::cancelled) generation.reason = FinishReason::interrupted;
  return generation;
}

}  // namespace plait::cli
