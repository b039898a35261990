// SPDX-License-Identifier: Apache-2.0
#include "cli/ps.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/status_text.h"
#include "os/interrupt.h"

namespace plait::cli {
namespace {

struct PsFlags {
  ServerAddress server = {};
  bool all = false;
};

base::Result<void> ps(const PsFlags& flags, const Session& session) {
  const os::InterruptGuard guard;
  PLAIT_TRY(const text::Json json,
            fetch_status(complete(flags.server, session), [] { return !os::interrupt_requested(); }));
  PLAIT_TRY(const ServerStatus status, read_status(json));
  if (session.json) {
    print("{}\n", text::dump_json(json.value("requests", text::Json::object())));
    return {};
  }
  print(requests_text(status.listed, false));
  if (status.open > status.listed.size()) print("and {} more\n", status.open - status.listed.size());
  if (flags.all) print("\n{}", requests_text(status.recent, true));
  return {};
}

}  // namespace

void add_ps(CLI::App& app, Session& session) {
  auto flags = std::make_shared<PsFlags>();
  CLI::App* verb = app.add_subcommand("ps", "List the requests of a running server");
  add_server_options(*verb, flags->server);
  verb->add_flag("-a,--all", flags->all, "Those that ended last, too");
  verb->footer("Example: plait ps --all");
  verb->callback([&session, flags] { session.action = [&session, flags] { return ps(*flags, session); }; });
}

}  // namespace plait::cli
