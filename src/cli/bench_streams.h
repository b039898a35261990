// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "cli/model_session.h"

namespace plait::cli {

struct StreamsOptions {
  std::size_t prompt = 128;                           ///< Tokens of each request's own random prompt; 1 at least.
  std::size_t shared = 0;                             ///< The first tokens of every prompt are the same.
  bool watched = false;                               ///< Prompts keep the pace of those who generate; else patient.
  std::size_t samples = 1;                            ///< Answers to each prompt; of these, each counts as a stream.
  std::size_t generate = 32;                          ///< Tokens that each generates; 1 at least.
  std::vector<std::size_t> streams = {1, 8, 32, 64};  ///< Requests that come at once; one measurement each.
  int repeats = 5;                                    ///< Medians are printed.
};

/// Prints, for each number of requests, all tokens over the time from the first submit to the last end, the share of
/// that time which the engine itself takes, and what became of those who were preempted. There is memory for all unless
/// kv.bytes says less. Errors: those of the engine and of EngineSettings::make; what a request failed with.
base::Result<void> bench_streams(const Session& session, const LoadedModel& loaded, const StreamsOptions& options);

}  // namespace plait::cli
