// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait key add|list|remove`: the API keys that `plait serve` asks for.
void add_key(CLI::App& app, Session& session);

}  // namespace plait::cli
