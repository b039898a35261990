// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait ask QUESTION`: one answer, streamed to standard output.
void add_ask(CLI::App& app, Session& session);

}  // namespace plait::cli
