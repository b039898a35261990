// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "cli/engine_settings.h"
#include "cli/model_session.h"
#include "cli/server_settings.h"
#include "engine/engine.h"
#include "os/interrupt.h"
#include "os/open_files.h"
#include "os/service_manager.h"
#include "os/terminal.h"
#include "serving/api.h"
#include "serving/engine_loop.h"
#include "serving/http/server.h"
#include "serving/page.h"

namespace plait::cli {
namespace {

using base::Result;

struct ServeFlags {
  bool insecure = false;
  double drain_seconds = 30;
};

void say_where(const LoadedModel& loaded, const serving::HttpServer& server, const ServerSettings& settings,
               const Session& session) {
  for (const std::string& address : server.addresses()) {
    note(session, fmt::format("{} at {}{}", loaded.name, settings.scheme(address), address));
  }
  note(session, "Ctrl-C ends it when what runs is finished; a second one at once");
}

/// Serves until a signal comes, then finishes what is in flight.
Result<void> run(const ServeFlags& flags, const LoadedModel& loaded, engine::Engine& engine, ServerSettings& settings,
                 const Session& session) {
  serving::Grammars grammars(*loaded.tokenizer);
  const serving::Target target = target_of(loaded, engine, grammars);
  serving::EngineLoop loop(engine);
  serving::Api api(loop, target, {});
  serving::HttpRouter router;
  api.add_routes(router);
  serving::add_page(router);
  PLAIT_TRY(const auto server, serving::HttpServer::make({.listen = settings.addresses(),
                                                          .policy = settings.policy(),
                                                          .log = [&](std::string_view line) { settings.log(line); }},
                                                         router.handler()));
  api.set_http_counters([&] { return server->counters(); });
  say_where(loaded, *server, settings, session);
  os::notify_service_manager(fmt::format("READY=1\nSTATUS={} answers", loaded.name));
  std::jthread drainer;  // the engine must go on while the server drains
  loop.run([&] {
    if (os::interrupt_requested() && !drainer.joinable()) {
      note(session, "finishing what runs");
      os::notify_service_manager("STOPPING=1");
      drainer = std::jthread([&] {
        server->drain(flags.drain_seconds);
        loop.stop();
      });
    }
    settings.follow(*server);
  });
  drainer.join();
  server->stop();
  return {};
}

Result<void> serve(const ServeFlags& flags, const Session& session) {
  PLAIT_TRY_VOID(check_engine_settings(session.config));
  PLAIT_TRY(const auto server_settings,
            ServerSettings::load(session, {.insecure = flags.insecure, .open_files_max = os::raise_open_files_max()}));
  const os::InterruptGuard guard;
  std::optional<os::HangupGuard> hangup;  // in a terminal, its end is the server's
  if (!os::is_terminal(os::StandardStream::error)) hangup.emplace();
  const auto rows = static_cast<std::size_t>(session.config.number("server.rows"));
  PLAIT_TRY(const LoadedModel loaded, load_model(session));
  engine::ModelRunner runner(*loaded.model, *loaded.team);
  PLAIT_TRY(const EngineSettings settings,
            EngineSettings::make(session.config, runner, {.sequences = rows + rows / 8 + 1}));
  engine::EngineOptions options = settings.options();
  // An eighth more for clients of which nothing runs: a crowd of one client's requests must not keep others waiting.
  options.rows_newcomers = std::min(std::max<std::size_t>(rows / 8, 1), models::kStepRows - rows);
  options.rows_max = rows + options.rows_newcomers;
  options.rates = cost_rates(*loaded.model);
  PLAIT_TRY(const auto engine, engine::Engine::make(runner, options));
  return run(flags, loaded, *engine, *server_settings, session);
}

}  // namespace

void add_serve(CLI::App& app, Session& session) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* verb = app.add_subcommand("serve", "Answer over HTTP: OpenAI's API");
  add_setting(*verb, session, "--host", "server.host");
  add_setting(*verb, session, "--port", "server.port");
  add_setting(*verb, session, "--socket", "server.socket");
  add_setting(*verb, session, "--keys", "server.keys");
  add_setting(*verb, session, "--allowed-hosts", "server.hosts");
  add_setting(*verb, session, "--allowed-origins", "server.origins");
  add_setting(*verb, session, "--access-log", "server.access_log");
  add_setting(*verb, session, "--tls-cert", "server.tls_cert");
  add_setting(*verb, session, "--tls-key", "server.tls_key");
  add_setting(*verb, session, "--connections", "server.connections");
  add_setting(*verb, session, "--rows", "server.rows");
  verb->add_flag("--insecure", flags->insecure, "Listen on an address that others can reach, without keys");
  verb->add_option("--drain-seconds", flags->drain_seconds, "How long the end waits for what runs")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  add_engine_options(*verb, session, true);
  add_model_options(*verb, session);
  verb->footer("Example: plait serve --port 8080");
  verb->callback([&session, flags] { session.action = [&session, flags] { return serve(*flags, session); }; });
}

}  // namespace plait::cli
