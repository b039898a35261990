// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait embed [TEXT…]`: a vector for each text.
void add_embed(CLI::App& app, Session& session);

}  // namespace plait::cli
