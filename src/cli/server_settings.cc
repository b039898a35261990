// SPDX-License-Identifier: Apache-2.0
#include "cli/server_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "cli/served_models.h"
#include "os/file.h"
#include "os/interrupt.h"
#include "os/service_manager.h"
#include "serving/key_file.h"

namespace plait::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::array<std::string_view, 9> kLive{
    "server.access_log", "server.connections", "server.connections_per_address",
    "server.hosts",      "server.keys",        "server.origins",
    "server.ping",       "server.tls_cert",    "server.tls_key"};

// Descriptors that are not connections: models, logs, listeners, the swap file.
constexpr std::size_t kOtherFiles = 64;

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
}

Result<serving::HttpKeys> read_keys(const std::filesystem::path& path) {
  if (path.empty()) return serving::HttpKeys();
  PLAIT_TRY(const std::string text, os::read_file(path, serving::kKeyFileBytesMax));
  PLAIT_TRY(auto keys, serving::read_keys(text));
  if (keys.empty()) {  // none would mean that nobody is asked for one
    return fail(ErrorCode::invalid_data, fmt::format("{}: holds no key; plait key add makes one", path.string()));
  }
  return serving::HttpKeys::make(std::move(keys));
}

Result<std::optional<serving::TlsIdentity>> read_identity(const Config& config) {
  const std::string& certificate = config.text("server.tls_cert");
  const std::string& key = config.text("server.tls_key");
  if (certificate.empty() && key.empty()) return std::nullopt;
  if (certificate.empty() || key.empty()) {
    return fail(ErrorCode::invalid_argument, "server.tls_cert and server.tls_key: TLS needs both");
  }
  PLAIT_TRY(const std::string certificates, os::read_file(certificate, serving::kPemBytesMax));
  PLAIT_TRY(const std::string secret, os::read_file(key, serving::kPemBytesMax));
  auto identity = serving::TlsIdentity::make(certificates, secret);
  if (identity) return *std::move(identity);
  return fail(identity.error().code, fmt::format("{} and {}: {}", certificate, key, identity.error().message));
}

Result<void> check_reach(const Config& config, bool insecure) {
  const std::string& host = config.text("server.host");
  if (is_loopback(host) || !config.text("server.keys").empty() || insecure) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("server.host = {} can be reached by others: give --keys FILE (see plait key), or "
                          "--insecure to let anybody in",
                          host));
}

std::filesystem::file_time_type time_of(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::last_write_time(path, ignored);
}

}  // namespace

bool changes_live(std::string_view key) { return std::ranges::find(kLive, key) != kLive.end(); }

Result<void> AccessLog::open(const std::string& path) {
  File next{nullptr, &std::fclose};
  if (path == "-") next = {stderr, [](std::FILE*) { return 0; }};
  if (path != "-" && !path.empty()) next = {std::fopen(path.c_str(), "ae"), &std::fclose};
  if (!path.empty() && !next) return fail(ErrorCode::io, fmt::format("cannot write to {}", path));
  const std::lock_guard lock(mutex_);
  file_ = std::move(next);
  return {};
}

void AccessLog::write(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (!file_) return;
  fmt::print(file_.get(), "{}\n", line);
  std::fflush(file_.get());
}

WatchedFiles::WatchedFiles(std::vector<std::filesystem::path> paths) {
  for (std::filesystem::path& path : paths) {
    if (path.empty()) continue;
    const auto time = time_of(path);
    files_.push_back({.path = std::move(path), .time = time});
  }
}

bool WatchedFiles::changed() {
  const double now = base::steady_clock().now();
  if (files_.empty() || now < next_look_) return false;
  next_look_ = now + 1;
  bool any = false;
  for (File& file : files_) {
    std::error_code gone;
    const auto time = std::filesystem::last_write_time(file.path, gone);
    if (gone || time == file.time) continue;
    file.time = time;
    any = true;
  }
  return any;
}

Result<std::unique_ptr<ServerSettings>> ServerSettings::load(const Session& session, Options options) {
  std::unique_ptr<ServerSettings> settings(new ServerSettings(session, options));
  PLAIT_TRY_VOID(settings->take(session.config));
  return settings;
}

// Everything that can fail comes before the first change.
Result<void> ServerSettings::take(const Config& config) {
  PLAIT_TRY_VOID(check_reach(config, options_.insecure));
  WatchedFiles files({config.text("server.keys"), config.text("server.tls_cert"), config.text("server.tls_key")});
  serving::HttpPolicy policy;
  PLAIT_TRY(policy.keys, read_keys(config.text("server.keys")));
  PLAIT_TRY(policy.tls, read_identity(config));
  policy.access = {.hosts = split_list(config.text("server.hosts")),
                   .origins = split_list(config.text("server.origins"))};
  policy.limits.connections = static_cast<std::size_t>(config.number("server.connections"));
  if (options_.open_files_max > 2 * kOtherFiles) {  // beyond, they would wait for a descriptor instead of being told
    policy.limits.connections = std::min(policy.limits.connections, options_.open_files_max - kOtherFiles);
  }
  policy.limits.connections_per_address = static_cast<std::size_t>(config.number("server.connections_per_address"));
  policy.timeouts.ping = static_cast<double>(config.number("server.ping"));
  policy.open_paths = {"/", "/health", "/openapi.json"};  // the page asks for the key itself; probes have none
  PLAIT_TRY_VOID(access_log_.open(config.text("server.access_log")));
  policy_ = std::move(policy);
  files_ = std::move(files);
  config_ = config;
  return {};
}

std::vector<std::string> ServerSettings::addresses() const {
  const std::string& host = config_.text("server.host");
  const bool bare_v6 = host.find(':') != std::string::npos && !host.starts_with('[');
  std::vector<std::string> listen = {
      fmt::format("{}:{}", bare_v6 ? '[' + host + ']' : host, config_.number("server.port"))};
  if (!config_.text("server.socket").empty()) listen.push_back("unix:" + config_.text("server.socket"));
  return listen;
}

std::string_view ServerSettings::scheme(std::string_view address) const {
  if (address.starts_with("unix:")) return "";
  return policy_.tls ? "https://" : "http://";
}

void ServerSettings::follow(serving::HttpServer& server) {
  if (os::take_hangup()) {
    os::notify_reloading();
    read_again(server);
    os::notify_service_manager("READY=1");
  } else if (files_.changed()) {
    const auto taken = take(config_);
    if (taken) server.set_policy(policy_);
    note(session_, taken ? "the files of keys and certificates were read again"
                         : "the old keys and certificates stay: " + taken.error().message);
  }
}

void ServerSettings::read_again(serving::HttpServer& server) {
  const auto next = session_.read_config();
  Config merged = config_;
  if (next) std::ranges::for_each(kLive, [&](std::string_view key) { merged.take(key, *next); });
  const Result<void> taken = next ? take(merged) : std::unexpected(next.error());
  if (!taken) return note(session_, "the old settings stay: " + taken.error().message);
  server.set_policy(policy_);
  note(session_, "the settings were read again");
  note_what_waits(*next);
}

void ServerSettings::note_what_waits(const Config& next) const {
  for (const Setting& setting : known_settings()) {
    if (next.text(setting.key) == config_.text(setting.key)) continue;
    note(session_, fmt::format("{} stays {}: a change needs a new start", setting.key, config_.text(setting.key)));
  }
}

}  // namespace plait::cli
