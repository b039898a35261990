// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "cli/engine_settings.h"
#include "cli/model_session.h"
#include "cli/served_models.h"
#include "cli/server_settings.h"
#include "cli/stored_settings.h"
#include "cli/telemetry_settings.h"
#include "os/interrupt.h"
#include "os/open_files.h"
#include "os/service_manager.h"
#include "os/terminal.h"
#include "serving/api.h"
#include "serving/engine_loop.h"
#include "serving/http/server.h"
#include "serving/models.h"
#include "serving/openapi.h"
#include "serving/page.h"
#include "serving/strand_routes.h"
#include "serving/telemetry.h"

namespace plait::cli {
namespace {

using base::Result;

struct ServeFlags {
  bool insecure = false;
  double drain_seconds = 30;
};

void say_where(const std::string& model, const serving::HttpServer& server, const ServerSettings& settings,
               const Session& session) {
  for (const std::string& address : server.addresses()) {
    note(session, fmt::format("{} at {}{}", model, settings.scheme(address), address));
  }
  note(session, "Ctrl-C ends it when what runs is finished; a second one at once");
}

/// Serves until a signal comes, then finishes what is in flight.
Result<void> run(const ServeFlags& flags, serving::EngineThread& thread, serving::ServedModels& models,
                 ServerSettings& settings, const Session& session) {
  PLAIT_TRY(const auto telemetry, make_telemetry(session));
  PLAIT_TRY(const StoredHere stored, StoredHere::open(session));
  serving::Api api(models, {.telemetry = telemetry.get(), .dialects = {stored.responses()}});
  serving::HttpRouter router;
  api.add_routes(router);
  stored.add_routes(router);
  serving::StrandRoutes strands(models, {});
  strands.add_routes(router);
  serving::add_page(router);
  serving::add_openapi(router);  // the last: it says whether all others are described
  PLAIT_TRY(const auto server, serving::HttpServer::make({.listen = settings.addresses(),
                                                          .policy = settings.policy(),
                                                          .log = [&](std::string_view line) { settings.log(line); }},
                                                         router.handler()));
  api.set_http_counters([&] { return server->counters(); });
  PLAIT_TRY_VOID(stored.start(models));
  say_where(models.usual(), *server, settings, session);
  os::notify_service_manager(fmt::format("READY=1\nSTATUS={} answers", models.usual()));
  std::jthread drainer;  // the engine must go on while the server drains
  thread.run([&] {
    strands.tick();
    if (os::interrupt_requested() && !drainer.joinable()) {
      note(session, "finishing what runs");
      os::notify_service_manager("STOPPING=1");
      strands.end_streams();
      drainer = std::jthread([&] {
        stored.stop();
        server->drain(flags.drain_seconds);
        thread.stop();
      });
    }
    settings.follow(*server);
  });
  drainer.join();
  server->stop();
  close_telemetry(*telemetry, session);
  return {};
}

Result<void> serve(const ServeFlags& flags, const Session& session) {
  PLAIT_TRY_VOID(check_engine_settings(session.config));
  PLAIT_TRY_VOID(telemetry_options(session));
  PLAIT_TRY(const auto server_settings,
            ServerSettings::load(session, {.insecure = flags.insecure, .open_files_max = os::raise_open_files_max()}));
  const os::InterruptGuard guard;
  std::optional<os::HangupGuard> hangup;  // in a terminal, its end is the server's
  if (!os::is_terminal(os::StandardStream::error)) hangup.emplace();
  PLAIT_TRY(const auto team, start_team(thread_count(session)));
  PLAIT_TRY(serving::ServedModelsOptions options, served_models_options(session, *team));
  serving::EngineThread thread;
  serving::ServedModels models(thread, std::move(options));
  PLAIT_TRY_VOID(models.preload());
  return run(flags, thread, models, *server_settings, session);
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
  add_setting(*verb, session, "--models", "server.models");
  add_setting(*verb, session, "--aliases", "server.aliases");
  add_setting(*verb, session, "--memory", "server.memory");
  add_setting(*verb, session, "--keep-alive", "server.keep_alive");
  add_setting(*verb, session, "--trace-file", "server.trace_file");
  add_setting(*verb, session, "--otlp-url", "server.otlp_url");
  verb->add_flag_callback(
      "--trace-content", [&session] { session.overrides.emplace_back("server.trace_content", "true"); },
      std::string(find_setting("server.trace_content")->about));
  add_stored_options(*verb, session);
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
