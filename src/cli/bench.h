// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait bench`: tokens per second of a model, beside what the machine can do at most.
void add_bench(CLI::App& app, Session& session);

}  // namespace plait::cli
