// SPDX-License-Identifier: Apache-2.0
#include "os/paths.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace plait::os {
namespace {

namespace fs = std::filesystem;

fs::path home() {
  if (const char* value = std::getenv("HOME"); value != nullptr && *value == '/') return value;
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  if (getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_dir;
  return "/tmp";
}

// The rules say that a relative value is to be ignored.
fs::path base(const char* variable, const char* below_home) {
  if (const char* value = std::getenv(variable); value != nullptr && *value == '/') return fs::path(value) / "plait";
  return home() / below_home / "plait";
}

}  // namespace

fs::path cache_dir() { return base("XDG_CACHE_HOME", ".cache"); }
fs::path state_dir() { return base("XDG_STATE_HOME", ".local/state"); }
fs::path config_dir() { return base("XDG_CONFIG_HOME", ".config"); }
std::vector<fs::path> config_files() { return {"plait.toml", config_dir() / "plait.toml"}; }

}  // namespace plait::os
