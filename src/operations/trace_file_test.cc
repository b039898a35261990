// SPDX-License-Identifier: Apache-2.0
#include "operations/trace_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "operations/record_for_test.h"
#include "os/file.h"
#include "testing/temp_dir.h"
#include "text/json.h"

namespace plait::operations {
namespace {

const std::vector<RecordPointer> kOne = {std::make_shared<const RequestRecord>(answered_request())};

std::size_t lines_of(const std::filesystem::path& path) {
  const auto text = os::read_file(path, 1 << 24);
  return text ? static_cast<std::size_t>(std::ranges::count(*text, '\n')) : 0;
}

TEST(TraceFile, HasALineForEachRequest) {
  const testing::TempDir dir;
  for (int i = 0; i < 2; ++i) {  // the second goes on at the end
    const auto file = TraceFile::open({.path = dir / "traces.jsonl"});
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ((*file)->write(kOne, {}), 0U);
    EXPECT_EQ((*file)->write(kOne, {}), 0U);
  }
  std::ifstream text(dir / "traces.jsonl");
  std::size_t lines = 0;
  for (std::string line; std::getline(text, line); ++lines) {
    const auto json = text::parse_json(line);
    ASSERT_TRUE(json);
    EXPECT_EQ((*json)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "chat tiny");
  }
  EXPECT_EQ(lines, 4U);
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(dir / "traces.jsonl").permissions(), perms::owner_read | perms::owner_write);
}

TEST(TraceFile, TurnsRoundByItself) {
  const testing::TempDir dir;
  const auto file = TraceFile::open({.path = dir / "t", .bytes_max = 8000});
  ASSERT_TRUE(file);
  for (int i = 0; i < 12; ++i) EXPECT_EQ((*file)->write(kOne, {}), 0U);
  EXPECT_LE(std::filesystem::file_size(dir / "t"), 8000U);
  EXPECT_LE(std::filesystem::file_size(dir / "t.1"), 8000U);
  EXPECT_GE(lines_of(dir / "t.1"), 2U);
}

TEST(TraceFile, SomebodyElseMayTurnItRound) {
  const testing::TempDir dir;
  const auto file = TraceFile::open({.path = dir / "t"});
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->write(kOne, {}), 0U);
  std::filesystem::rename(dir / "t", dir / "old");
  EXPECT_EQ((*file)->write(kOne, {}), 0U);
  EXPECT_EQ(lines_of(dir / "old"), 1U);
  EXPECT_EQ(lines_of(dir / "t"), 1U);
  std::filesystem::resize_file(dir / "t", 0);
  EXPECT_EQ((*file)->write(kOne, {}), 0U);
  EXPECT_EQ(lines_of(dir / "t"), 1U);
}

TEST(TraceFile, WhatCannotBeWrittenIsLost) {
  const testing::TempDir dir;
  EXPECT_FALSE(TraceFile::open({.path = dir / "none" / "t"}));
  EXPECT_FALSE(TraceFile::open({.path = dir.path()}));
  std::filesystem::create_directory(dir / "folder");
  const auto file = TraceFile::open({.path = dir / "folder" / "t"});
  ASSERT_TRUE(file);
  std::filesystem::remove_all(dir / "folder");
  EXPECT_EQ((*file)->write(kOne, {}), 1U);
  std::filesystem::create_directory(dir / "folder");
  EXPECT_EQ((*file)->write(kOne, {}), 0U);
}

}  // namespace
}  // namespace plait::operations
