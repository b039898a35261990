// SPDX-License-Identifier: Apache-2.0
//
// Runs another program and waits for it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace plait::os {

struct ProcessOptions {
  std::vector<std::string> arguments;  ///< The program (looked up in PATH) and its arguments. No shell is involved.
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< Added to, or replacing, this process's own.
  std::filesystem::path folder = {};                                  ///< Working folder; empty: this process's own.
  std::chrono::milliseconds timeout = {};                             ///< 0: none.
  base::Bytes output_bytes_max = 1 << 20;  ///< Of each stream this much is kept, the rest is read and dropped.
  std::function<bool()> keep_going = {};   ///< Asked about ten times a second; false ends the program.
};

struct ProcessResult {
  int exit_code = 0;        ///< 128 + signal number if a signal ended it.
  std::string output = {};  ///< Its standard output.
  std::string errors = {};  ///< Its standard error.
};

/// Starts the program in a process group of its own with an empty standard input, and waits until it has ended.
/// Programs that it leaves behind are ended, too. An exit code that is not 0 is a result, not an error. Errors:
/// not_found (no such program), interrupted (keep_going said no, or the time is over; the whole group has been ended:
/// TERM, two seconds later KILL), out_of_resources, io. Any thread.
[[nodiscard]] base::Result<ProcessResult> run_process(const ProcessOptions& options);

}  // namespace plait::os
