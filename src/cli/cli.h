// SPDX-License-Identifier: Apache-2.0
//
// The command line: `plait VERB ...`.
#pragma once

namespace plait::cli {

/// Runs one command line and returns the exit code: 0 done, 1 failed, 2 wrong usage, 3 model or file invalid,
/// 4 out of resources, 130 interrupted. The result goes to standard output, everything else to standard error.
int run(int argc, char** argv);

}  // namespace plait::cli
