// SPDX-License-Identifier: Apache-2.0
//
// Each load gets an engine of its own, so that it finds nothing that another has computed; memory for all tokens, so
// that nobody is preempted.
#include "evaluation/experiments/fairness_sharing.h"

#include <memory>
#include <span>

#include "engine/engine.h"
#include "evaluation/experiments/load_client.h"
#include "evaluation/experiments/pte_replay.h"

namespace plait::evaluation {
namespace {

using base::Result;
using base::TokenId;

/// Counts endings and remembers what failed.
class Count final : public engine::Listener {
 public:
  bool on_token(engine::SequenceId, const models::Sample&) override { return true; }
  void on_end(engine::SequenceId, const engine::Ending& ending) override {
    if (ending.error) error = ending.error;
    ++ended;
  }
  std::size_t ended = 0;
  std::optional<base::Error> error = {};
};

class SharingRun {
 public:
  SharingRun(engine::Runner& runner, const Sharing& options, const base::Clock& clock)
      : runner_(runner), options_(options), clock_(clock) {}

  /// One prompt of so many tokens, to its first token.
  Result<double> prompt_alone(std::size_t tokens) {
    PLAIT_TRY(const auto engine, make(1, tokens, true));
    return timed(*engine, 1, [&]() -> Result<void> { return submit(*engine, prompt(tokens), 1, 1); });
  }

  /// Forks of one prompt that is computed already: what they add to it.
  Result<double> decode_of_forks() {
    PLAIT_TRY(const auto engine, make(options_.requests, options_.prompt, true));
    PLAIT_TRY(const engine::SequenceId parent, computed(*engine, prompt(options_.prompt)));
    std::vector<engine::SequenceId> all;
    for (std::size_t i = 0; i < options_.requests; ++i) {
      PLAIT_TRY(const engine::SequenceId child, engine->fork(parent));
      all.push_back(child);
    }
    return generate_all(*engine, all, options_.generate - 1);
  }

  /// Requests with the same prompt, all at once. Their rows of prompt go to `rows`.
  Result<double> at_once(bool share, std::size_t& rows) {
    PLAIT_TRY(const auto engine, make(options_.requests, options_.prompt, share));
    const std::vector<TokenId> tokens = prompt(options_.prompt);
    const auto seconds = timed(*engine, options_.requests, [&]() -> Result<void> {
      for (std::size_t i = 0; i < options_.requests; ++i) {
        PLAIT_TRY_VOID(submit(*engine, tokens, options_.generate, 1));
      }
      return {};
    });
    rows = engine->counters().prompt_rows;
    return seconds;
  }

  /// As many sequences as there are samples, each behind a prompt of its own that is computed already.
  Result<double> decode_of_separate() {
    PLAIT_TRY(const auto engine, make(options_.samples, options_.sample_prompt, true));
    std::vector<engine::SequenceId> all;
    for (std::size_t i = 0; i < options_.samples; ++i) {
      PLAIT_TRY(const engine::SequenceId one, computed(*engine, prompt(options_.sample_prompt)));
      all.push_back(one);
    }
    return generate_all(*engine, all, options_.sample_tokens - 1);
  }

  Result<double> samples() {
    PLAIT_TRY(const auto engine, make(options_.samples, options_.sample_prompt, true));
    return timed(*engine, options_.samples, [&]() -> Result<void> {
      return submit(*engine, prompt(options_.sample_prompt), options_.sample_tokens, options_.samples);
    });
  }

  Result<std::vector<double>> forks() {
    PLAIT_TRY(const auto engine, make(2, options_.fork_tokens, true));
    PLAIT_TRY(const engine::SequenceId parent, computed(*engine, prompt(options_.fork_tokens)));
    std::vector<double> seconds;
    for (std::size_t i = 0; i < options_.forks; ++i) {
      const double start = clock_.now();
      const auto child = engine->fork(parent);
      seconds.push_back(clock_.now() - start);
      if (!child) return std::unexpected(child.error());
      engine->close(*child);
    }
    return seconds;
  }

 private:
  Result<std::unique_ptr<engine::Engine>> make(std::size_t sequences, std::size_t prompt_tokens, bool share) {
    const base::Bytes page = runner_.layout().page_bytes(0) + runner_.layout().page_bytes(1);
    const std::size_t tokens = prompt_tokens + options_.generate + options_.sample_tokens;
    count_ = {};
    return engine::Engine::make(
        runner_, {.kv_bytes = (sequences + 1) * (tokens / models::kPageTokens + 2) * page, .share_prefixes = share},
        clock_);
  }

  /// A prompt that nobody has had.
  std::vector<TokenId> prompt(std::size_t tokens) {
    return scripted_tokens(1000 + next_++, tokens, runner_.vocabulary());
  }

  engine::GenerateOptions options_of(std::size_t tokens, std::uint64_t seed) {
    return {.sampler = {.temperature = 1, .seed = seed}, .tokens_max = tokens, .listener = &count_};
  }

  Result<void> submit(engine::Engine& engine, const std::vector<TokenId>& tokens, std::size_t generate,
                      std::size_t samples) {
    engine::Request request;
    request.prompt = tokens;
    request.generate = options_of(generate, next_++);
    request.samples = samples;
    PLAIT_TRY_VOID(engine.submit(request));
    return {};
  }

  /// A sequence whose tokens are computed, but for the choice of the next one.
  Result<engine::SequenceId> computed(engine::Engine& engine, const std::vector<TokenId>& tokens) {
    PLAIT_TRY(const engine::SequenceId id, engine.create({}));
    PLAIT_TRY_VOID(engine.append(id, tokens));
    auto options = options_of(0, 0);
    options.prompt_only = true;
    PLAIT_TRY_VOID(timed(engine, 1, [&] { return engine.generate(id, options); }));
    return id;
  }

  Result<double> generate_all(engine::Engine& engine, std::span<const engine::SequenceId> all, std::size_t tokens) {
    return timed(engine, all.size(), [&]() -> Result<void> {
      for (const engine::SequenceId id : all) PLAIT_TRY_VOID(engine.generate(id, options_of(tokens, next_++)));
      return {};
    });
  }

  /// From before `start` to the end of so many generations.
  template <class Start>
  Result<double> timed(engine::Engine& engine, std::size_t endings, const Start& start) {
    const std::size_t last = count_.ended + endings;
    const double began = clock_.now();
    PLAIT_TRY_VOID(start());
    while (count_.ended < last) engine.step();
    if (count_.error) return std::unexpected(*count_.error);
    return clock_.now() - began;
  }

  engine::Runner& runner_;
  const Sharing& options_;
  const base::Clock& clock_;
  Count count_;
  std::uint64_t next_ = 0;
};

/// The median of whole[i] / (first[i] + second[i]).
double ratio(std::span<const double> whole, std::span<const double> first, std::span<const double> second) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < whole.size(); ++i) ratios.push_back(whole[i] / (first[i] + second[i]));
  return quantile(std::move(ratios), 0.5);
}

}  // namespace

double SharingFigures::shared_ratio() const { return ratio(shared, prompt, decode); }

double SharingFigures::sampled_ratio() const { return ratio(sampled, sample_prompt, separate); }

Result<SharingFigures> run_sharing(engine::Runner& runner, const Sharing& options, const base::Clock& clock) {
  SharingRun run(runner, options, clock);
  SharingFigures figures;
  const auto note = [](std::vector<double>& to, Result<double> seconds) -> Result<void> {
    PLAIT_TRY(const double value, std::move(seconds));
    to.push_back(value);
    return {};
  };
  for (std::size_t round = 0; round < options.rounds; ++round) {
    PLAIT_TRY_VOID(note(figures.prompt, run.prompt_alone(options.prompt)));
    PLAIT_TRY_VOID(note(figures.shared, run.at_once(true, figures.prompt_rows)));
    PLAIT_TRY_VOID(note(figures.decode, run.decode_of_forks()));
    PLAIT_TRY_VOID(note(figures.sample_prompt, run.prompt_alone(options.sample_prompt)));
    PLAIT_TRY_VOID(note(figures.sampled, run.samples()));
    PLAIT_TRY_VOID(note(figures.separate, run.decode_of_separate()));
  }
  PLAIT_TRY(figures.unshared, run.at_once(false, figures.unshared_rows));
  PLAIT_TRY(figures.fork, run.forks());
  return figures;
}

}  // namespace plait::evaluation
