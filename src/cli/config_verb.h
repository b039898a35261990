// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait config show`: every setting, its value and where the value came from.
void add_config(CLI::App& app, Session& session);

}  // namespace plait::cli
