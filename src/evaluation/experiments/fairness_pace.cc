// SPDX-License-Identifier: Apache-2.0
//
// Everything that is compared is measured in the same run and in turn, because machines change their speed meanwhile.
#include "evaluation/experiments/fairness_pace.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

#include "base/random.h"
#include "engine/engine.h"

namespace plait::evaluation {
namespace {

using base::Result;

/// An engine with room for so many sequences of so many tokens.
Result<std::unique_ptr<engine::Engine>> make_engine(engine::Runner& runner, std::size_t sequences, std::size_t tokens,
                                                    const base::Clock& clock) {
  const base::Bytes page = runner.layout().page_bytes(0) + runner.layout().page_bytes(1);
  const std::size_t pages = sequences * (tokens / models::kPageTokens + 2);
  return engine::Engine::make(runner, {.kv_bytes = pages * page}, clock);
}

Result<void> check(const LoadClient& client) {
  if (client.error) return std::unexpected(*client.error);
  return {};
}

/// Times `count` steps that carry `width` streams and no prompt. Requires: such are running.
Result<void> time_decodes(engine::Engine& engine, const LoadClient& client, std::size_t width, std::size_t count,
                          const base::Clock& clock, std::vector<double>& seconds) {
  for (std::size_t i = 0; i < count;) {
    const TimedStep step = timed_step(engine, clock);
    PLAIT_TRY_VOID(check(client));
    if (step.prompt_rows + step.decode_rows == 0) {
      return base::fail(base::ErrorCode::invalid_argument,
                        "the context is too small: streams ended before they were timed");
    }
    if (step.prompt_rows > 0 || step.decode_rows != width) continue;
    seconds.push_back(step.seconds);
    ++i;
  }
  return {};
}

/// Decode-only steps of `width` streams that have read prompts of `load`.
Result<void> time_streams_alone(engine::Runner& runner, ClientLoad load, std::size_t width, std::size_t steps,
                                const base::Clock& clock, std::vector<double>& seconds) {
  constexpr std::size_t kWarm = 5;
  const std::size_t tokens = load.length_max();
  load.generate = 0;
  load.patient = true;  // all prompts first, so that streams are as long as the prompts
  LoadClient client(load, runner.vocabulary(), clock);
  PLAIT_TRY(const auto engine, make_engine(runner, width, 2 * tokens + steps + kWarm, clock));
  PLAIT_TRY_VOID(client.keep_open(*engine, width));
  while (client.first_tokens.size() < width) {
    engine->step();
    PLAIT_TRY_VOID(check(client));
  }
  std::vector<double> warm;
  PLAIT_TRY_VOID(time_decodes(*engine, client, width, kWarm, clock, warm));
  return time_decodes(*engine, client, width, steps, clock, seconds);
}

/// First tokens of requests that have the engine for themselves, one after the other.
Result<void> time_alone(engine::Runner& runner, const ClientLoad& load, std::size_t count, const base::Clock& clock,
                        std::vector<double>& seconds) {
  LoadClient client(load, runner.vocabulary(), clock);
  PLAIT_TRY(const auto engine, make_engine(runner, 2, load.length_max(), clock));
  for (std::size_t i = 0; i <= count; ++i) {
    PLAIT_TRY_VOID(client.ask(*engine, clock.now()));
    while (client.open() > 0) engine->step();
    PLAIT_TRY_VOID(check(client));
  }
  seconds.insert(seconds.end(), client.first_tokens.begin() + 1, client.first_tokens.end());  // the first one warms up
  return {};
}

/// Steps, and what went through the model in them.
struct Window {
  double seconds = 0;
  double heavy = 0;  ///< Tokens.
  double light = 0;

  Window& operator+=(const Window& other) {
    seconds += other.seconds;
    heavy += other.heavy;
    light += other.light;
    return *this;
  }
};

double rows_of(const engine::Engine& engine) {
  const engine::EngineCounters counters = engine.counters();
  return static_cast<double>(counters.prompt_rows + counters.decode_rows);
}

class TwoClientsRun {
 public:
  TwoClientsRun(engine::Engine& engine, const LightAndHeavy& options, LoadClient& heavy, const base::Clock& clock)
      : engine_(engine), options_(options), heavy_(heavy), clock_(clock) {}

  /// The heavy client alone.
  Result<Window> alone(double seconds) {
    return window(nullptr, [&] { return clock_.now() < start_ + seconds; });
  }

  /// Both, until so many requests of the light client are answered. They come by chance at `rate`; `patient`: each so
  /// long after the one before is answered, as from somebody who reads first.
  Result<Window> both(LoadClient& light, std::size_t requests, double rate, bool patient) {
    const std::size_t last = light.asked() + requests;
    const auto pause = [&] { return -std::log1p(-base::random_unit(options_.light.seed, draws_++)) / rate; };
    double due = clock_.now();
    bool was_open = false;
    Result<void> asked = {};
    PLAIT_TRY(const Window both, window(&light, [&] {
                if (patient && was_open && light.open() == 0) due = clock_.now() + pause();
                while (asked && light.asked() < last && due <= clock_.now() && !(patient && light.open() > 0)) {
                  asked = light.ask(engine_, due);
                  due += pause();
                }
                was_open = light.open() > 0;
                return asked && (light.asked() < last || light.open() > 0);
              }));
    PLAIT_TRY_VOID(asked);
    return both;
  }

 private:
  template <class Goes>
  Result<Window> window(const LoadClient* light, const Goes& goes_on) {
    start_ = clock_.now();
    const double rows = rows_of(engine_);
    const double before = light == nullptr ? 0 : light->computed;
    while (goes_on()) {
      PLAIT_TRY_VOID(heavy_.keep_open(engine_, options_.heavy_open));
      engine_.step();
      PLAIT_TRY_VOID(check(heavy_));
      if (light != nullptr && light->error) return std::unexpected(*light->error);
    }
    const double had = light == nullptr ? 0 : light->computed - before;
    return Window{.seconds = clock_.now() - start_, .heavy = rows_of(engine_) - rows - had, .light = had};
  }

  engine::Engine& engine_;
  const LightAndHeavy& options_;
  LoadClient& heavy_;
  const base::Clock& clock_;
  double start_ = 0;
  std::uint64_t draws_ = 0;
};

/// The rounds of both clients.
Result<void> run_rounds(engine::Runner& runner, const LightAndHeavy& options, const base::Clock& clock,
                        LightAndHeavyFigures& figures) {
  LoadClient light(options.light, runner.vocabulary(), clock);
  LoadClient patient(options.light, runner.vocabulary(), clock);
  LoadClient heavy(options.heavy, runner.vocabulary(), clock);
  const std::size_t longest = std::max(options.heavy.length_max(), options.light.length_max());
  PLAIT_TRY(const auto engine, make_engine(runner, 2 * options.heavy_open, longest, clock));
  TwoClientsRun run(*engine, options, heavy, clock);
  PLAIT_TRY_VOID(run.alone(options.alone_seconds));
  Window alone;
  Window both;
  const double tokens = static_cast<double>(options.light.prompt + options.light.generate);
  for (std::size_t round = 0; round < options.rounds; ++round) {
    PLAIT_TRY(const Window a, run.alone(options.alone_seconds));
    alone += a;
    const std::size_t requests =
        options.light_requests * (round + 1) / options.rounds - options.light_requests * round / options.rounds;
    const double rate = options.light_share * alone.heavy / alone.seconds / tokens;
    PLAIT_TRY(const Window b, run.both(light, requests, rate, false));
    both += b;
    PLAIT_TRY_VOID(run.both(patient, requests, rate, true));
  }
  figures.first_tokens = light.first_tokens;
  figures.patient_first_tokens = patient.first_tokens;
  figures.heavy_alone = alone.heavy / alone.seconds;
  figures.heavy_beside = both.heavy / both.seconds;
  figures.light_beside = both.light / both.seconds;
  return {};
}

/// Gaps in decode-only steps at the contexts of their moment: streams grow by a token each step, so these steps grow
/// evenly from what they took before the prompts to what they take after them.
void add_relative(std::span<const double> gaps, double before, double after, std::vector<double>& relative) {
  for (std::size_t i = 0; i < gaps.size(); ++i) {
    const double part = (static_cast<double>(i) + 0.5) / static_cast<double>(gaps.size());
    relative.push_back(gaps[i] / (before + part * (after - before)));
  }
}

/// One round of prompts that come in beside streams. The engine stays the same, so that it knows its steps.
Result<void> run_arrivals(engine::Engine& engine, LoadClient& streams, LoadClient& prompts,
                          const PromptsAndStreams& options, const base::Clock& clock, Window& beside,
                          PromptsAndStreamsFigures& figures) {
  PLAIT_TRY_VOID(streams.keep_open(engine, options.streams));
  std::vector<double> warm;
  PLAIT_TRY_VOID(time_decodes(engine, streams, options.streams, options.decode_steps / 4, clock, warm));
  std::vector<double> before;
  std::vector<double> after;
  PLAIT_TRY_VOID(time_decodes(engine, streams, options.streams, options.decode_steps, clock, before));
  streams.watch_gaps(true);
  const std::size_t first_gap = streams.gaps.size();
  const double rows = static_cast<double>(engine.counters().prompt_rows);
  const double start = clock.now();
  PLAIT_TRY_VOID(prompts.keep_open(engine, options.prompts));
  while (prompts.open() > 0) {
    engine.step();
    PLAIT_TRY_VOID(check(prompts));
    PLAIT_TRY_VOID(check(streams));
  }
  beside += {.seconds = clock.now() - start, .heavy = static_cast<double>(engine.counters().prompt_rows) - rows};
  streams.watch_gaps(false);
  PLAIT_TRY_VOID(time_decodes(engine, streams, options.streams, options.decode_steps, clock, after));
  add_relative(std::span(streams.gaps).subspan(first_gap), quantile(before, 0.5), quantile(after, 0.5),
               figures.relative_gaps);
  figures.decodes_before.insert(figures.decodes_before.end(), before.begin(), before.end());
  figures.decodes_after.insert(figures.decodes_after.end(), after.begin(), after.end());
  streams.cancel_all(engine);
  return {};
}

/// The same prompts with the engine for themselves.
Result<void> run_lone(engine::Engine& engine, LoadClient& prompts, std::size_t count, const base::Clock& clock,
                      Window& lone) {
  const double rows = static_cast<double>(engine.counters().prompt_rows);
  const double start = clock.now();
  PLAIT_TRY_VOID(prompts.keep_open(engine, count));
  while (prompts.open() > 0) {
    engine.step();
    PLAIT_TRY_VOID(check(prompts));
  }
  lone += {.seconds = clock.now() - start, .heavy = static_cast<double>(engine.counters().prompt_rows) - rows};
  return {};
}

}  // namespace

Result<LightAndHeavyFigures> run_light_and_heavy(engine::Runner& runner, const LightAndHeavy& options,
                                                 const base::Clock& clock) {
  LightAndHeavyFigures figures;
  std::vector<double> decodes;
  std::vector<double> prompts;
  const auto calibrate = [&]() -> Result<void> {
    PLAIT_TRY_VOID(time_streams_alone(runner, options.heavy, options.heavy_open, options.decode_steps, clock, decodes));
    return time_alone(runner, options.light, options.own_prompts, clock, prompts);
  };
  PLAIT_TRY_VOID(calibrate());
  PLAIT_TRY_VOID(run_rounds(runner, options, clock, figures));
  PLAIT_TRY_VOID(calibrate());
  figures.decode_step = quantile(decodes, 0.5);
  figures.own_prompt = quantile(prompts, 0.5);
  return figures;
}

Result<PromptsAndStreamsFigures> run_prompts_and_streams(engine::Runner& runner, const PromptsAndStreams& options,
                                                         const base::Clock& clock) {
  PromptsAndStreamsFigures figures;
  LoadClient streams(options.stream, runner.vocabulary(), clock);
  LoadClient prompts(options.prompt, runner.vocabulary(), clock);
  LoadClient lone_prompts(options.prompt, runner.vocabulary(), clock);
  const std::size_t longest = options.prompt.length_max();
  const std::size_t stream = options.stream.length_max() + 4 * options.decode_steps +
                             options.prompts * longest / engine::StepBudgetOptions{}.tokens_min;
  PLAIT_TRY(const auto engine,
            make_engine(runner, options.streams + options.prompts, std::max(longest, stream), clock));
  PLAIT_TRY(const auto lone_engine, make_engine(runner, options.prompts, longest, clock));
  Window beside;
  Window lone;
  for (std::size_t round = 0; round < options.rounds; ++round) {
    PLAIT_TRY_VOID(run_arrivals(*engine, streams, prompts, options, clock, beside, figures));
    PLAIT_TRY_VOID(run_lone(*lone_engine, lone_prompts, options.prompts, clock, lone));
  }
  figures.gaps = streams.gaps;
  figures.decode_before = quantile(figures.decodes_before, 0.5);
  figures.decode_after = quantile(figures.decodes_after, 0.5);
  figures.beside = beside.heavy / beside.seconds;
  figures.lone = lone.heavy / lone.seconds;
  return figures;
}

Result<WholeLoadsFigures> run_whole_loads(engine::Runner& runner, const WholeLoads& options, const base::Clock& clock) {
  WholeLoadsFigures figures;
  struct Kind {
    std::size_t count;
    bool patient;
    double* median;
    std::vector<double> rates = {};
  };
  std::vector<Kind> kinds{{options.few, false, &figures.few_watched},
                          {options.few, true, &figures.few_patient},
                          {options.many, false, &figures.many_watched},
                          {options.many, true, &figures.many_patient}};
  for (std::size_t round = 0; round < options.rounds; ++round) {
    for (Kind& kind : kinds) {
      ClientLoad load = options.request;
      load.patient = kind.patient;
      LoadClient client(load, runner.vocabulary(), clock);
      PLAIT_TRY(const auto engine, make_engine(runner, kind.count, load.length_max(), clock));
      const double start = clock.now();
      PLAIT_TRY_VOID(client.keep_open(*engine, kind.count));
      while (client.open() > 0) engine->step();
      PLAIT_TRY_VOID(check(client));
      const auto tokens = static_cast<double>(kind.count * (load.prompt + load.generate));
      kind.rates.push_back(tokens / (clock.now() - start));
    }
  }
  for (Kind& kind : kinds) *kind.median = quantile(kind.rates, 0.5);
  return figures;
}

}  // namespace plait::evaluation
