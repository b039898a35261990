// SPDX-License-Identifier: Apache-2.0
#include "text/timestamp.h"

#include <gtest/gtest.h>

namespace plait::text {
namespace {

TEST(Timestamp, IsUtc) {
  EXPECT_EQ(utc_time(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_time(1'782'907'200), "2026-07-01T12:00:00Z");
  const std::chrono::system_clock::time_point time{std::chrono::milliseconds(1'782'907'200'250)};
  EXPECT_EQ(utc_time(time), "2026-07-01T12:00:00.250Z");
}

}  // namespace
}  // namespace plait::text
