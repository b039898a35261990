// SPDX-License-Identifier: Apache-2.0
//
// What the HTTP server goes by that can change while it runs: who may ask, how many, over TLS with which certificate,
// and where the access log is. It comes from the settings and from the files that they name.
#pragma once

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "serving/http/server.h"

namespace plait::cli {

/// Whether a setting takes effect in a running server that reads its settings again.
[[nodiscard]] bool changes_live(std::string_view key);

/// Lines of the access log. Any thread.
class AccessLog {
 public:
  /// Opens what `path` says, as the setting server.access_log has it, instead of what was open: also again the same
  /// path, after a file was moved away. Errors: io, and the old one stays.
  [[nodiscard]] base::Result<void> open(const std::string& path);
  void write(std::string_view line);

 private:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

  std::mutex mutex_;
  File file_{nullptr, &std::fclose};
};

/// Files that somebody may change, looked at once a second at most. One thread.
class WatchedFiles {
 public:
  explicit WatchedFiles(std::vector<std::filesystem::path> paths = {});
  /// True once for each change that is seen; a file that has gone has not changed.
  [[nodiscard]] bool changed();

 private:
  struct File {
    std::filesystem::path path;
    std::filesystem::file_time_type time;
  };
  std::vector<File> files_;
  double next_look_ = 0;  // seconds of base::steady_clock()
};

/// One thread, log() excepted.
class ServerSettings {
 public:
  struct Options {
    bool insecure = false;           ///< Others may reach the server without a key.
    std::size_t open_files_max = 0;  ///< Descriptors that the process may have; 0: not known.
  };

  /// What others can reach without a key is refused, as are settings that do not fit each other. Errors:
  /// invalid_argument; those of the files that are named.
  [[nodiscard]] static base::Result<std::unique_ptr<ServerSettings>> load(const Session& session, Options options);

  /// Where to listen.
  [[nodiscard]] std::vector<std::string> addresses() const;
  /// "http://" or "https://", empty for a Unix socket.
  [[nodiscard]] std::string_view scheme(std::string_view address) const;
  [[nodiscard]] const serving::HttpPolicy& policy() const { return policy_; }
  /// Any thread.
  void log(std::string_view line) { access_log_.write(line); }

  /// Call it often: gives `server` a new policy when a file of keys or certificates has changed or SIGHUP has come, and
  /// notes what became of it. What is wrong leaves everything as it was.
  void follow(serving::HttpServer& server);

 private:
  ServerSettings(const Session& session, const Options& options) : session_(session), options_(options) {}
  [[nodiscard]] base::Result<void> take(const Config& config);
  void read_again(serving::HttpServer& server);
  void note_what_waits(const Config& next) const;

  const Session& session_;
  const Options options_;
  Config config_;  // as the policy has it
  serving::HttpPolicy policy_;
  WatchedFiles files_;
  AccessLog access_log_;
};

}  // namespace plait::cli
