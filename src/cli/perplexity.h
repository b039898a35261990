// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace plait::cli {

/// `plait perplexity FILE`: how well a model predicts a text, and how far it is from another one.
void add_perplexity(CLI::App& app, Session& session);

}  // namespace plait::cli
