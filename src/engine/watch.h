// SPDX-License-Identifier: Apache-2.0
//
// How a sequence sees another one's tokens as they come: for Engine::watch().
#pragma once

#include <cstddef>
#include <optional>

namespace plait::engine {

/// Most tokens that one sequence feeds in a decode step: forced ones, or those that a row group begins with.
inline constexpr std::size_t kForcedRows = 64;

/// Where watched tokens stand, and when they are seen. With fixed positions nothing moves when others grow (slots of a
/// budget each); else each sequence finds itself behind everything it sees.
struct Watch {
  std::optional<std::ptrdiff_t> other_position = {};  ///< Of the other's first own token.
  std::optional<std::ptrdiff_t> own_position = {};    ///< Of the sequence's own first token.
  /// Tokens of the other one are seen from the step behind theirs on: as if it stood behind in the order of a step.
  bool late = false;
};

}  // namespace plait::engine
