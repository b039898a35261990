// SPDX-License-Identifier: Apache-2.0
#include "store/file_layer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include "base/random.h"
#include "testing/bytes.h"
#include "testing/crash_disk.h"
#include "testing/temp_dir.h"

namespace plait::store {
namespace {

using base::ErrorCode;
using testing::bytes_of;
using testing::CrashDisk;

// Random operations on three names of a folder; what each call said, in words.
std::vector<std::string> transcript(FileLayer& layer, const std::filesystem::path& folder, std::uint64_t seed) {
  std::uint64_t drawn = 0;
  const auto draw = [&](std::uint64_t below) { return base::random_u64(seed, drawn++) % below; };
  std::vector<std::string> said;
  const auto say = [&](const auto& result, const auto&... more) {
    said.push_back(result ? fmt::format("ok {}", fmt::join(std::initializer_list<std::uint64_t>{more...}, " "))
                          : std::string(base::name(result.error().code)));
  };
  std::map<std::string, std::unique_ptr<File>> files;
  for (int i = 0; i < 200; ++i) {
    const std::string name(1, static_cast<char>('a' + draw(3)));
    if (!files.contains(name) || draw(12) == 0) {
      auto file = layer.open(folder / name);
      say(file);
      if (file) files[name] = *std::move(file);
      continue;
    }
    File& file = *files[name];
    std::vector<std::byte> bytes(draw(2000), static_cast<std::byte>(draw(256)));
    const std::uint64_t offset = draw(3000);
    switch (draw(8)) {
      case 0:
        say(file.sync());
        break;
      case 1:
        say(file.truncate(offset));
        break;
      case 2:
      case 3:
        say(file.write(offset, bytes));
        break;
      case 4: {
        const auto got = file.read(offset, bytes);
        std::uint64_t sum = 0;
        for (const std::byte byte : bytes) sum = base::mix64(sum + std::to_integer<std::uint64_t>(byte) + 1);
        say(got, got.value_or(0), sum);
        break;
      }
      case 5: {
        const auto names = layer.list(folder);
        said.push_back(fmt::format("{}", fmt::join(names.value(), " ")));
        break;
      }
      case 6:
        say(layer.sync_directory(folder));
        break;
      default: {
        const auto size = file.size();
        say(size, size.value_or(0));
        files.erase(name);  // nobody holds it now
        const std::string other(1, static_cast<char>('a' + draw(3)));
        if (!files.contains(other)) say(layer.rename(folder / name, folder / other));
        break;
      }
    }
  }
  return said;
}

TEST(FileLayer, TheModelAndTheMachineSayTheSame) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const testing::TempDir folder;
    OsFileLayer machine;
    CrashDisk model(seed);
    ASSERT_EQ(transcript(machine, folder.path(), seed), transcript(model, "any", seed)) << seed;
  }
}

TEST(FileLayer, ErrorsOfTheMachine) {
  const testing::TempDir folder;
  OsFileLayer layer;
  EXPECT_EQ(layer.open(folder / "absent/a").error().code, ErrorCode::not_found);
  EXPECT_EQ(layer.open(folder.path()).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(layer.open("/dev/null").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(layer.rename(folder / "a", folder / "b").error().code, ErrorCode::not_found);
  EXPECT_EQ(layer.list(folder / "absent").error().code, ErrorCode::not_found);
  EXPECT_EQ(layer.sync_directory(folder / "absent").error().code, ErrorCode::not_found);
  const auto held = layer.open(folder / "a");
  ASSERT_TRUE(held);
  EXPECT_EQ(layer.open(folder / "a").error().code, ErrorCode::busy);
  EXPECT_EQ(folder_of("name"), ".");
  EXPECT_EQ(folder_of("a/name"), "a");
}

// What a crash made of a file of 4 sectors, the first of which was synced: its size and which sectors arrived.
std::string fate(std::uint64_t seed) {
  CrashDisk disk(seed);
  const auto file = disk.open("f").value();
  EXPECT_TRUE(file->write(0, bytes_of(std::string(512, '0'))));
  EXPECT_TRUE(file->sync());
  EXPECT_TRUE(disk.sync_directory("."));
  for (int i = 1; i < 4; ++i) {
    EXPECT_TRUE(
        file->write(static_cast<std::uint64_t>(512 * i), bytes_of(std::string(512, static_cast<char>('0' + i)))));
  }
  disk.crash();
  EXPECT_EQ(file->size().error().code, ErrorCode::io);
  std::string sectors;
  const auto content = disk.content("f");
  EXPECT_EQ(content.size() % 512, 0U);
  for (std::size_t i = 0; i < content.size() / 512; ++i) {
    const char first = static_cast<char>(content[512 * i]);
    EXPECT_TRUE(std::ranges::all_of(std::span(content).subspan(512 * i, 512),
                                    [&](std::byte byte) { return static_cast<char>(byte) == first; }));
    sectors += first == 0 ? '.' : first;
  }
  return sectors;
}

TEST(CrashDisk, KeepsWhatWasSyncedAndAnyPartOfTheRest) {
  std::set<std::string> fates;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) fates.insert(fate(seed));
  for (const std::string& sectors : fates) EXPECT_EQ(sectors.substr(0, 1), "0");
  EXPECT_EQ(fates.size(), 1U + 2 + 4 + 8);  // each size, and each choice of sectors within it
}

TEST(CrashDisk, ANameThatWasNotSyncedMayVanish) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CrashDisk disk(seed);
    EXPECT_TRUE(disk.open("a").value()->sync());
    EXPECT_TRUE(disk.sync_directory("."));
    EXPECT_TRUE(disk.rename("a", "b"));
    EXPECT_TRUE(disk.open("c").value()->sync());
    disk.crash();
    seen.insert(fmt::format("{}", fmt::join(disk.list(".").value(), "")));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"a", "ac", "b", "bc"}));
}

TEST(CrashDisk, AFailedSyncForgets) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CrashDisk disk(seed);
    const auto file = disk.open("f").value();
    EXPECT_TRUE(disk.sync_directory("."));
    EXPECT_TRUE(file->write(0, bytes_of("lost")));
    disk.fail_next_sync();
    EXPECT_EQ(file->sync().error().code, ErrorCode::io);
    EXPECT_EQ(disk.content("f").size(), 4U);  // readers see it
    EXPECT_TRUE(file->sync());                // says that all is well
    disk.crash();
    EXPECT_TRUE(disk.content("f").empty());
  }
}

}  // namespace
}  // namespace plait::store
