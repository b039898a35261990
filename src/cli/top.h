// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait top`: a running server, looked at again and again.
void add_top(CLI::App& app, Session& session);

}  // namespace plait::cli
