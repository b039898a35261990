// SPDX-License-Identifier: Apache-2.0
#include "operations/recent_requests.h"

#include <gtest/gtest.h>

#include "operations/record_for_test.h"

namespace plait::operations {
namespace {

RecordPointer request_of(const std::string& client, std::uint64_t number) {
  RequestRecord record = answered_request();
  record.client = client;
  record.number = number;
  return std::make_shared<const RequestRecord>(std::move(record));
}

std::vector<std::uint64_t> numbers(const std::vector<RecordPointer>& records) {
  std::vector<std::uint64_t> all;
  for (const RecordPointer& record : records) all.push_back(record->number);
  return all;
}

TEST(RecentRequests, AreTheLastOnesNewestFirst) {
  RecentRequests recent(4);
  EXPECT_TRUE(recent.newest(10, "").empty());
  for (std::uint64_t i = 1; i <= 3; ++i) recent.add(request_of("a", i));
  EXPECT_EQ(numbers(recent.newest(10, "")), (std::vector<std::uint64_t>{3, 2, 1}));
  for (std::uint64_t i = 4; i <= 10; ++i) recent.add(request_of("a", i));
  EXPECT_EQ(numbers(recent.newest(10, "")), (std::vector<std::uint64_t>{10, 9, 8, 7}));
  EXPECT_EQ(numbers(recent.newest(2, "")), (std::vector<std::uint64_t>{10, 9}));
}

TEST(RecentRequests, AClientFindsItsOwn) {
  RecentRequests recent(8);
  for (std::uint64_t i = 1; i <= 8; ++i) recent.add(request_of(i % 2 == 0 ? "a" : "b", i));
  EXPECT_EQ(numbers(recent.newest(10, "a")), (std::vector<std::uint64_t>{8, 6, 4, 2}));
  EXPECT_EQ(numbers(recent.newest(1, "b")), (std::vector<std::uint64_t>{7}));
  EXPECT_TRUE(recent.newest(10, "c").empty());
}

TEST(RecentRequests, ASummaryHasNumbersAndNoTexts) {
  RequestRecord record = answered_request();
  record.input_messages = "what was asked";
  const text::Json json = summary_json(record);
  EXPECT_EQ(json["time"], "1970-01-01T00:16:40.000Z");
  EXPECT_EQ(json["answers"][0]["queue_seconds"], 0.25);
  EXPECT_EQ(json["generated_tokens"], 20);
  EXPECT_EQ(text::dump_json(json).find("asked"), std::string::npos);
}

}  // namespace
}  // namespace plait::operations
