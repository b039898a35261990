// SPDX-License-Identifier: Apache-2.0
#include "cli/top.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "cli/status_text.h"
#include "os/interrupt.h"
#include "os/terminal.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::size_t kOnceLines = 60;

struct TopFlags {
  ServerAddress server = {};
  double interval = 1;
  bool once = false;
};

bool keep_going() { return !os::interrupt_requested(); }

// Sleeps; false when the user wants to end.
bool wait(os::KeyInput& keys, double seconds) {
  const double until = base::steady_clock().now() + seconds;
  for (double left = seconds; left > 0 && keep_going(); left = until - base::steady_clock().now()) {
    const std::optional<char> key = keys.wait(left);
    if (key == 'q' || key == 'Q') return false;
  }
  return keep_going();
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

Result<void> once(const ServerAddress& server, const TopFlags& flags, const Session& session) {
  PLAIT_TRY(const text::Json first, fetch_status(server, keep_going));
  PLAIT_TRY(const ServerStatus before, read_status(first));
  os::KeyInput keys(false);
  if (!wait(keys, flags.interval)) return fail(ErrorCode::interrupted, "interrupted");
  PLAIT_TRY(const text::Json second, fetch_status(server, keep_going));
  PLAIT_TRY(const ServerStatus now, read_status(second));
  if (session.json) {
    print("{}\n", text::dump_json(second));
    return {};
  }
  print(joined(top_frame(server.url, &before, now, {.columns = 200, .lines = kOnceLines})));
  return {};
}

/// The second screen of the terminal, without cursor. The first one is as it was when this goes away.
class Screen {
 public:
  Screen() { write("\x1b[?1049h\x1b[?25l"); }
  ~Screen() { write("\x1b[?25h\x1b[?1049l"); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Line by line over what was there, so that nothing flickers.
  void show(const std::vector<std::string>& lines) const {
    std::string text = "\x1b[H";
    for (std::size_t i = 0; i < lines.size(); ++i) text += (i > 0 ? "\r\n" : "") + lines[i] + "\x1b[K";
    write(text + "\x1b[J");
  }

 private:
  static void write(const std::string& text) {
    print(text);
    std::fflush(stdout);
  }
};

std::vector<std::string> frame(const ServerAddress& server, std::optional<ServerStatus>& before, std::size_t columns,
                               std::size_t lines) {
  const auto json = fetch_status(server, keep_going);
  auto now = json ? read_status(*json) : Result<ServerStatus>(std::unexpected(json.error()));
  if (!now) return {cell("plait top  " + server.url, columns, false), "", cell(now.error().message, columns, false)};
  auto shown = top_frame(server.url, before ? &*before : nullptr, *now, {.columns = columns, .lines = lines});
  before = *std::move(now);
  return shown;
}

Result<void> top(const TopFlags& flags, const Session& session) {
  const os::InterruptGuard guard;
  const ServerAddress server = complete(flags.server, session);
  if (flags.once) return once(server, flags, session);
  if (session.json || !os::cursor_moves(os::StandardStream::output)) {
    return fail(ErrorCode::invalid_argument, "plait top draws on a terminal; --once prints one frame anywhere");
  }
  PLAIT_TRY_VOID(fetch_status(server, keep_going));  // what is wrong from the start is said on the usual screen
  os::KeyInput keys(os::is_terminal(os::StandardStream::input));
  const Screen screen;
  std::optional<ServerStatus> before;
  do {
    const os::TerminalSize size = os::terminal_size(os::StandardStream::output);
    screen.show(frame(server, before, static_cast<std::size_t>(size.columns), static_cast<std::size_t>(size.lines)));
  } while (wait(keys, flags.interval));
  return {};
}

}  // namespace

void add_top(CLI::App& app, Session& session) {
  auto flags = std::make_shared<TopFlags>();
  CLI::App* verb = app.add_subcommand("top", "Watch a running server: clients, requests, memory; q ends it");
  add_server_options(*verb, flags->server);
  verb->add_option("-i,--interval", flags->interval, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  verb->add_flag("--once", flags->once, "Print one frame, with the rates of one interval, and end");
  verb->footer("Example: plait top --once");
  verb->callback([&session, flags] { session.action = [&session, flags] { return top(*flags, session); }; });
}

}  // namespace plait::cli
