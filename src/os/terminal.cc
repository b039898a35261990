// SPDX-License-Identifier: Apache-2.0
#include "os/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace plait::os {

bool is_terminal(StandardStream stream) { return isatty(static_cast<int>(stream)) == 1; }

int terminal_width(StandardStream stream) {
  winsize size{};
  const bool known = ioctl(static_cast<int>(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

bool colour_allowed(StandardStream stream) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  if (no_color != nullptr && *no_color != '\0') return false;
  return is_terminal(stream) && kind != nullptr && std::string_view(kind) != "dumb";
}

}  // namespace plait::os
