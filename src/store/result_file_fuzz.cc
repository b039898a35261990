// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a file of results: what is accepted is the beginning of the file, in whole lines, and can be added to.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "store/result_file.h"
#include "testing/crash_disk.h"

namespace {

using namespace plait;

// The lines that were handed over, each with its newline.
base::Result<std::unique_ptr<store::ResultFile>> open_results(testing::CrashDisk& disk, std::string& lines) {
  lines.clear();
  const auto on_line = [&](std::string_view line) {
    lines.append(line).append("\n");
    return !line.starts_with('!');
  };
  return store::ResultFile::open(disk, "results", on_line, {.line_bytes_max = 1000});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  testing::CrashDisk disk(0);
  disk.set_content("results", std::as_bytes(std::span(input)));
  std::string lines;
  auto results = open_results(disk, lines);
  PLAIT_CHECK(input.starts_with(lines), lines.size());
  if (!results) {
    PLAIT_CHECK(disk.content("results").size() == size);
    return 0;
  }
  PLAIT_CHECK((*results)->recovery().bytes_dropped == size - lines.size());
  PLAIT_CHECK((*results)->append("more") && (*results)->commit());
  results->reset();
  std::string again;
  PLAIT_CHECK(open_results(disk, again).value()->recovery().bytes_dropped == 0);
  PLAIT_CHECK(again == lines + "more\n");
  return 0;
}
