// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait roofline`: what the machine can do at most.
void add_roofline(CLI::App& app, Session& session);

}  // namespace plait::cli
