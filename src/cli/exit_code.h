// SPDX-License-Identifier: Apache-2.0
//
// How a failure leaves the program: an exit code and one line.
#pragma once

#include <string>

#include "base/result.h"

namespace plait::cli {

/// The program's exit codes. Part of the interface: scripts depend on them.
enum class ExitCode : int {
  done = 0,
  failed = 1,            ///< Anything that has no code of its own: input, output, network, somebody else holds a lock.
  wrong_usage = 2,       ///< A bad option, argument or setting.
  invalid_file = 3,      ///< A model or another file is missing, damaged or of a kind plait does not do.
  out_of_resources = 4,  ///< Memory, disk space or a limit that was set.
  interrupted = 130,     ///< The user pressed Ctrl-C.
};

/// The exit code of a failure.
[[nodiscard]] ExitCode exit_code(base::ErrorCode code);

/// What the user reads on standard error, without the final line break: `plait: ` and the message in one line;
/// with `verbose`, the contexts follow, one a line. Control characters of the message are shown as `?`.
[[nodiscard]] std::string describe(const base::Error& error, bool verbose);

}  // namespace plait::cli
