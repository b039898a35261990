// SPDX-License-Identifier: Apache-2.0
#include "cli/exit_code.h"

namespace plait::cli {
namespace {

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      line += ' ';
    } else {
      line += byte < 0x20 || byte == 0x7f ? '?' : c;
    }
  }
  return line;
}

}  // namespace

ExitCode exit_code(base::ErrorCode code) {
  using enum base::ErrorCode;
  switch (code) {
    case invalid_argument:
      return ExitCode::wrong_usage;
    case invalid_data:
    case unsupported:
    case not_found:
      return ExitCode::invalid_file;
    case out_of_resources:
      return ExitCode::out_of_resources;
    case interrupted:
      return ExitCode::interrupted;
    case io:
    case network:
    case busy:
    case internal:
      return ExitCode::failed;
  }
  return ExitCode::failed;
}

std::string describe(const base::Error& error, bool verbose) {
  std::string text = "plait: " + one_line(error.text());
  if (verbose) {
    for (const std::string& line : error.context) text += "\n  " + one_line(line);
    text += "\n  (" + std::string(base::name(error.code)) + ")";
  }
  return text;
}

}  // namespace plait::cli
