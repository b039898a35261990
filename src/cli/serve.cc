// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include "cli/engine_settings.h"
#include "cli/model_session.h"
#include "cli/served_models.h"
#include "os/file.h"
#include "os/interrupt.h"
#include "serving/api.h"
#include "serving/engine_loop.h"
#include "serving/http/server.h"
#include "serving/key_file.h"
#include "serving/models.h"
#include "serving/page.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using Clock = std::chrono::steady_clock;

struct ServeFlags {
  bool insecure = false;
  double drain_seconds = 30;
};

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
}

/// The file of keys, read again when it has changed.
class KeyFile {
 public:
  explicit KeyFile(std::filesystem::path path) : path_(std::move(path)) {}

  [[nodiscard]] Result<serving::HttpKeys> load() {
    std::error_code ignored;
    changed_ = std::filesystem::last_write_time(path_, ignored);
    PLAIT_TRY(const std::string text, os::read_file(path_, serving::kKeyFileBytesMax));
    PLAIT_TRY(auto keys, serving::read_keys(text));
    if (keys.empty()) {  // none would mean that nobody is asked for one
      return fail(ErrorCode::invalid_data, fmt::format("{}: holds no key; plait key add makes one", path_.string()));
    }
    return serving::HttpKeys::make(std::move(keys));
  }
  /// Looks at most once a second.
  [[nodiscard]] bool changed() {
    if (path_.empty() || Clock::now() < next_look_) return false;
    next_look_ = Clock::now() + std::chrono::seconds(1);
    std::error_code error;
    const auto now = std::filesystem::last_write_time(path_, error);
    return !error && now != changed_;
  }

 private:
  std::filesystem::path path_;
  std::filesystem::file_time_type changed_ = {};
  Clock::time_point next_look_ = {};
};

/// Lines of the access log. Used by the server's thread only, once it is made.
class AccessLog {
 public:
  [[nodiscard]] static Result<AccessLog> open(const std::string& path) {
    AccessLog log;
    if (path == "-") log.file_ = {stderr, [](std::FILE*) { return 0; }};
    if (path != "-" && !path.empty()) log.file_ = {std::fopen(path.c_str(), "ae"), &std::fclose};
    if (!path.empty() && !log.file_) return fail(ErrorCode::io, fmt::format("cannot write to {}", path));
    return log;
  }
  void write(std::string_view line) {
    if (!file_) return;
    fmt::print(file_.get(), "{}\n", line);
    std::fflush(file_.get());
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, &std::fclose};
};

Result<std::vector<std::string>> addresses(const ServeFlags& flags, const Config& config) {
  const std::string& host = config.text("server.host");
  if (!is_loopback(host) && config.text("server.keys").empty() && !flags.insecure) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("server.host = {} can be reached by others: give --keys FILE (see plait key), or "
                            "--insecure to let anybody in",
                            host));
  }
  const bool bare_v6 = host.find(':') != std::string::npos && !host.starts_with('[');
  std::vector<std::string> listen = {
      fmt::format("{}:{}", bare_v6 ? '[' + host + ']' : host, config.number("server.port"))};
  if (!config.text("server.socket").empty()) listen.push_back("unix:" + config.text("server.socket"));
  return listen;
}

serving::HttpPolicy policy_of(const Config& config, serving::HttpKeys keys) {
  serving::HttpPolicy policy;
  policy.access = {.hosts = split_list(config.text("server.hosts")),
                   .origins = split_list(config.text("server.origins"))};
  policy.keys = std::move(keys);
  policy.open_paths = {"/", "/health"};  // the page asks for the key itself; probes have none
  return policy;
}

void say_where(const std::string& model, const serving::HttpServer& server, const Session& session) {
  for (const std::string& address : server.addresses()) {
    const bool socket = address.starts_with("unix:");
    note(session, fmt::format("{} at {}{}", model, socket ? "" : "http://", address));
  }
  note(session, "Ctrl-C ends it when what runs is finished; a second one at once");
}

/// Serves until a signal comes, then finishes what is in flight.
Result<void> run(const ServeFlags& flags, serving::EngineThread& thread, serving::ServedModels& models,
                 const Session& session) {
  const Config& config = session.config;
  PLAIT_TRY(auto listen, addresses(flags, config));
  KeyFile key_file(config.text("server.keys"));
  serving::HttpKeys keys;
  if (!config.text("server.keys").empty()) {
    PLAIT_TRY(keys, key_file.load());
  }
  PLAIT_TRY(AccessLog log, AccessLog::open(config.text("server.access_log")));
  serving::Api api(models, {});
  serving::HttpRouter router;
  api.add_routes(router);
  serving::add_page(router);
  PLAIT_TRY(const auto server, serving::HttpServer::make({.listen = std::move(listen),
                                                          .policy = policy_of(config, keys),
                                                          .log = [&](std::string_view line) { log.write(line); }},
                                                         router.handler()));
  api.set_http_counters([&] { return server->counters(); });
  say_where(models.usual(), *server, session);
  std::jthread drainer;  // the engine must go on while the server drains
  thread.run([&] {
    if (os::interrupt_requested() && !drainer.joinable()) {
      note(session, "finishing what runs");
      drainer = std::jthread([&] {
        server->drain(flags.drain_seconds);
        thread.stop();
      });
    }
    if (!key_file.changed()) return;
    auto read = key_file.load();
    if (read) server->set_policy(policy_of(config, *std::move(read)));
    note(session, read ? "the file of keys was read again" : "the old keys stay: " + read.error().message);
  });
  drainer.join();
  server->stop();
  return {};
}

Result<void> serve(const ServeFlags& flags, const Session& session) {
  PLAIT_TRY_VOID(check_engine_settings(session.config));
  PLAIT_TRY_VOID(addresses(flags, session.config));  // before the model is loaded
  const os::InterruptGuard guard;
  PLAIT_TRY(const auto team, start_team(thread_count(session)));
  PLAIT_TRY(serving::ServedModelsOptions options, served_models_options(session, *team));
  serving::EngineThread thread;
  serving::ServedModels models(thread, std::move(options));
  PLAIT_TRY_VOID(models.preload());
  return run(flags, thread, models, session);
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
  add_setting(*verb, session, "--rows", "server.rows");
  add_setting(*verb, session, "--models", "server.models");
  add_setting(*verb, session, "--aliases", "server.aliases");
  add_setting(*verb, session, "--memory", "server.memory");
  add_setting(*verb, session, "--keep-alive", "server.keep_alive");
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
