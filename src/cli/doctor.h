// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace plait::cli {

/// One thing that was looked at.
struct Finding {
  enum class State {
    good,
    hint,     ///< Works, but could be better: slower, or something may fail later.
    missing,  ///< plait cannot answer without it.
  };
  State state = State::good;
  std::string subject;   ///< "memory"
  std::string value;     ///< "21.3 GiB available of 23.5 GiB"
  std::string fix = {};  ///< The command that makes it better; empty if there is none or nothing to do.
};

/// Looks at processor, memory, limits, folders, the model and pip. Reads only; runs `pip --version` if a model is
/// missing.
[[nodiscard]] std::vector<Finding> examine(const Config& config);

/// `plait doctor`: what this machine offers and what is missing, with the command that fixes it. Fails if something is.
void add_doctor(CLI::App& app, Session& session);

}  // namespace plait::cli
