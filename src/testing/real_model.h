// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace plait::testing {

/// The file of a real model for tests that need one: $PLAIT_MODELS/<name>.gguf, else the file in plait's own cache; an
/// empty path when it is not here (the test then skips).
inline std::filesystem::path real_model(const std::string& name) {
  const char* folder = std::getenv("PLAIT_MODELS");
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  std::filesystem::path path;
  if (folder != nullptr) {
    path = folder;
  } else if (cache != nullptr) {
    path = std::filesystem::path(cache) / "plait" / "models";
  } else {
    path = std::filesystem::path(home == nullptr ? "/" : home) / ".cache" / "plait" / "models";
  }
  path /= name + ".gguf";
  return std::filesystem::exists(path) ? path : std::filesystem::path();
}

}  // namespace plait::testing
