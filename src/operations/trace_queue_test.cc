// SPDX-License-Identifier: Apache-2.0
#include "operations/trace_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <utility>

#include "operations/record_for_test.h"

namespace plait::operations {
namespace {

RecordPointer record_number(std::uint64_t number) {
  RequestRecord record = answered_request();
  record.number = number;
  return std::make_shared<const RequestRecord>(std::move(record));
}

/// Notes what it is told; may be held up.
struct Notes {
  std::mutex mutex;
  std::vector<std::uint64_t> numbers;
  std::promise<void> began;
  std::promise<void> go_on;
};

class NotingSink final : public TraceSink {
 public:
  NotingSink(Notes& notes, bool stuck) : notes_(notes), stuck_(stuck) {}
  std::size_t write(std::span<const RecordPointer> records, const std::stop_token& give_up) override {
    if (std::exchange(stuck_, false)) {
      notes_.began.set_value();
      const auto wait = notes_.go_on.get_future();
      while (!give_up.stop_requested() && wait.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready) {
      }
    }
    if (give_up.stop_requested()) return records.size();
    const std::scoped_lock lock(notes_.mutex);
    for (const RecordPointer& record : records) notes_.numbers.push_back(record->number);
    return 0;
  }

 private:
  Notes& notes_;
  bool stuck_;
};

TEST(TraceQueue, TellsEverythingInOrder) {
  Notes notes;
  TraceQueue queue(std::make_unique<NotingSink>(notes, false), {.batch_max = 7});
  for (std::uint64_t i = 1; i <= 100; ++i) queue.push(record_number(i));
  EXPECT_TRUE(queue.close(60));
  ASSERT_EQ(notes.numbers.size(), 100U);
  for (std::uint64_t i = 1; i <= 100; ++i) EXPECT_EQ(notes.numbers[i - 1], i);
  EXPECT_EQ(queue.counters().told, 100U);
  queue.push(record_number(101));  // too late
  EXPECT_EQ(queue.counters().dropped, 1U);
}

TEST(TraceQueue, WhoServesNeverWaits) {
  Notes notes;
  TraceQueue queue(std::make_unique<NotingSink>(notes, true), {.records_max = 10, .batch_max = 1});
  queue.push(record_number(0));
  notes.began.get_future().wait();
  for (std::uint64_t i = 1; i <= 25; ++i) queue.push(record_number(i));  // 10 fit
  EXPECT_EQ(queue.counters().dropped, 15U);
  notes.go_on.set_value();
  EXPECT_TRUE(queue.close(60));
  EXPECT_EQ(notes.numbers.size(), 11U);
}

TEST(TraceQueue, LongTextsAreBoundedToo) {
  Notes notes;
  TraceQueue queue(std::make_unique<NotingSink>(notes, true), {.bytes_max = 1000, .batch_max = 1});
  queue.push(record_number(0));
  notes.began.get_future().wait();
  RequestRecord record = answered_request();
  record.output_messages = std::string(400, 'x');
  const auto shared = std::make_shared<const RequestRecord>(record);
  for (int i = 0; i < 5; ++i) queue.push(shared);
  EXPECT_EQ(queue.counters().dropped, 3U);
  notes.go_on.set_value();
  EXPECT_TRUE(queue.close(60));
  EXPECT_EQ(notes.numbers.size(), 3U);
}

TEST(TraceQueue, TheEndComesInTime) {
  Notes notes;
  TraceQueue queue(std::make_unique<NotingSink>(notes, true),
                   {.batch_max = 4, .batch_wait = std::chrono::milliseconds(1)});
  queue.push(record_number(0));
  notes.began.get_future().wait();
  for (std::uint64_t i = 1; i <= 20; ++i) queue.push(record_number(i));
  EXPECT_FALSE(queue.close(0.05));
  const TraceCounters counters = queue.counters();
  EXPECT_EQ(counters.told, 0U);
  EXPECT_EQ(counters.lost + counters.dropped, 21U);
}

}  // namespace
}  // namespace plait::operations
