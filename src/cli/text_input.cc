// SPDX-License-Identifier: Apache-2.0
#include "cli/text_input.h"

#include <array>
#include <cstdio>

#include "base/units.h"
#include "os/file.h"
#include "os/terminal.h"

namespace plait::cli {
namespace {

using namespace base::literals;
constexpr base::Bytes kInputBytesMax = 64_MiB;  // far beyond any context; keeps an endless pipe from filling the memory

}  // namespace

base::Result<std::string> read_standard_input(const std::string& example) {
  if (os::is_terminal(os::StandardStream::input)) {
    return base::fail(base::ErrorCode::invalid_argument, "no text given; try: " + example);
  }
  std::string text;
  std::array<char, 65536> buffer;
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), stdin)) {
    text.append(buffer.data(), count);
    if (text.size() > kInputBytesMax) {
      return base::fail(base::ErrorCode::out_of_resources, "standard input holds more than 64 MiB");
    }
  }
  if (std::ferror(stdin) != 0) return base::fail(base::ErrorCode::io, "cannot read standard input");
  if (text.ends_with('\n')) text.pop_back();
  if (text.empty()) return base::fail(base::ErrorCode::invalid_argument, "standard input is empty; try: " + example);
  return text;
}

base::Result<std::string> read_text(const std::string& path) {
  if (path == "-") return read_standard_input("a file name instead of -");
  return os::read_file(path, kInputBytesMax);
}

}  // namespace plait::cli
