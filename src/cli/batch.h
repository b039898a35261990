// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait batch FILE -o OUT`: a file of requests in OpenAI's batch shape, answered side by side.
void add_batch(CLI::App& app, Session& session);

}  // namespace plait::cli
