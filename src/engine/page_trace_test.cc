// SPDX-License-Identifier: Apache-2.0
#include "engine/page_trace.h"

#include <gtest/gtest.h>

namespace plait::engine {
namespace {

using Numbers = std::vector<std::uint32_t>;

TEST(PageTrace, ReadsPagesBitsAndComments) {
  const auto trace = parse_page_trace("# two pages\n7 1\n\n  0xff\t0  # hexadecimal\r\n7 0");
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_EQ(trace->pages, (Numbers{0, 1, 0}));
  EXPECT_EQ(trace->bits, (std::vector<std::uint8_t>{1, 0, 0}));
  EXPECT_EQ(trace->names, (std::vector<std::uint64_t>{7, 255}));
  const auto bare = parse_page_trace("18446744073709551615\n1\n");
  ASSERT_TRUE(bare);
  EXPECT_TRUE(bare->bits.empty());
  EXPECT_EQ(bare->pages, (Numbers{0, 1}));
}

TEST(PageTrace, BadLinesAreNamed) {
  struct Case {
    const char* text;
    const char* line;
  };
  for (const Case& bad :
       {Case{"1\nx\n", "line 2:"}, Case{"-1", "line 1:"}, Case{"1 2", "line 1:"}, Case{"1 1 1", "line 1:"},
        Case{"1 1\n# c\n2", "line 3:"}, Case{"1\n2 0", "line 2:"}, Case{"18446744073709551616", "line 1:"},
        Case{"0x", "line 1:"}, Case{"1e3", "line 1:"}, Case{"", "line 1:"}, Case{"# nothing\n\n", "line 2:"}}) {
    const auto trace = parse_page_trace(bad.text);
    ASSERT_FALSE(trace) << bad.text;
    EXPECT_EQ(trace.error().code, base::ErrorCode::invalid_data);
    EXPECT_TRUE(trace.error().text().starts_with(bad.line)) << trace.error().text();
  }
}

TEST(PageTrace, TextComesBack) {
  PageTrace trace = zipf_trace(500, 40, 0.7, 3);
  EXPECT_EQ(parse_page_trace(page_trace_text(trace)), trace);
  for (std::size_t i = 0; i < trace.pages.size(); ++i) trace.bits.push_back(i % 3 == 0 ? 1 : 0);
  EXPECT_EQ(parse_page_trace(page_trace_text(trace)), trace);
}

TEST(PageTrace, MadeUpTracesHaveTheirShape) {
  const PageTrace loop = loop_trace(10, 4);
  EXPECT_EQ(loop.pages, (Numbers{0, 1, 2, 3, 0, 1, 2, 3, 0, 1}));
  EXPECT_EQ(zipf_trace(4000, 100, 0.9, 1), zipf_trace(4000, 100, 0.9, 1));
  EXPECT_NE(zipf_trace(4000, 100, 0.9, 1), zipf_trace(4000, 100, 0.9, 2));
  EXPECT_EQ(zipf_trace(4000, 100, 0.9, 1).distinct(), 100U);
  const PageTrace sessions = session_trace({.requests = 1000, .seed = 2, .shared_pages = 3});
  EXPECT_EQ(sessions.pages.size(), 1000U);
  EXPECT_EQ(Numbers(sessions.pages.begin(), sessions.pages.begin() + 3), (Numbers{0, 1, 2}));
  EXPECT_NE(sessions, session_trace({.requests = 1000, .seed = 3, .shared_pages = 3}));
}

}  // namespace
}  // namespace plait::engine
