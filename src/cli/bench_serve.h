// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait bench serve`: sends a load to a server and prints what its clients see.
void add_bench_serve(CLI::App& bench, Session& session);

}  // namespace plait::cli
