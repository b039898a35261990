// SPDX-License-Identifier: Apache-2.0
//
// Recovery of any bytes. The first byte says what the rest is: the content of a log file (even), or a recipe for a good
// log and for damage to it (odd), which gets behind the checksums. Whatever recovery accepts must stay accepted, be
// writable, and in the second case be the beginning of what was written.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/check.h"
#include "store/log.h"
#include "testing/crash_disk.h"

namespace {

using namespace plait;
using Record = std::vector<std::byte>;

base::Result<std::unique_ptr<store::Log>> open_log(testing::CrashDisk& disk, std::vector<Record>& records) {
  records.clear();
  return store::Log::open(disk, "log", [&](std::span<const std::byte> record) -> base::Result<void> {
    records.emplace_back(record.begin(), record.end());
    return {};
  });
}

// Records of given lengths with commits in between; the bytes that are left of the recipe.
std::span<const std::byte> write_log(testing::CrashDisk& disk, std::span<const std::byte> recipe,
                                     std::vector<Record>& written) {
  std::vector<Record> none;
  auto log = open_log(disk, none).value();
  while (!recipe.empty()) {
    const auto code = std::to_integer<unsigned>(recipe[0]);
    recipe = recipe.subspan(1);
    if (code == 0xff) break;
    written.emplace_back(code % 64 * 9, static_cast<std::byte>(code));
    PLAIT_CHECK(log->append(written.back()));
    if (code >= 128) PLAIT_CHECK(log->commit());
  }
  PLAIT_CHECK(recipe.size() % 2 == 1 ? store::Log::close(std::move(log)) : log->commit());
  return recipe;
}

// Triples: two bytes of offset, one to add there; those with 0 to add cut the file.
void damage(testing::CrashDisk& disk, std::span<const std::byte> recipe) {
  auto content = disk.content("log");
  for (; recipe.size() >= 3 && !content.empty(); recipe = recipe.subspan(3)) {
    const std::size_t at =
        (std::to_integer<std::size_t>(recipe[0]) << 8 | std::to_integer<std::size_t>(recipe[1])) % content.size();
    if (recipe[2] == std::byte{0}) {
      content.resize(at);
    } else {
      content[at] ^= recipe[2];
    }
  }
  disk.set_content("log", content);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto input = std::as_bytes(std::span(data, size)).subspan(1);
  testing::CrashDisk disk(0);
  std::vector<Record> written;
  const bool recipe = data[0] % 2 == 1;
  if (recipe) {
    damage(disk, write_log(disk, input, written));
  } else {
    disk.set_content("log", input);
  }
  const auto content = disk.content("log");
  std::vector<Record> records;
  auto log = open_log(disk, records);
  if (recipe) {
    PLAIT_CHECK(records.size() <= written.size(), records.size(), written.size());
    for (std::size_t i = 0; i < records.size(); ++i) PLAIT_CHECK(records[i] == written[i], i);
  }
  if (!log) {
    PLAIT_CHECK(disk.content("log") == content);
    return 0;
  }
  records.push_back(Record(5, std::byte{5}));
  PLAIT_CHECK((*log)->append(records.back()) && (*log)->commit());
  log->reset();
  std::vector<Record> again;
  PLAIT_CHECK(open_log(disk, again).value()->recovery().bytes_dropped == 0);
  PLAIT_CHECK(again == records);
  return 0;
}
