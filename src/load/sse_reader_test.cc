// SPDX-License-Identifier: Apache-2.0
#include "load/sse_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace plait::load {
namespace {

std::vector<std::string> events_of(const std::vector<std::string_view>& pieces) {
  std::vector<std::string> events;
  SseReader reader;
  for (const std::string_view piece : pieces) {
    EXPECT_TRUE(reader.feed(piece, [&](std::string_view data) { events.emplace_back(data); }));
  }
  return events;
}

TEST(SseReader, SaysTheSameHoweverTheStreamIsCut) {
  const std::string stream =
      "\xEF\xBB\xBF"
      "data: one\n\ndata:two\r\n\r\n: a comment\nevent: message\nid: 7\ndata: three\rdata: lines\r\r"
      "data\n\nretry: 10\n\ndata:  [DONE]\n\ndata: without an end";
  const std::vector<std::string> wanted = {"one", "two", "three\nlines", "", " [DONE]"};
  EXPECT_EQ(events_of({stream}), wanted);
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    const std::string_view all = stream;
    EXPECT_EQ(events_of({all.substr(0, cut), all.substr(cut)}), wanted) << cut;
  }
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < stream.size(); ++i) bytes.push_back(std::string_view(stream).substr(i, 1));
  EXPECT_EQ(events_of(bytes), wanted);
}

TEST(SseReader, WhatIsTooLongEndsIt) {
  const std::string half(SseReader::kEventBytesMax / 2, 'x');
  SseReader line;
  EXPECT_TRUE(line.feed("data: " + half.substr(0, half.size() - 6), [](auto) {}));
  EXPECT_TRUE(line.feed(half, [](auto) {}));
  EXPECT_FALSE(line.feed("x", [](auto) {}));
  EXPECT_FALSE(line.feed("\n\ndata: next\n\n", [](auto) { FAIL(); }));
  SseReader lines;
  EXPECT_TRUE(lines.feed("data: " + half + "\n", [](auto) {}));
  EXPECT_FALSE(lines.feed("data: " + half + "\n", [](auto) {}));
}

}  // namespace
}  // namespace plait::load
