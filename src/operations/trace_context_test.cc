// SPDX-License-Identifier: Apache-2.0
#include "operations/trace_context.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>

namespace plait::operations {
namespace {

constexpr auto kField = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContext, IsReadAndWritten) {
  const auto context = parse_traceparent(kField);
  ASSERT_TRUE(context);
  EXPECT_EQ(hex(context->trace), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(hex(context->span), "00f067aa0ba902b7");
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(traceparent(*context), kField);
}

TEST(TraceContext, FlagsButTheFirstAreLeftAlone) {
  EXPECT_FALSE(parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe")->sampled);
  EXPECT_TRUE(parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff")->sampled);
}

TEST(TraceContext, LaterVersionsMayBeLonger) {
  const std::string rest = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_TRUE(parse_traceparent("01" + rest));
  EXPECT_TRUE(parse_traceparent("01" + rest + "-more"));
  EXPECT_FALSE(parse_traceparent("01" + rest + "more"));
  EXPECT_FALSE(parse_traceparent("00" + rest + "-more"));
  EXPECT_FALSE(parse_traceparent("ff" + rest));
}

TEST(TraceContext, OtherThingsAreNothing) {
  for (const char* field : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
                            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
                            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
                            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    EXPECT_FALSE(parse_traceparent(field)) << field;
  }
}

TEST(TraceContext, WhatIsWrittenIsReadBack) {
  EXPECT_TRUE(rc::check([](TraceId trace, SpanId span, bool sampled) {
    const TraceContext context{.trace = trace, .span = span, .sampled = sampled};
    const bool valid = trace != TraceId{} && span != SpanId{};
    RC_ASSERT(parse_traceparent(traceparent(context)) == (valid ? std::optional(context) : std::nullopt));
  }));
}

TEST(TraceContext, StatesAreKeptWithinBounds) {
  EXPECT_EQ(kept_tracestate("a=1,b=2"), "a=1,b=2");
  EXPECT_EQ(kept_tracestate("a=\n"), "");
  EXPECT_EQ(kept_tracestate(std::string(513, 'a')), "");
  EXPECT_EQ(kept_tracestate(std::string(512, 'a')).size(), 512U);
}

TEST(TraceIds, AreAllDifferent) {
  const TraceIds ids(1);
  std::set<std::string> seen;
  for (std::uint64_t number = 1; number <= 500; ++number) {
    EXPECT_TRUE(seen.insert(hex(ids.trace(number))).second);
    for (std::uint64_t part = 0; part < 4; ++part) EXPECT_TRUE(seen.insert(hex(ids.span(number, part))).second);
  }
  EXPECT_EQ(hex(TraceIds(1).trace(7)), hex(ids.trace(7)));
  EXPECT_NE(hex(TraceIds().trace(1)), hex(TraceIds().trace(1)));
}

}  // namespace
}  // namespace plait::operations
