// SPDX-License-Identifier: Apache-2.0
#include "cli/cost.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace plait::cli {
namespace {

TEST(CostTrace, DefaultsOfWhatIsMissing) {
  const auto rounds = parse_trace(
      "{\"round\": 1, \"context\": 10, \"decoded\": 4}\n\n \r\n"
      "{\"trajectory\": 7, \"round\": 2, \"context\": 20, \"cached\": 15, \"decoded\": 3, "
      "\"batch\": 1.5, \"comment\": [1]}",
      "trace");
  ASSERT_TRUE(rounds);
  ASSERT_EQ(rounds->size(), 2U);
  EXPECT_EQ((*rounds)[0].trajectory, "");
  EXPECT_EQ((*rounds)[0].counters.prefilled, 10);
  EXPECT_EQ((*rounds)[0].counters.weight_reads, 4);
  EXPECT_EQ((*rounds)[1].trajectory, "7");
  EXPECT_EQ((*rounds)[1].counters.prefilled, 5);
  EXPECT_EQ((*rounds)[1].counters.weight_reads, 2);
}

TEST(CostTrace, WhatAllRowsDidMeanwhile) {
  const auto rounds = parse_trace(R"({"round": 1, "context": 10, "decoded": 4, )"
                                  R"("meanwhile": {"prefilled": 30, "weight_reads": 5, "lengths": 60.5}})",
                                  "trace");
  ASSERT_TRUE(rounds);
  EXPECT_TRUE(rounds->front().told_meanwhile);
  EXPECT_EQ(rounds->front().counters.meanwhile.prefilled, 30);
  EXPECT_EQ(rounds->front().counters.meanwhile.weight_reads, 5);
  EXPECT_EQ(rounds->front().counters.meanwhile.lengths, 60.5);
}

TEST(CostTrace, BadLinesAreNamed) {
  const std::string good = R"({"round": 1, "context": 10, "decoded": 4})";
  for (const std::string bad :
       {"{", "[]", "17", "{}", "null", "\xff", R"({"round": 1, "context": 10})",
        R"({"round": 1, "context": -1, "decoded": 4})", R"({"round": 1, "context": 1.5, "decoded": 4})",
        R"({"round": 1, "context": "10", "decoded": 4})", R"({"round": 1, "context": 1e300, "decoded": 4})",
        R"({"round": 1, "context": 10, "decoded": 4, "cached": 11})",
        R"({"round": 1, "context": 10, "decoded": 4, "cached": 5, "prefilled": 4})",
        R"({"round": 1, "context": 10, "decoded": 4, "batch": 0})",
        R"({"round": 1, "context": 10, "decoded": 4, "batch": null})",
        R"({"round": 1, "context": 10, "decoded": 4, "meanwhile": 1})",
        R"({"round": 1, "context": 10, "decoded": 4, "meanwhile": {"prefilled": 1}})",
        R"({"round": 1, "context": 10, "decoded": 4, "trajectory": {}})"}) {
    const auto rounds = parse_trace(good + "\n\n" + bad + "\n" + good, "trace");
    ASSERT_FALSE(rounds) << bad;
    EXPECT_EQ(rounds.error().code, base::ErrorCode::invalid_data) << bad;
    EXPECT_EQ(rounds.error().message.substr(0, 9), "trace:3: ") << bad;
    EXPECT_EQ(std::ranges::count(rounds.error().message, '\n'), 0) << bad;
  }
  EXPECT_FALSE(parse_trace("", "trace"));
  EXPECT_FALSE(parse_trace("\n\n", "trace"));
}

TEST(CostShape, IsReadFromPairs) {
  const auto shape =
      parse_model_shape("layers=30,width=576,kv_heads=3,head_dim=64,parameters=134.5e6,weights=98e6,bytes=1");
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->kv_bytes_per_token(), 23'040 / 2);
  EXPECT_EQ(shape->parameters, 134.5e6);
  EXPECT_EQ(shape->weight_bytes, 98e6);
  for (const char* bad : {"", "layers=30", "layers", "=", "layers=0", "layers=-1", "layers=nan", "depth=3",
                          "layers=30,,width=576,kv_heads=3,head_dim=64,parameters=134.5e6,weights=98e6"}) {
    const auto refused = parse_model_shape(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, base::ErrorCode::invalid_argument) << bad;
  }
}

}  // namespace
}  // namespace plait::cli
