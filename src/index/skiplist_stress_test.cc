// SPDX-License-Identifier: Apache-2.0
//
// Several threads on one map. Between the steps of its operations the map lets other threads run, by chance from a
// seed, so that rare orders come up on few cores too.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "base/random.h"
#include "index/history_for_test.h"
#include "index/skiplist.h"

namespace plait::index {
namespace {

using base::random_u64;

/// How this thread's interruptions fall.
struct Interruptions {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint64_t one_in = 8;  // steps
};
thread_local Interruptions interruptions;

void interrupt_by_chance() {
  if (random_u64(interruptions.seed, ++interruptions.step) % interruptions.one_in == 0) std::this_thread::yield();
}

/// A key of two words, so that a torn one is seen.
struct WideKey {
  std::uint64_t number = 0;
  std::uint64_t check = 0;
  friend bool operator<(const WideKey& a, const WideKey& b) {
    return a.number != b.number ? a.number < b.number : a.check < b.check;
  }
};
WideKey wide(std::uint64_t number) { return {number, base::mix64(number)}; }

template <std::size_t kKeys>
struct WideTraits : SkipListTraits<WideKey> {
  static constexpr std::size_t kNodeKeys = kKeys;
  static constexpr WideKey smallest() { return {}; }
  static constexpr WideKey largest() { return {~std::uint64_t{0}, ~std::uint64_t{0}}; }
  static void interleave() { interrupt_by_chance(); }
};

/// A value that fits no other key.
std::uint64_t sealed(std::uint64_t number, std::uint32_t content) {
  return std::uint64_t{content} << 32 | (base::mix64(number ^ std::uint64_t{content} << 20) & 0xffffffffU);
}
bool intact(std::uint64_t number, std::uint64_t value) {
  return value == sealed(number, static_cast<std::uint32_t>(value >> 32));
}

/// Every thread changes keys of its own and reads all. In the end the map holds what each thread remembers.
template <std::size_t kKeys>
class Stress {
 public:
  Stress(std::uint64_t seed, std::uint64_t threads, std::uint64_t steps, std::uint64_t spread)
      : seed_(seed), threads_(threads), steps_(steps), spread_(spread), models_(threads) {}

  void run(bool compacting) {
    {
      std::vector<std::jthread> threads;
      for (std::uint64_t t = 0; t < threads_; ++t) threads.emplace_back([=, this] { work(t, compacting); });
    }
    const auto shape = map_.audit();
    ASSERT_TRUE(shape.has_value()) << shape.error().message;
    EXPECT_EQ(torn_, 0);
    EXPECT_EQ(wrong_, 0);
    std::map<std::uint64_t, std::uint64_t> expected;
    for (const auto& model : models_) expected.insert(model.begin(), model.end());
    std::map<std::uint64_t, std::uint64_t> found;
    map_.for_range(wide(0), WideTraits<kKeys>::largest(),
                   [&](const WideKey& key, std::uint64_t value) { found.emplace(key.number, value); });
    EXPECT_EQ(found, expected);
    EXPECT_EQ(map_.size(), expected.size());
  }

 private:
  void work(std::uint64_t thread, bool compacting) {
    interruptions = {base::child_seed(seed_, thread), 0, 20 + seed_ * 37 % 200};
    for (std::uint64_t i = 0; i < steps_; ++i) {
      if (compacting && i % 300 == 299) map_.compact();
      const std::uint64_t word = random_u64(seed_ * 64 + thread, i);
      const std::uint64_t any = 1 + word % (spread_ * threads_);
      const std::uint64_t own = 1 + word % spread_ * threads_ + thread;
      const auto content = static_cast<std::uint32_t>(word >> 16);
      switch (word >> 60) {
        case 0:
        case 1:
        case 2:
          count_wrong(map_.insert(wide(own), sealed(own, content)) ==
                      models_[thread].emplace(own, sealed(own, content)).second);
          break;
        case 3:
        case 4:
        case 5:
          count_wrong(map_.insert_or_assign(wide(own), sealed(own, content)) ==
                      models_[thread].insert_or_assign(own, sealed(own, content)).second);
          break;
        case 6:
        case 7:
        case 8:
          count_wrong(map_.remove(wide(own)) == (models_[thread].erase(own) > 0));
          break;
        case 9:
          update(thread, own, content);
          break;
        case 14:
          scan(any, 1 + content % 200);
          break;
        case 15:
          check_own(thread, own);
          break;
        default: {
          const auto value = map_.find(wide(any));
          if (value && !intact(any, *value)) ++torn_;
        }
      }
    }
  }
  void update(std::uint64_t thread, std::uint64_t own, std::uint32_t content) {
    const auto change = [&](std::uint64_t& value) {
      if (!intact(own, value)) ++torn_;
      value = sealed(own, content);
    };
    const auto found = models_[thread].find(own);
    if (found != models_[thread].end()) found->second = sealed(own, content);
    count_wrong(map_.update(wide(own), change) == (found != models_[thread].end()));
  }
  void check_own(std::uint64_t thread, std::uint64_t own) {
    const auto found = models_[thread].find(own);
    count_wrong(map_.find(wide(own)) == (found == models_[thread].end() ? std::nullopt : std::optional(found->second)));
  }
  void scan(std::uint64_t from, std::size_t n) {
    std::uint64_t last = from - 1;
    const std::size_t visited = map_.for_count({from, 0}, n, [&](const WideKey& key, std::uint64_t value) {
      if (key.check != wide(key.number).check || !intact(key.number, value)) ++torn_;
      count_wrong(key.number > last);
      last = key.number;
    });
    count_wrong(visited <= n);
  }
  void count_wrong(bool right) {
    if (!right) ++wrong_;
  }

  std::uint64_t seed_;
  std::uint64_t threads_;
  std::uint64_t steps_;
  std::uint64_t spread_;
  SkipList<WideKey, std::uint64_t, WideTraits<kKeys>> map_{seed_};
  std::vector<std::map<std::uint64_t, std::uint64_t>> models_;  // [thread]
  std::atomic<int> torn_{0};
  std::atomic<int> wrong_{0};
};

TEST(SkipListStress, FourKeysInANode) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) Stress<4>(seed, 2 + seed % 3, 2000, 20 + 100 * (seed % 4)).run(false);
}
TEST(SkipListStress, FullNodes) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed)
    Stress<128>(seed, 2 + seed % 3, 10'000, 50 + 1500 * (seed % 2)).run(false);
}
TEST(SkipListStress, WhileOthersCompact) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) Stress<16>(seed, 2 + seed % 3, 4000, 200).run(true);
}

TEST(SkipListStress, ClearingWhileOthersScan) {
  SkipList<std::uint64_t, std::uint64_t> map;
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        while (!stop) {
          map.for_range(1, 100'000, [&](std::uint64_t key, std::uint64_t value) { wrong += key == value ? 0 : 1; });
        }
      });
    }
    for (std::uint64_t round = 0; round < 30; ++round) {
      for (std::uint64_t i = 1; i <= 2000; ++i) {
        const std::uint64_t key = 1 + random_u64(round, i) % 99'000;
        map.insert(key, key);
      }
      map.clear();
      EXPECT_EQ(map.size(), 0U);
      for (std::uint64_t i = 1; i <= 2000; ++i) map.insert(i, i);
      EXPECT_EQ(map.size(), 2000U);
      map.clear();
    }
    stop = true;
  }
  EXPECT_TRUE(map.audit().has_value());
  EXPECT_EQ(wrong, 0);
}

// -------------------------------------------------------------------------------------------------------- histories

template <std::size_t kKeys>
struct HistoryTraits : SkipListTraits<std::uint64_t> {
  static constexpr std::size_t kNodeKeys = kKeys;
  static void interleave() { interrupt_by_chance(); }
};

/// Records what `threads` threads do to the keys places[0] to places[3].
template <std::size_t kKeys>
class Recorder {
 public:
  using Map = SkipList<std::uint64_t, std::uint16_t, HistoryTraits<kKeys>>;
  Recorder(Map& map, const std::array<std::uint64_t, 4>& places, bool ranges)
      : map_(map), places_(places), ranges_(ranges) {}

  std::vector<Event> record(std::uint64_t seed, std::size_t threads, std::uint64_t steps) {
    std::vector<std::vector<Event>> events(threads);
    std::atomic<std::size_t> ready{0};
    {
      std::vector<std::jthread> running;
      for (std::size_t t = 0; t < threads; ++t) {
        running.emplace_back([&, t] {
          interruptions = {base::child_seed(seed, t), 0, 2 + seed % 5};
          ++ready;
          while (ready < threads) std::this_thread::yield();
          for (std::uint64_t i = 0; i < steps; ++i) {
            events[t].push_back(one(random_u64(base::child_seed(seed, t + 100), i)));
          }
        });
      }
    }
    std::vector<Event> all;
    for (const auto& of_thread : events) all.insert(all.end(), of_thread.begin(), of_thread.end());
    return all;
  }

 private:
  Event one(std::uint64_t word) {
    Event event;
    event.key = static_cast<std::uint8_t>(word % 4);
    event.argument = static_cast<std::uint16_t>(1 + (word >> 8) % 1000);
    event.kind = static_cast<Event::Kind>((word >> 32) % (ranges_ ? 6 : 5));
    const std::uint64_t key = places_[event.key];
    event.begin = clock_++;
    switch (event.kind) {
      case Event::insert:
        event.answer = map_.insert(key, event.argument) ? 1 : 0;
        break;
      case Event::assign:
        event.answer = map_.insert_or_assign(key, event.argument) ? 1 : 0;
        break;
      case Event::remove:
        event.answer = map_.remove(key) ? 1 : 0;
        break;
      case Event::find:
        event.answer = map_.find(key).value_or(0);
        break;
      case Event::add:
        event.answer =
            map_.update(key, [&](std::uint16_t& v) { v = static_cast<std::uint16_t>(v + event.argument); }) ? 1 : 0;
        break;
      case Event::range:
        map_.for_range(places_[0], places_[3] + 1, [&](std::uint64_t at, std::uint16_t value) {
          for (std::size_t i = 0; i < 4; ++i) {
            if (places_[i] == at) event.seen[i] = value;
          }
        });
        break;
    }
    event.end = clock_++;
    return event;
  }

  Map& map_;
  const std::array<std::uint64_t, 4>& places_;
  bool ranges_;
  std::atomic<std::uint64_t> clock_{0};
};

TEST(SkipListHistories, OfSingleKeysAmongSplitsAreLinearizable) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Recorder<4>::Map map(seed);
    const std::array<std::uint64_t, 4> places = {100, 101, 102, 103};
    Recorder<4> recorder(map, places, false);
    std::jthread neighbours([&](const std::stop_token& stop) {
      interruptions = {seed, 0, 3};
      for (std::uint64_t i = 1; i < 100 && !stop.stop_requested(); ++i) {
        map.insert(100 - i, 1);
        map.insert(104 + i, 1);
      }
    });
    const std::vector<Event> all = recorder.record(seed, 2 + seed % 3, 12);
    neighbours.request_stop();
    neighbours.join();
    for (std::uint8_t key = 0; key < 4; ++key) {
      std::vector<Event> of_key;
      std::copy_if(all.begin(), all.end(), std::back_inserter(of_key), [&](const Event& e) { return e.key == key; });
      ASSERT_TRUE(LinearOrder(of_key).exists()) << "seed " << seed << ", key " << int{key};
    }
    ASSERT_TRUE(LinearOrder(all).exists()) << "seed " << seed;
    ASSERT_TRUE(map.audit().has_value());
  }
}

TEST(SkipListHistories, OfOneLeafWithRangesAreLinearizable) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Recorder<128>::Map map(seed);
    // Four keys of height 0: they share the first leaf.
    const detail::Levels<std::uint64_t, std::uint16_t, HistoryTraits<128>> levels(seed);
    std::array<std::uint64_t, 4> places = {};
    std::uint64_t key = 1;
    for (std::uint64_t& place : places) {
      while (levels.height(key) != 0) ++key;
      place = key++;
    }
    const std::vector<Event> all = Recorder<128>(map, places, true).record(seed, 2 + seed % 3, 10);
    ASSERT_TRUE(LinearOrder(all).exists()) << "seed " << seed;
    ASSERT_TRUE(map.audit().has_value());
  }
}

TEST(SkipListHistories, TheCheckerSeesWhatIsNot) {
  const auto event = [](Event::Kind kind, std::uint16_t argument, std::uint16_t answer, std::uint64_t begin,
                        std::uint64_t end) { return Event{kind, 0, argument, answer, {}, begin, end}; };
  const Event put = event(Event::insert, 7, 1, 0, 5);
  const Event seen_late = event(Event::find, 0, 7, 6, 7);
  const Event not_seen = event(Event::find, 0, 0, 8, 9);
  const Event overlapping = event(Event::find, 0, 0, 4, 9);
  const Event put_again = event(Event::insert, 8, 1, 3, 9);
  EXPECT_TRUE(LinearOrder({put, seen_late}).exists());
  EXPECT_TRUE(LinearOrder({put, overlapping}).exists());
  EXPECT_FALSE(LinearOrder({put, not_seen}).exists());
  EXPECT_FALSE(LinearOrder({put, put_again}).exists());
  Event half = event(Event::range, 0, 0, 10, 11);
  half.seen = {0, 3, 0, 0};
  EXPECT_FALSE(LinearOrder({put, half}).exists());
}

}  // namespace
}  // namespace plait::index
