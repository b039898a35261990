// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/check.h"

namespace plait::cli {

CLI::Option* add_setting(CLI::App& verb, Session& session, const std::string& names, std::string_view key) {
  const Setting* setting = find_setting(key);
  PLAIT_CHECK(setting != nullptr, key);
  const auto store = [&session, name = std::string(key)](const std::string& value) {
    session.overrides.emplace_back(name, value);
  };
  return verb.add_option_function<std::string>(names, store, std::string(setting->about));
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void note(const Session& session, std::string_view line) {
  if (session.quiet) return;
  std::fflush(stdout);
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fputc('\n', stderr);
}

}  // namespace plait::cli
