// SPDX-License-Identifier: Apache-2.0
//
// What is at the other end of a standard stream.
#pragma once

#include <memory>
#include <optional>

namespace plait::os {

enum class StandardStream { input = 0, output = 1, error = 2 };

[[nodiscard]] bool is_terminal(StandardStream stream);
/// Columns of the terminal; 80 if it is none or does not tell.
[[nodiscard]] int terminal_width(StandardStream stream);
struct TerminalSize {
  int columns = 80;
  int lines = 24;
};
/// 80 by 24 if it is no terminal or does not tell.
[[nodiscard]] TerminalSize terminal_size(StandardStream stream);
/// A terminal that is not `dumb`: the cursor can be moved.
[[nodiscard]] bool cursor_moves(StandardStream stream);
/// A terminal that is not `dumb`, and NO_COLOR is not set (https://no-color.org).
[[nodiscard]] bool colour_allowed(StandardStream stream);

/// Keys of the terminal at standard input one by one, without echo and without Enter, while it lives; Ctrl-C stays a
/// signal. One at a time.
class KeyInput {
 public:
  /// `wanted` false: there are no keys, and nothing is changed. Requires: else standard input is a terminal.
  explicit KeyInput(bool wanted);
  ~KeyInput();
  KeyInput(const KeyInput&) = delete;
  KeyInput& operator=(const KeyInput&) = delete;

  /// The next key, or nothing after so many seconds, or when a signal comes.
  [[nodiscard]] std::optional<char> wait(double seconds);

 private:
  struct Before;
  std::unique_ptr<Before> before_;  ///< How the terminal was; null: no keys.
  bool ended_ = false;              ///< The terminal is gone.
};

}  // namespace plait::os
