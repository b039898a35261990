// SPDX-License-Identifier: Apache-2.0
#include "parallel/algorithms.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "base/random.h"
#include "parallel/sort.h"

namespace plait::parallel {
namespace {

/// Lengths about the borders of leaves of T, and some between.
template <class T>
std::vector<std::size_t> lengths() {
  return {0, 1, 15, 16, 17, kLeaf<T> - 1, kLeaf<T>, kLeaf<T> + 1, 2 * kLeaf<T>, 5 * kLeaf<T> / 2, 7 * kLeaf<T> + 13};
}

std::vector<double> random_doubles(std::size_t n, std::uint64_t seed) {
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = base::random_unit(seed, i) * 2 - 1;
  return values;
}

std::vector<std::uint64_t> random_words(std::size_t n, std::uint64_t seed) {
  std::vector<std::uint64_t> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = base::random_u64(seed, i);
  return values;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

/// Words of several leaves' length, drawn by a seed.
std::vector<std::uint64_t> arbitrary_words() {
  const auto n = *rc::gen::inRange<std::size_t>(0, 4 * kLeaf<std::uint64_t>);
  return random_words(n, *rc::gen::arbitrary<std::uint64_t>());
}

/// An affine map x -> a x + b; composition is associative, but not commutative.
struct Affine {
  std::uint64_t a = 1;
  std::uint64_t b = 0;
  friend bool operator==(const Affine&, const Affine&) = default;
};
Affine then(const Affine& first, const Affine& second) { return {second.a * first.a, second.a * first.b + second.b}; }

class AlgorithmsOf : public testing::TestWithParam<int> {
 protected:
  Team team_{GetParam()};
};

TEST_P(AlgorithmsOf, ElementwiseAsTheStandardOnes) {
  for (const std::size_t n : lengths<double>()) {
    const auto a = random_doubles(n, 1);
    const auto b = random_doubles(n, 2);
    std::vector<double> expected(n);
    std::vector<double> got(n, -7);
    std::transform(a.begin(), a.end(), b.begin(), expected.begin(), [](double x, double y) { return x + 3 * y; });
    transform(team_, a, b, got, [](double x, double y) { return x + 3 * y; });
    EXPECT_EQ(got, expected);
    transform(team_, a, got, [](double x) { return -x; });
    for_each(team_, got, [](double& x) { x = -x; });
    EXPECT_EQ(got, a);
    copy(team_, b, got);
    EXPECT_EQ(got, b);
    fill(team_, got, 0.5);
    EXPECT_EQ(got, std::vector<double>(n, 0.5));
  }
}

TEST_P(AlgorithmsOf, ReduceIsExactForIntegers) {
  EXPECT_TRUE(rc::check([&] {
    const auto words = arbitrary_words();
    RC_ASSERT(reduce(team_, words, std::uint64_t{0}) == std::accumulate(words.begin(), words.end(), std::uint64_t{0}));
    const auto odd = [](std::uint64_t x) { return x & 1U; };
    RC_ASSERT(transform_reduce(team_, words, std::uint64_t{0}, std::plus<>{}, odd) ==
              static_cast<std::uint64_t>(std::count_if(words.begin(), words.end(), odd)));
  }));
}

TEST_P(AlgorithmsOf, FloatsHaveTheBitsOfATeamOfOne) {
  Team one(1);
  for (const std::size_t n : lengths<double>()) {
    const auto values = random_doubles(n, 3);
    const double sum = reduce(one, values, 0.0);
    EXPECT_NEAR(sum, std::accumulate(values.begin(), values.end(), 0.0), 1e-9);
    EXPECT_EQ(reduce(team_, values, 0.0), sum);
    std::vector<double> expected(n);
    std::vector<double> got(n);
    inclusive_scan(one, values, expected);
    inclusive_scan(team_, values, got);
    EXPECT_TRUE(same_bits(got, expected));
    exclusive_scan(one, values, expected, 0.25);
    exclusive_scan(team_, values, got, 0.25);
    EXPECT_TRUE(same_bits(got, expected));
  }
}

TEST_P(AlgorithmsOf, ScansAsTheStandardOnes) {
  EXPECT_TRUE(rc::check([&] {
    const auto words = arbitrary_words();
    std::vector<std::uint64_t> expected(words.size());
    auto in_place = words;
    std::inclusive_scan(words.begin(), words.end(), expected.begin());
    inclusive_scan(team_, in_place, in_place);
    RC_ASSERT(in_place == expected);
    in_place = words;
    std::exclusive_scan(words.begin(), words.end(), expected.begin(), std::uint64_t{11});
    exclusive_scan(team_, in_place, in_place, std::uint64_t{11});
    RC_ASSERT(in_place == expected);
  }));
}

TEST_P(AlgorithmsOf, ScansKeepTheOrderOfTheirOperands) {
  const auto words = random_words(2 * (3 * kLeaf<Affine> + 5), 4);
  std::vector<Affine> maps(words.size() / 2);
  for (std::size_t i = 0; i < maps.size(); ++i) maps[i] = {words[2 * i], words[2 * i + 1]};
  std::vector<Affine> expected(maps.size());
  std::vector<Affine> got(maps.size());
  std::inclusive_scan(maps.begin(), maps.end(), expected.begin(), then);
  inclusive_scan(team_, maps, got, then);
  EXPECT_EQ(got, expected);
  std::exclusive_scan(maps.begin(), maps.end(), expected.begin(), Affine{3, 4}, then);
  exclusive_scan(team_, maps, got, Affine{3, 4}, then);
  EXPECT_EQ(got, expected);
}

TEST_P(AlgorithmsOf, PackKeepsOrder) {
  EXPECT_TRUE(rc::check([&] {
    const auto words = arbitrary_words();
    const auto below = *rc::gen::arbitrary<std::uint64_t>();
    const auto keep = [below](std::uint64_t x) { return x <= below; };
    std::vector<std::uint64_t> expected;
    std::copy_if(words.begin(), words.end(), std::back_inserter(expected), keep);
    std::vector<std::uint64_t> got(words.size());
    got.resize(pack(team_, words, got, keep));
    RC_ASSERT(got == expected);
  }));
}

TEST_P(AlgorithmsOf, SortIsTheStableOne) {
  EXPECT_TRUE(rc::check([&] {
    auto words = arbitrary_words();
    const auto keys = *rc::gen::inRange<std::uint64_t>(1, 1000);  // few keys, so that many elements are equal
    const auto less = [keys](std::uint64_t a, std::uint64_t b) { return a % keys < b % keys; };
    auto expected = words;
    std::stable_sort(expected.begin(), expected.end(), less);
    sort(team_, words, less);
    RC_ASSERT(words == expected);
    sort(team_, words);
    RC_ASSERT(std::is_sorted(words.begin(), words.end()));
  }));
}

TEST_P(AlgorithmsOf, SortOfWhatIsInOrderReversedOrEqual) {
  for (const std::size_t n : lengths<int>()) {
    std::vector<int> ascending(n);
    std::iota(ascending.begin(), ascending.end(), 0);
    auto values = ascending;
    sort(team_, values);
    EXPECT_EQ(values, ascending);
    std::reverse(values.begin(), values.end());
    sort(team_, values);
    EXPECT_EQ(values, ascending);
    fill(team_, values, 3);
    sort(team_, values);
    EXPECT_EQ(values, std::vector<int>(n, 3));
  }
}

TEST_P(AlgorithmsOf, ExceptionsComeOut) {
  std::vector<int> values(10 * kLeaf<int>, 1);
  values[7 * kLeaf<int>] = 2;
  const auto refuse = [](int x) { return x == 2 ? throw std::out_of_range("two") : x; };
  EXPECT_THROW(transform(team_, values, values, refuse), std::out_of_range);
  EXPECT_THROW(static_cast<void>(transform_reduce(team_, values, 0, std::plus<>{}, refuse)), std::out_of_range);
  EXPECT_THROW(sort(team_, values, [&](int a, int b) { return refuse(a) < refuse(b); }), std::out_of_range);
}

TEST_P(AlgorithmsOf, NestedUseRunsInline) {
  const std::vector<int> values(3 * kLeaf<int>, 1);
  std::vector<int> sums(static_cast<std::size_t>(GetParam()));
  team_.run([&](int member) { sums[static_cast<std::size_t>(member)] = reduce(team_, values, 0); });
  EXPECT_EQ(sums, std::vector<int>(sums.size(), static_cast<int>(values.size())));
}

INSTANTIATE_TEST_SUITE_P(Sizes, AlgorithmsOf, testing::Values(1, 2, 3));

}  // namespace
}  // namespace plait::parallel
