// SPDX-License-Identifier: Apache-2.0
//
// What was asked and answered, in the shape in which OpenTelemetry wants to see it: a list of
// {"role", "parts": [{"type": "text", "content"}]}.
#pragma once

#include <optional>
#include <string>

#include "serving/exchange.h"
#include "text/json.h"

namespace plait::serving {

/// Longer than this they are left out of traces: they wait in memory until a collector takes them.
inline constexpr std::size_t kContentBytesMax = std::size_t{128} << 10U;

/// The messages, or the prompts that are texts, of a request's body in any of the APIs. Nothing if they are too long.
[[nodiscard]] std::optional<std::string> input_messages(const text::Json& body);
/// The answers of a finished exchange.
[[nodiscard]] std::optional<std::string> output_messages(const Exchange& exchange);

}  // namespace plait::serving
