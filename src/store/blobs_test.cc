// SPDX-License-Identifier: Apache-2.0
#include "store/blobs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "testing/crash_disk.h"

namespace plait::store {
namespace {

using testing::CrashDisk;

std::string content_of(const Blobs& blobs, std::string_view name) {
  std::string content;
  std::vector<std::byte> piece(7);
  while (true) {
    const auto got = blobs.read(name, content.size(), piece);
    if (!got) return "error: " + std::string(base::name(got.error().code));
    content.append(reinterpret_cast<const char*>(piece.data()), *got);
    if (*got < piece.size()) return content;
  }
}

TEST(Blobs, AreThereWhenKept) {
  CrashDisk disk(0);
  const auto blobs = *Blobs::open(disk, "folder");
  ASSERT_TRUE(blobs->put("one", "a content of some length"));
  EXPECT_EQ(content_of(*blobs, "one"), "a content of some length");
  ASSERT_TRUE(blobs->put("empty", ""));
  EXPECT_EQ(content_of(*blobs, "empty"), "");
  {
    const auto writer = *blobs->begin("two");
    ASSERT_TRUE(writer->append("ab"));
    ASSERT_TRUE(writer->append("cd"));
    EXPECT_EQ(content_of(*blobs, "two"), "error: not_found");
  }
  EXPECT_EQ(*blobs->names(), (std::vector<std::string>{"empty", "one"}));
  EXPECT_EQ(*disk.list(""), (std::vector<std::string>{"empty", "one"}));  // nothing half-written stays
  ASSERT_TRUE(blobs->remove("one"));
  EXPECT_EQ(content_of(*blobs, "one"), "error: not_found");
  EXPECT_EQ(blobs->remove("one").error().code, base::ErrorCode::not_found);
}

TEST(Blobs, HaveNamesThatAreNoPaths) {
  CrashDisk disk(0);
  const auto blobs = *Blobs::open(disk, "folder");
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("../x"),
        std::string("a.part"), std::string("a\0b", 3), std::string(101, 'a'), std::string("é")}) {
    EXPECT_EQ(blobs->put(name, "x").error().code, base::ErrorCode::invalid_argument) << name;
    EXPECT_EQ(blobs->remove(name).error().code, base::ErrorCode::invalid_argument) << name;
    std::vector<std::byte> piece(1);
    EXPECT_EQ(blobs->read(name, 0, piece).error().code, base::ErrorCode::invalid_argument) << name;
  }
}

TEST(Blobs, AFullDiskLeavesNothing) {
  CrashDisk disk(3);
  const auto blobs = *Blobs::open(disk, "folder");
  disk.fill_up(1);
  EXPECT_EQ(blobs->put("one", std::string(5000, 'x')).error().code, base::ErrorCode::out_of_resources);
  EXPECT_TRUE(disk.list("")->empty());
  ASSERT_TRUE(blobs->put("one", "small"));
  disk.fail_next_sync();
  EXPECT_EQ(blobs->put("two", "x").error().code, base::ErrorCode::io);
  EXPECT_EQ(*disk.list(""), std::vector<std::string>{"one"});
}

// Whatever the moment at which the power goes: what was kept is whole, what was not is gone or whole, and nothing else
// is there once the folder is opened again.
TEST(Blobs, SurviveCrashes) {
  std::size_t crashes = 0;
  std::size_t kept = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CrashDisk disk(seed);
    std::map<std::string, std::string> promised;
    std::map<std::string, std::string> tried;
    for (std::uint64_t life = 0; life < 4; ++life) {
      disk.cut_power_after(base::random_u64(seed, life) % 25);
      if (const auto blobs = Blobs::open(disk, "folder")) {
        for (int i = 0; i < 5; ++i) {
          const std::string name = fmt::format("n{}-{}", life, i);
          const std::string content(base::random_u64(seed, 100 + life * 10 + static_cast<std::uint64_t>(i)) % 3000,
                                    static_cast<char>('a' + i));
          tried[name] = content;
          if (!(*blobs)->put(name, content)) break;
          promised[name] = content;
        }
      }
      crashes += disk.power_is_off() ? 1 : 0;
      disk.crash();
      const auto blobs = *Blobs::open(disk, "folder");
      for (const auto& [name, content] : promised) ASSERT_EQ(content_of(*blobs, name), content) << seed;
      const auto names = *disk.list("");
      for (const std::string& name : names) ASSERT_EQ(content_of(*blobs, name), tried.at(name)) << seed;
      kept += promised.size();
    }
  }
  EXPECT_GT(crashes, 100U);
  EXPECT_GT(kept, 500U);
}

}  // namespace
}  // namespace plait::store
