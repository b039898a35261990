// SPDX-License-Identifier: Apache-2.0
#include "hub/wheel.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

#include "base/random.h"
#include "hub/zip_for_test.h"

namespace plait::hub {
namespace {

using base::ErrorCode;
using base::Result;

Result<std::string> read(const std::string& archive, std::string_view name) {
  PLAIT_TRY(const Wheel wheel, Wheel::open(std::as_bytes(std::span(archive))));
  const Wheel::Member* member = wheel.find(name);
  if (member == nullptr) return base::fail(ErrorCode::not_found, "no such member");
  std::string text;
  PLAIT_TRY_VOID(wheel.read(*member, [&](std::span<const std::byte> bytes) -> Result<void> {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }));
  return text;
}

std::string archive_of(const ZipMember& member, bool zip64 = false) {
  ZipWriter zip;
  zip.add({.name = "first", .content = "something before"});
  zip.add(member);
  return zip.finish(zip64);
}

std::string large_text() {
  std::string text;
  for (std::uint64_t i = 0; i < 3'000'000; ++i) text += static_cast<char>('a' + base::random_u64(1, i / 3) % 26);
  return text;
}

TEST(Wheel, StoredDeflatedAndZip64) {
  const std::string content = large_text();
  for (const bool deflated : {false, true}) {
    for (const bool zip64 : {false, true}) {
      const std::string archive =
          archive_of({.name = "p/data/model.bin", .content = content, .deflated = deflated, .zip64 = zip64}, zip64);
      EXPECT_EQ(read(archive, "p/data/model.bin"), content);
    }
  }
}

TEST(Wheel, EmptyMemberAndEmptyArchive) {
  EXPECT_EQ(read(archive_of({.name = "e", .content = ""}), "e"), "");
  EXPECT_EQ(read(archive_of({.name = "e", .content = "", .deflated = false}), "e"), "");
  EXPECT_EQ(read(ZipWriter().finish(), "e").error().code, ErrorCode::not_found);
}

TEST(Wheel, ACommentThatLooksLikeAnEndRecord) {
  ZipWriter zip;
  zip.add({.name = "a", .content = "x"});
  EXPECT_EQ(read(zip.finish(false, std::string("PK\5\6") + std::string(40, '\0')), "a"), "x");
}

TEST(Wheel, LiesAreFound) {
  const auto code = [](const ZipMember& member) { return read(archive_of(member), "m").error().code; };
  const std::string content(5000, 'q');
  EXPECT_EQ(code({.name = "m", .content = content, .claimed_extra = -1}), ErrorCode::invalid_data);
  EXPECT_EQ(code({.name = "m", .content = content, .claimed_extra = 1}), ErrorCode::invalid_data);
  EXPECT_EQ(code({.name = "m", .content = content, .deflated = false, .claimed_extra = 1}), ErrorCode::invalid_data);
  EXPECT_EQ(code({.name = "m", .content = content, .crc_error = 1}), ErrorCode::invalid_data);
  EXPECT_EQ(code({.name = "m", .content = content, .flags = 1}), ErrorCode::unsupported);
  EXPECT_EQ(code({.name = "m", .content = content, .method = 12}), ErrorCode::unsupported);
  EXPECT_EQ(code({.name = "m", .content = content, .deflated = false, .method = 8}), ErrorCode::invalid_data);
}

TEST(Wheel, TheSinkCanStopIt) {
  const std::string archive = archive_of({.name = "m", .content = "text"});
  const auto wheel = Wheel::open(std::as_bytes(std::span(archive)));
  ASSERT_TRUE(wheel);
  const auto stop = [](std::span<const std::byte>) { return base::fail(ErrorCode::interrupted, "stop"); };
  EXPECT_EQ(wheel->read(*wheel->find("m"), stop).error().code, ErrorCode::interrupted);
}

TEST(Wheel, NamesAreOnlyNames) {
  ZipWriter zip;
  zip.add({.name = "../../etc/evil", .content = "x"});
  zip.add({.name = "/abs", .content = "y"});
  EXPECT_EQ(read(zip.finish(), "../../etc/evil"), "x");  // to the caller's sink, nowhere else
}

TEST(Wheel, EveryPrefixIsRefused) {
  const std::string whole = archive_of({.name = "m", .content = "some text, some text"}, true);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(read(whole.substr(0, length), "m")) << length;
  }
}

TEST(Wheel, DamagedArchivesNeverGiveOtherContent) {
  const std::string content = "the quick brown fox, the quick brown fox, the quick brown fox";
  for (const bool zip64 : {false, true}) {
    const std::string whole = archive_of({.name = "m", .content = content, .zip64 = zip64}, zip64);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (const int mask : {0x01, 0x80, 0xff}) {
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] ^ mask);
        const auto text = read(damaged, "m");
        EXPECT_TRUE(!text || *text == content) << i;
      }
    }
  }
}

TEST(Wheel, AnyContentComesBack) {
  EXPECT_TRUE(rc::check("read(write(x)) == x",
                        [](const std::string& name, const std::string& content, bool deflated, bool zip64) {
                          ZipWriter zip;
                          zip.add({.name = name, .content = content, .deflated = deflated, .zip64 = zip64});
                          const auto text = read(zip.finish(zip64), name);
                          RC_ASSERT(text.has_value());
                          RC_ASSERT(*text == content);
                        }));
}

}  // namespace
}  // namespace plait::hub
