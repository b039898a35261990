// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait think`: one question by a strategy of strands.
void add_think(CLI::App& app, Session& session);

}  // namespace plait::cli
