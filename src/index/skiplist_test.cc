// SPDX-License-Identifier: Apache-2.0
#include "index/skiplist.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <map>
#include <tuple>

namespace plait::index {
namespace {

using base::random_u64;

template <class Key, std::size_t kKeys>
struct SmallNodes : SkipListTraits<Key> {
  static constexpr std::size_t kNodeKeys = kKeys;
};

/// 12 bytes, ordered by (strand, time).
struct Moment {
  std::uint32_t strand = 0;
  std::uint32_t time_high = 0;
  std::uint32_t time_low = 0;
  friend auto operator<=>(const Moment&, const Moment&) = default;
};
struct MomentTraits : SkipListTraits<Moment> {
  static constexpr std::size_t kNodeKeys = 8;
  static constexpr Moment smallest() { return {}; }
  static constexpr Moment largest() { return {~0U, ~0U, ~0U}; }
};

template <class Key>
Key make_key(std::uint64_t i) {
  return static_cast<Key>(i + 1);
}
template <>
Moment make_key<Moment>(std::uint64_t i) {
  return {static_cast<std::uint32_t>(i % 7), static_cast<std::uint32_t>(i / 100), static_cast<std::uint32_t>(i + 1)};
}
template <>
double make_key<double>(std::uint64_t i) {
  return static_cast<double>(i) * 0.75 - 300;
}

struct Step {
  unsigned kind = 0;
  std::uint64_t key = 0;
  std::uint64_t number = 0;
};

/// The map and what it must equal, side by side.
template <class Key, class Value, class Traits>
class Pair {
 public:
  /// Empty, or what went wrong.
  std::string step(const Step& step) {
    const Key key = make_key<Key>(step.key);
    const auto value = static_cast<Value>(step.number);
    switch (step.kind % 16) {
      case 0:
      case 1:
      case 2:
        return same("insert", ours_.insert(key, value), model_.emplace(key, value).second);
      case 3:
      case 4:
      case 5:
        return same("assign", ours_.insert_or_assign(key, value), model_.insert_or_assign(key, value).second);
      case 6:
      case 7:
      case 8:
      case 9:
        return same("remove", ours_.remove(key), model_.erase(key) > 0);
      case 10:
        return update(key, value);
      case 11:
      case 12: {
        const auto found = model_.find(key);
        const bool there = found != model_.end();
        const auto seen = ours_.find(key);
        return same("find", seen.has_value(), there) + same("contains", ours_.contains(key), there) +
               (there && seen ? same("its value", *seen, found->second) : "");
      }
      case 13:
        return range(key, make_key<Key>(step.number % 512));
      case 14:
        return count(key, step.number % 300);
      default:
        return rare(step.number);
    }
  }

  std::string audit() {
    const auto shape = ours_.audit();
    return shape ? "" : shape.error().message;
  }
  std::string everything() {
    return same("size", ours_.size(), model_.size()) + range(Traits::smallest(), Traits::largest()) + audit();
  }

 private:
  using Entries = std::vector<std::pair<Key, Value>>;

  template <class A, class B>
  static std::string same(const char* what, const A& ours, const B& expected) {
    return ours == expected ? "" : std::string(what) + " differs; ";
  }
  std::string update(const Key& key, Value value) {
    const auto found = model_.find(key);
    if (found != model_.end()) found->second = static_cast<Value>(found->second + value);
    return same("update", ours_.update(key, [&](Value& v) { v = static_cast<Value>(v + value); }),
                found != model_.end());
  }
  std::string range(const Key& lo, const Key& hi) {
    Entries ours;
    const std::size_t visited =
        ours_.for_range(lo, hi, [&](const Key& key, const Value& value) { ours.emplace_back(key, value); });
    const auto end = hi < lo ? model_.lower_bound(lo) : model_.lower_bound(hi);
    return same("for_range", ours, Entries(model_.lower_bound(lo), end)) + same("its count", visited, ours.size());
  }
  std::string count(const Key& lo, std::size_t n) {
    Entries ours;
    ours_.for_count(lo, n, [&](const Key& key, const Value& value) {
      ours.emplace_back(key, value);
      return ours.size() % 200 != 0;  // stops by itself
    });
    Entries expected;
    for (auto it = model_.lower_bound(lo); it != model_.end() && expected.size() < std::min<std::size_t>(n, 200);
         ++it) {
      expected.push_back(*it);
    }
    return same("for_count", ours, expected);
  }
  std::string rare(std::uint64_t number) {
    if (number % 64 == 0) {
      ours_.compact();
    } else if (number % 512 == 1) {
      ours_.clear();
      model_.clear();
    }
    return same("size", ours_.size(), model_.size());
  }

  SkipList<Key, Value, Traits> ours_{5};
  std::map<Key, Value> model_;
};

/// Long runs from seeds: 1,040,000 steps over all types of keys. A failing seed repeats.
template <class Key, class Value, class Traits>
void long_runs(std::uint64_t runs, std::uint64_t steps) {
  for (std::uint64_t seed = 0; seed < runs; ++seed) {
    Pair<Key, Value, Traits> pair;
    const std::uint64_t spread = std::uint64_t{64} << (seed % 8);  // from a node's keys to a hundred nodes' keys
    for (std::uint64_t i = 0; i < steps; ++i) {
      const std::uint64_t word = random_u64(seed, i);
      const std::string wrong = pair.step({static_cast<unsigned>(word >> 60), word % spread, random_u64(seed + 99, i)});
      ASSERT_EQ(wrong, "") << "seed " << seed << ", step " << i;
      if (i % 4096 == 0) {
        ASSERT_EQ(pair.audit(), "") << "seed " << seed << ", step " << i;
      }
    }
    ASSERT_EQ(pair.everything(), "") << "seed " << seed;
  }
}

TEST(SkipList, EqualsStdMapWithFourKeysInANode) {
  long_runs<std::uint64_t, std::uint64_t, SmallNodes<std::uint64_t, 4>>(24, 10'000);
}
TEST(SkipList, EqualsStdMapWithSixteenKeysInANode) {
  long_runs<std::int32_t, std::uint16_t, SmallNodes<std::int32_t, 16>>(24, 10'000);
}
TEST(SkipList, EqualsStdMapWithFullNodes) {
  long_runs<std::uint64_t, std::uint64_t, SkipListTraits<std::uint64_t>>(16, 20'000);
}
TEST(SkipList, EqualsStdMapWithKeysOfSeveralFields) { long_runs<Moment, std::uint8_t, MomentTraits>(12, 10'000); }
TEST(SkipList, EqualsStdMapWithFloatingPointKeys) { long_runs<double, float, SkipListTraits<double>>(12, 10'000); }

TEST(SkipList, EqualsStdMapOnShrinkableSteps) {
  const bool ok = rc::check("every step gives what std::map gives", [] {
    const auto step = rc::gen::construct<Step>(rc::gen::inRange(0U, 16U), rc::gen::inRange<std::uint64_t>(0, 60),
                                               rc::gen::arbitrary<std::uint64_t>());
    Pair<std::uint64_t, std::uint32_t, SmallNodes<std::uint64_t, 4>> pair;
    for (const Step& each : *rc::gen::scale(5.0, rc::gen::container<std::vector<Step>>(step))) {
      RC_ASSERT(pair.step(each) == "");
      RC_ASSERT(pair.audit() == "");
    }
    RC_ASSERT(pair.everything() == "");
  });
  EXPECT_TRUE(ok);
}

// ---------------------------------------------------------------------------------------------------------- heights

std::uint64_t inverse_mix64(std::uint64_t x) {
  // Undoes x ^= x >> s, and multiplies by the inverse of each factor modulo 2^64 (Newton's iteration).
  const auto unshift = [](std::uint64_t y, int s) {
    std::uint64_t out = y;
    for (int done = s; done < 64; done += s) out = y ^ (out >> s);
    return out;
  };
  const auto inverse = [](std::uint64_t a) {
    std::uint64_t b = a;
    for (int i = 0; i < 6; ++i) b *= 2 - a * b;
    return b;
  };
  x = unshift(x, 31) * inverse(0x94d049bb133111ebULL);
  x = unshift(x, 27) * inverse(0xbf58476d1ce4e5b9ULL);
  return unshift(x, 30);
}

struct IdentityHash : SkipListTraits<std::uint64_t> {
  static constexpr std::uint64_t hash(const std::uint64_t& key, std::uint64_t /*seed*/) { return key; }
};

/// How far the levels are from what chance gives, in standard deviations; the largest over all levels.
template <class Traits, class MakeKey>
double height_sigmas(MakeKey make, std::uint64_t seed, std::uint64_t keys = 200'000) {
  SkipList<std::uint64_t, std::uint32_t, Traits> map(seed);
  for (std::uint64_t i = 1; i <= keys; ++i) map.insert(make(i), 0);
  const auto shape = map.audit();
  EXPECT_TRUE(shape.has_value());
  EXPECT_EQ((*shape)[0].keys, keys);
  double worst = 0;
  double p = 1;
  for (std::size_t level = 1; level < shape->size(); ++level) {
    p *= 2.0 / static_cast<double>(Traits::kNodeKeys);
    const double mean = static_cast<double>(keys) * p;
    const double sigma = std::sqrt(mean * (1 - p));
    // Where less than one key is expected, one or two are no sign of anything.
    worst = std::max(worst, std::abs(static_cast<double>((*shape)[level].keys) - mean) / std::max(sigma, 1.0));
  }
  return worst;
}

TEST(SkipListHeights, AreWhatChanceGives) {
  using Traits = SkipListTraits<std::uint64_t>;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    EXPECT_LT(height_sigmas<Traits>([](std::uint64_t i) { return i; }, seed), 5) << "sequential";
    EXPECT_LT(height_sigmas<Traits>([](std::uint64_t i) { return 2 * i + 1; }, seed), 5) << "odd";
    EXPECT_LT(height_sigmas<Traits>([](std::uint64_t i) { return 64 * i; }, seed), 5) << "multiples of 64";
    EXPECT_LT(height_sigmas<Traits>([](std::uint64_t i) { return i << 40; }, seed), 5) << "multiples of 2^40";
    EXPECT_LT(height_sigmas<Traits>([](std::uint64_t i) { return ~(i << 3); }, seed), 5) << "descending";
  }
}

TEST(SkipListHeights, ChosenKeysNeedTheSeed) {
  using Traits = SkipListTraits<std::uint64_t>;
  // Keys whose hash with seed 0 ends in a 1: all of height 0.
  const auto flat = [](std::uint64_t i) { return inverse_mix64(2 * i + 1) ^ base::mix64(0); };
  EXPECT_GT(height_sigmas<Traits>(flat, 0, 40'000), 5);
  EXPECT_LT(height_sigmas<Traits>(flat, 0x5eed), 5);
}

TEST(SkipListHeights, AHashThatIsTheKeyIsCaught) {
  EXPECT_GT(height_sigmas<IdentityHash>([](std::uint64_t i) { return 2 * i + 1; }, 1, 40'000), 5);
}

// ------------------------------------------------------------------------------------------------------------ shape

TEST(SkipListShape, LeavesAreHalfFull) {
  const auto fill = [](const auto& map) {
    const auto shape = map.audit();
    EXPECT_TRUE(shape.has_value());
    return static_cast<double>((*shape)[0].keys) / static_cast<double>((*shape)[0].nodes * 128);
  };
  SkipList<std::uint64_t, std::uint64_t> random;
  SkipList<std::uint64_t, std::uint64_t> ascending;
  SkipList<std::uint64_t, std::uint64_t> descending;
  for (std::uint64_t i = 1; i <= 300'000; ++i) {
    random.insert(random_u64(3, i), i);
    ascending.insert(i, i);
    descending.insert(1'000'000 - i, i);
  }
  for (const auto* map : {&random, &ascending, &descending}) {
    EXPECT_GT(fill(*map), 0.36);
    EXPECT_LT(fill(*map), 0.75);
  }
  random.compact();
  EXPECT_GT(fill(random), 0.40);
  EXPECT_EQ(random.size(), 300'000U);
}

TEST(SkipListShape, CompactFreesWhatWasRemoved) {
  SkipList<std::uint64_t, std::uint64_t> map;
  for (std::uint64_t i = 1; i <= 100'000; ++i) map.insert(i, i);
  const std::size_t full = map.bytes();
  for (std::uint64_t i = 1; i <= 100'000; ++i) {
    ASSERT_TRUE(i % 1000 == 0 || map.remove(i));
  }
  map.compact();
  EXPECT_EQ(map.size(), 100U);
  EXPECT_LT(map.bytes(), full / 10);
  std::uint64_t next = 1000;
  map.for_range(1, 200'000, [&](std::uint64_t key, std::uint64_t value) {
    EXPECT_EQ(key, next);
    EXPECT_EQ(value, next);
    next += 1000;
  });
  map.clear();
  EXPECT_EQ(map.size(), 0U);
  EXPECT_TRUE(map.insert(7, 7));
  EXPECT_EQ(map.find(7), 7U);
}

TEST(SkipListShape, TombstonesDoNotPileUpInALeaf) {
  SkipList<std::uint64_t, std::uint64_t> map;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    ASSERT_TRUE(map.insert(1000 + i % 997, i));
    ASSERT_TRUE(map.remove(1000 + i % 997));
  }
  EXPECT_EQ(map.size(), 0U);
  EXPECT_LT((*map.audit())[0].nodes, 60U);
}

// ------------------------------------------------------------------------------------------------------------ calls

TEST(SkipList, AVisitorMayChangeTheMap) {
  SkipList<std::uint64_t, std::uint64_t, SmallNodes<std::uint64_t, 4>> map;
  for (std::uint64_t i = 1; i <= 100; ++i) map.insert(10 * i, i);
  std::vector<std::uint64_t> seen;
  map.for_range(1, 1001, [&](std::uint64_t key, std::uint64_t) {
    seen.push_back(key);
    map.insert(key - 5, 0);  // behind
    map.remove(key);
    if (key == 300) map.compact();
  });
  std::vector<std::uint64_t> expected;
  for (std::uint64_t i = 1; i <= 100; ++i) expected.push_back(10 * i);
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(map.size(), 100U);
  EXPECT_TRUE(map.audit().has_value());

  std::size_t visited = 0;
  map.for_range(1, 1001, [&](std::uint64_t, std::uint64_t) {
    if (++visited == 50) map.clear();
  });
  EXPECT_LE(visited, 53U);  // what was left of one leaf
  EXPECT_EQ(map.size(), 0U);
}

TEST(SkipList, EmptyAndBackwardRanges) {
  SkipList<int, int> map;
  const auto never = [](int, int) { ADD_FAILURE(); };
  EXPECT_EQ(map.for_range(1, 9, never), 0U);
  map.insert(5, 50);
  EXPECT_EQ(map.for_range(6, 3, never), 0U);
  EXPECT_EQ(map.for_range(5, 5, never), 0U);
  EXPECT_EQ(map.for_count(5, 0, never), 0U);
  EXPECT_EQ(map.for_count(6, 9, never), 0U);
  const int lowest = std::numeric_limits<int>::lowest();
  const int highest = std::numeric_limits<int>::max();
  int visited = 0;
  EXPECT_EQ(map.for_range(lowest, highest, [&](int, int) { ++visited; }), 1U);
  EXPECT_EQ(visited, 1);
  EXPECT_FALSE(map.contains(lowest));
  EXPECT_FALSE(map.contains(highest));
  EXPECT_DEATH(map.insert(highest, 1), "");
  EXPECT_DEATH(map.remove(lowest), "");
}

}  // namespace
}  // namespace plait::index
