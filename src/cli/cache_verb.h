// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait cache replay TRACE`: how many faults each eviction policy has on a recorded trace, beside the optimum.
void add_cache(CLI::App& app, Session& session);

}  // namespace plait::cli
