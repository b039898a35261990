// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/command.h"

namespace plait::cli {

/// The running server that a verb talks to, and the key that it shows.
struct ServerAddress {
  std::string url = {};  ///< Empty: the one that `plait serve` with the same settings has.
  std::string key = {};  ///< Empty: PLAIT_API_KEY, or none.
};

/// --url and --key.
void add_server_options(CLI::App& verb, ServerAddress& address);
/// The address with what was left out filled in.
[[nodiscard]] ServerAddress complete(ServerAddress address, const Session& session);

}  // namespace plait::cli
