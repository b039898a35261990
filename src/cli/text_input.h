// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

namespace plait::cli {

/// All of standard input, without its last line break. On a terminal nothing is read: the error shows `example`.
/// Errors: invalid_argument (a terminal, empty input), out_of_resources (more than 64 MiB), io.
base::Result<std::string> read_standard_input(const std::string& example);

/// The text of a file, or of standard input for "-". Errors: as os::read_file and read_standard_input.
base::Result<std::string> read_text(const std::string& path);

}  // namespace plait::cli
