// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "engine/cost.h"
#include "engine/model_shape.h"

namespace plait::cli {

/// One line of a trace.
struct TraceRound {
  std::string trajectory = {};  ///< Which run it belongs to; empty if the line does not say.
  double round = 0;
  double batch = 1;  ///< Rows that shared its steps: the harmonic mean if that changed.
  engine::RoundCounters counters = {};
  bool told_meanwhile = false;  ///< The line says what all rows did meanwhile, so PTE-latency is known.
};

/// Rounds from JSON lines: `{"round": 1, "context": 1000, "cached": 900, "prefilled": 100, "decoded": 200, "batch":
/// 4}`, "trajectory", a text or number, and "meanwhile", an object of `prefilled`, `weight_reads` and `lengths`, all
/// rows' work from the request to its end. `round`, `context` and `decoded` must be there; else nothing is cached,
/// prefilled is what is not cached, and batch is 1. Other members and empty lines are passed over. `name` stands for
/// the file in errors. Errors: invalid_data with the line's number; a trace without a round is one.
[[nodiscard]] base::Result<std::vector<TraceRound>> parse_trace(std::string_view text, const std::string& name);

/// "layers=30,width=576,kv_heads=3,head_dim=64,parameters=134.5e6,weights=98e6" and, if not 2, "bytes=1": bytes of an
/// element of the cache. Errors: invalid_argument.
[[nodiscard]] base::Result<engine::ModelShape> parse_model_shape(std::string_view text);

/// `plait cost TRACE`: what the rounds of a run cost the machine.
void add_cost(CLI::App& app, Session& session);

}  // namespace plait::cli
