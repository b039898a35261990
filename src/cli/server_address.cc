// SPDX-License-Identifier: Apache-2.0
#include "cli/server_address.h"

#include <CLI/CLI.hpp>
#include <cstdlib>

namespace plait::cli {
namespace {

// What listens on all addresses is reached at loopback.
std::string host_of(std::string host) {
  if (host == "0.0.0.0" || host.empty()) return "127.0.0.1";
  if (host == "::" || host == "[::]") return "[::1]";
  return host.find(':') != std::string::npos && !host.starts_with('[') ? '[' + host + ']' : host;
}

}  // namespace

void add_server_options(CLI::App& verb, ServerAddress& address) {
  verb.add_option("--url", address.url, "Server to talk to; default: the local one, as the settings have it");
  verb.add_option("--key", address.key, "API key; default: PLAIT_API_KEY from the environment, which no list shows");
}

ServerAddress complete(ServerAddress address, const Session& session) {
  if (address.url.empty()) {
    address.url =
        fmt::format("http://{}:{}", host_of(session.config.text("server.host")), session.config.number("server.port"));
  }
  const char* key = std::getenv("PLAIT_API_KEY");
  if (address.key.empty() && key != nullptr) address.key = key;
  return address;
}

}  // namespace plait::cli
