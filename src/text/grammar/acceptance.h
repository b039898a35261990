// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "text/grammar/grammar.h"
#include "text/grammar/states.h"

namespace plait::text {

/// For tests: the state of `states` behind `text`, or kRefused.
[[nodiscard]] inline StateId run(GrammarStates& states, std::string_view text) {
  StateId at = states.start();
  for (const char c : text) at = states.advance(at, static_cast<std::uint8_t>(c));
  return at;
}

/// For tests: whether `text` is a whole word of `grammar`.
[[nodiscard]] inline bool accepts(const Grammar& grammar, std::string_view text) {
  GrammarStates states(std::make_shared<const Grammar>(grammar));
  const StateId at = run(states, text);
  return at != kRefused && states.accepts(at);
}

}  // namespace plait::text
