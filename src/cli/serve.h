// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait serve`: a model behind OpenAI's API.
void add_serve(CLI::App& app, Session& session);

}  // namespace plait::cli
