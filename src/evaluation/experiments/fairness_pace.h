// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/runner.h"
#include "evaluation/experiments/load_client.h"

namespace plait::evaluation {

/// A client with few short requests beside one that always has many long ones.
struct LightAndHeavy {
  ClientLoad light{.name = "light", .prompt = 40, .generate = 8, .seed = 11};
  ClientLoad heavy{.name = "heavy", .prompt = 600, .generate = 150, .spread = 0.5, .seed = 12};
  std::size_t heavy_open = 24;       ///< Of its requests, at any time.
  std::size_t light_requests = 210;  ///< In all. They come by chance, whether earlier ones are answered or not,
  double light_share = 0.08;         ///< at a rate that asks for this part of what the heavy client has alone. Then as
                                     ///< many more, each by chance so long after the answer to the one before.
  std::size_t rounds = 3;            ///< The heavy client alone, then both, so many times.
  double alone_seconds = 20;         ///< Of each round; as long before the first one, which nobody measures.
  std::size_t decode_steps = 40;     ///< Decode-only steps that are timed, before the rounds and after them.
  std::size_t own_prompts = 10;      ///< Prompts of the light client alone, likewise.
};

struct LightAndHeavyFigures {
  std::vector<double> first_tokens = {};          ///< Of the light client, seconds.
  std::vector<double> patient_first_tokens = {};  ///< The same when each request waits for the answer to the last one.
  double decode_step = 0;                         ///< Seconds, median: `heavy_open` streams and no prompt.
  double own_prompt = 0;    ///< Seconds, median: the light client's first token with nobody beside it.
  double heavy_alone = 0;   ///< Tokens through the model per second.
  double heavy_beside = 0;  ///< The same while the light client asks, too,
  double light_beside = 0;  ///< and what that client had.

  /// What a first token may take: four decode-only steps and the client's own prompt.
  [[nodiscard]] double limit() const { return 4 * decode_step + own_prompt; }
  /// The part of its rate that the heavy client lost and the light one did not get.
  [[nodiscard]] double heavy_loss() const { return 1 - (heavy_beside + light_beside) / heavy_alone; }
};

/// Requires: times are the clock's; the runner's steps make it go on. Errors: those of the engine.
[[nodiscard]] base::Result<LightAndHeavyFigures> run_light_and_heavy(engine::Runner& runner,
                                                                     const LightAndHeavy& options,
                                                                     const base::Clock& clock);

/// Streams that somebody watches, while many prompts arrive at once.
struct PromptsAndStreams {
  std::size_t streams = 16;
  std::size_t prompts = 32;
  ClientLoad stream{.name = "streams", .prompt = 50, .generate = 0, .seed = 21};
  ClientLoad prompt{.name = "prompts", .prompt = 500, .seed = 22};
  std::size_t rounds = 3;         ///< Streams alone, beside prompts, prompts alone; so many times.
  std::size_t decode_steps = 40;  ///< Decode-only steps that are timed before the prompts and after them.
};

struct PromptsAndStreamsFigures {
  std::vector<double> gaps = {};            ///< Between tokens of streams while prompts came, seconds.
  std::vector<double> relative_gaps = {};   ///< The same in decode-only steps at equal contexts.
  std::vector<double> decodes_before = {};  ///< Decode-only steps, seconds.
  std::vector<double> decodes_after = {};
  double decode_before = 0;  ///< Their medians.
  double decode_after = 0;
  double beside = 0;  ///< Prompt tokens per second.
  double lone = 0;    ///< The same without streams.
};

/// As run_light_and_heavy().
[[nodiscard]] base::Result<PromptsAndStreamsFigures> run_prompts_and_streams(engine::Runner& runner,
                                                                             const PromptsAndStreams& options,
                                                                             const base::Clock& clock);

/// Requests that come at once, from the first one to the last token of all.
struct WholeLoads {
  ClientLoad request{.name = "loads", .prompt = 128, .generate = 32, .seed = 31};
  std::size_t few = 8;
  std::size_t many = 32;
  std::size_t rounds = 3;
};

/// Tokens per second, prompts and answers; medians over rounds.
struct WholeLoadsFigures {
  double few_watched = 0;
  double few_patient = 0;
  double many_watched = 0;
  double many_patient = 0;
};

/// As run_light_and_heavy().
[[nodiscard]] base::Result<WholeLoadsFigures> run_whole_loads(engine::Runner& runner, const WholeLoads& options,
                                                              const base::Clock& clock);

}  // namespace plait::evaluation
