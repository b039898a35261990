// SPDX-License-Identifier: Apache-2.0
//
// A question that a strategy of strands thinks about: `plait.strategy` and `plait.strategy_options` of a request to
// /v1/chat/completions.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "reasoning/strategy.h"
#include "reasoning/thinking.h"
#include "serving/fields.h"
#include "text/json.h"

namespace plait::serving {

struct Request;

/// Ready to run.
struct ThoughtAsk {
  std::unique_ptr<reasoning::Strategy> strategy = {};
  reasoning::ThinkOptions options = {};
  std::optional<double> seconds = {};  ///< It ends so long after it began, with what is reached.
};

/// `name`: plait.strategy; `options`: plait.strategy_options, an object or null. Besides the strategy's own options,
/// `call_tokens` (of one strand, 512) and `seconds`. `request` is read already: its sampler and client are taken over;
/// `tokens_max` bounds all strands together. Refused: what a strategy cannot keep to (tools, formats, stop strings,
/// more than one answer, log-probabilities, a prompt in tokens).
[[nodiscard]] Accepted<std::shared_ptr<ThoughtAsk>> read_thought(const std::string& name, const text::Json& options,
                                                                 const text::Json& body, const Request& request,
                                                                 std::optional<std::size_t> tokens_max);

}  // namespace plait::serving
