// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/result.h"
#include "engine/cost.h"
#include "engine/runner.h"

namespace plait::evaluation {

/// Two clients that always want more: one reads long texts and says little, the other writes.
struct TwoClients {
  std::size_t reader_prompt = 600;
  std::size_t reader_tokens = 4;
  std::size_t writer_prompt = 20;
  std::size_t writer_tokens = 24;
  std::size_t requests = 8;  ///< The run ends when each client has had so many.
};

/// What each got.
struct TwoShares {
  double reader_seconds = 0;  ///< Of the machine.
  double writer_seconds = 0;
  double reader_tokens = 0;  ///< Through the model.
  double writer_tokens = 0;

  /// The larger machine time by the smaller.
  [[nodiscard]] double apart() const;
};

/// Runs one sequence at a time, so each step's time is one client's; the fair scheduler decides whose is next, and
/// counts in `unit`. Errors: those of the engine.
[[nodiscard]] base::Result<TwoShares> run_two_clients(engine::Runner& runner, const TwoClients& clients,
                                                      const engine::CostRates& rates, engine::ChargeUnit unit);

}  // namespace plait::evaluation
