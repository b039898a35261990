// SPDX-License-Identifier: Apache-2.0
#include "os/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace plait::os {

bool is_terminal(StandardStream stream) { return isatty(static_cast<int>(stream)) == 1; }

TerminalSize terminal_size(StandardStream stream) {
  winsize size{};
  if (ioctl(static_cast<int>(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {.columns = size.ws_col, .lines = size.ws_row};
}

int terminal_width(StandardStream stream) { return terminal_size(stream).columns; }

bool cursor_moves(StandardStream stream) {
  const char* kind = std::getenv("TERM");
  return is_terminal(stream) && kind != nullptr && std::string_view(kind) != "dumb";
}

bool colour_allowed(StandardStream stream) {
  const char* no_color = std::getenv("NO_COLOR");
  return (no_color == nullptr || *no_color == '\0') && cursor_moves(stream);
}

struct KeyInput::Before {
  termios modes = {};
};

KeyInput::KeyInput(bool wanted) {
  auto before = std::make_unique<Before>();
  if (!wanted || tcgetattr(STDIN_FILENO, &before->modes) != 0) return;
  termios modes = before->modes;
  modes.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  if (tcsetattr(STDIN_FILENO, TCSANOW, &modes) == 0) before_ = std::move(before);
}

KeyInput::~KeyInput() {
  if (before_) tcsetattr(STDIN_FILENO, TCSANOW, &before_->modes);
}

std::optional<char> KeyInput::wait(double seconds) {
  pollfd input{.fd = before_ && !ended_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  const int milliseconds = static_cast<int>(std::ceil(1e3 * std::clamp(seconds, 0.0, 3600.0)));
  char key = 0;
  if (poll(&input, 1, milliseconds) != 1) return std::nullopt;
  if (read(STDIN_FILENO, &key, 1) == 1) return key;
  ended_ = true;  // or it would say at once, again and again, that there is news
  return std::nullopt;
}

}  // namespace plait::os
