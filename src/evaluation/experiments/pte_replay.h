// SPDX-License-Identifier: Apache-2.0
//
// Agents that follow a script: so many rounds, a tool's reply of so many tokens between two of them, so many tokens of
// thinking in each. What they think and what tools reply is drawn beforehand and forced, one token a step, so every
// token goes through the model as it would in earnest and only the choice is the script's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/cost.h"
#include "engine/runner.h"

namespace plait::evaluation {

/// How an agent behaves.
struct AgentShape {
  std::size_t rounds = 1;    ///< Calls of the model.
  std::size_t reply = 0;     ///< Tokens of a tool's reply, on average.
  std::size_t thinking = 1;  ///< Tokens generated in a round, on average.
  bool evicts = false;       ///< Each round finds nothing of what the last one computed.

  /// "6 x 300 + 150, evicted"
  [[nodiscard]] std::string name() const;
};

struct ReplayOptions {
  std::size_t trajectories = 10;  ///< Of each agent.
  std::size_t prompt = 100;       ///< Tokens before the first round.
  std::size_t concurrency = 8;    ///< Trajectories that run at a time.
  std::uint64_t seed = 1;
};

/// One call of the model.
struct ReplayRound {
  engine::RoundCounters counters = {};
  double prompt_tokens = 0;
  double generated = 0;
  double seconds = 0;  ///< From the request to its last token, waiting included.
};

struct Trajectory {
  std::size_t agent = 0;     ///< Index of its shape.
  std::size_t shuffled = 0;  ///< Its place in the order of starts.
  std::vector<ReplayRound> rounds = {};
  double transcript = 0;  ///< Tokens of prompt, thinking and replies, each once.
};

/// One step of the batch.
struct ReplayStep {
  engine::StepWork work = {};
  double decode_rows = 0;
  double seconds = 0;
};

struct Replay {
  std::vector<Trajectory> trajectories = {};  ///< In order of shape, then of start.
  std::vector<ReplayStep> steps = {};
};

/// Runs `trajectories` of each shape, in shuffled order, so many at a time on one engine. Lengths vary by a quarter
/// from one trajectory to the next; no two share a text. Tools reply at once. Errors: those of the engine;
/// invalid_argument (a script longer than the context).
[[nodiscard]] base::Result<Replay> replay_agents(engine::Runner& runner, std::span<const AgentShape> shapes,
                                                 const ReplayOptions& options);

/// The tokens of a script: `count` of them, evenly drawn from the vocabulary.
[[nodiscard]] std::vector<base::TokenId> scripted_tokens(std::uint64_t seed, std::size_t count, std::size_t vocabulary);

}  // namespace plait::evaluation
