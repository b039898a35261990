// SPDX-License-Identifier: Apache-2.0
//
// What is at the other end of a standard stream.
#pragma once

namespace plait::os {

enum class StandardStream { input = 0, output = 1, error = 2 };

[[nodiscard]] bool is_terminal(StandardStream stream);
/// Columns of the terminal; 80 if it is none or does not tell.
[[nodiscard]] int terminal_width(StandardStream stream);
/// A terminal that is not `dumb`, and NO_COLOR is not set (https://no-color.org).
[[nodiscard]] bool colour_allowed(StandardStream stream);

}  // namespace plait::os
