// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait ps`: the requests of a running server.
void add_ps(CLI::App& app, Session& session);

}  // namespace plait::cli
