// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait chat`: turns with a model on a terminal or from a pipe, one line each.
void add_chat(CLI::App& app, Session& session);

}  // namespace plait::cli
