// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait tokenize [TEXT]`: the tokens a model sees.
void add_tokenize(CLI::App& app, Session& session);

}  // namespace plait::cli
