// SPDX-License-Identifier: Apache-2.0
//
// The standard algorithms over contiguous ranges, on a team.
//
//   parallel::transform(team, a, b, c, [](double x, double y) { return x + 3 * y; });
//   const double sum = parallel::reduce(team, c, 0.0);
//
// Same bits: what an algorithm computes depends on its arguments alone, not on the team's size nor on who computes
// what. Reductions and scans cut their input into leaves of 64 KiB and combine those in a fixed order.
// Shares: for_each, transform, fill and copy give member m the elements of share<T>(n, m, team.size()), the same that
// PlacedVector touches first; the others hand leaves out one by one, each thread beginning with those of its share.
// Inner loops are plain loops over pointers, so that the compiler vectorises them.
//
// What all have in common: function objects are called from several threads at once and may throw; the exception of the
// lowest member that threw is rethrown when all threads are done, and outputs then hold anything. Ranges of up to one
// leaf and calls from inside a region of the team run on the calling thread. Outputs may not overlap inputs except
// where said. Threads: as Team::run().
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "parallel/team.h"

namespace plait::parallel {

template <class R>
concept Contiguous = std::ranges::contiguous_range<R> && std::ranges::sized_range<R>;

/// Elements of a leaf: 64 KiB, a small part of a second-level cache; some 5 µs of reading, so that handing one out
/// (50 ns) costs a hundredth.
template <class T>
inline constexpr std::size_t kLeaf = std::max<std::size_t>(1, (std::size_t{64} << 10) / sizeof(T));

/// The elements of [0, n) that are member's, by leaves of T. Requires: as part().
template <class T>
[[nodiscard]] constexpr Range share(std::size_t n, int member, int members) {
  return part(n, member, members, kLeaf<T>);
}

/// f(Range) for every member's share of n elements of T, empty ones left out.
template <class T, class F>
void for_shares(Team& team, std::size_t n, F&& f) {
  if (n <= kLeaf<T>) {
    if (n > 0) f(Range{0, n});
    return;
  }
  team.run([&](int member) {
    if (const Range range = share<T>(n, member, team.size()); range.begin < range.end) f(range);
  });
}

/// f(value) for every element, which it may change.
template <Contiguous Values, class F>
void for_each(Team& team, Values&& values, F&& f) {
  auto* const at = std::ranges::data(values);
  for_shares<std::ranges::range_value_t<Values>>(team, std::ranges::size(values), [&](Range range) {
    for (std::size_t i = range.begin; i < range.end; ++i) f(at[i]);
  });
}

/// out[i] = f(in[i]); out may be in. Requires: out at least as long as in.
template <Contiguous In, Contiguous Out, class F>
void transform(Team& team, const In& in, Out&& out, F&& f) {
  PLAIT_CHECK(std::ranges::size(out) >= std::ranges::size(in), std::ranges::size(out), std::ranges::size(in));
  const auto* const from = std::ranges::data(in);
  auto* const to = std::ranges::data(out);
  for_shares<std::ranges::range_value_t<Out>>(team, std::ranges::size(in), [&](Range range) {
    for (std::size_t i = range.begin; i < range.end; ++i) to[i] = f(from[i]);
  });
}

/// out[i] = f(a[i], b[i]); out may be a or b. Requires: a and b of one length, out at least as long.
template <Contiguous A, Contiguous B, Contiguous Out, class F>
void transform(Team& team, const A& a, const B& b, Out&& out, F&& f) {
  PLAIT_CHECK(std::ranges::size(a) == std::ranges::size(b), std::ranges::size(a), std::ranges::size(b));
  PLAIT_CHECK(std::ranges::size(out) >= std::ranges::size(a), std::ranges::size(out), std::ranges::size(a));
  const auto* const left = std::ranges::data(a);
  const auto* const right = std::ranges::data(b);
  auto* const to = std::ranges::data(out);
  for_shares<std::ranges::range_value_t<Out>>(team, std::ranges::size(a), [&](Range range) {
    for (std::size_t i = range.begin; i < range.end; ++i) to[i] = f(left[i], right[i]);
  });
}

/// out[i] = value.
template <Contiguous Out, class T>
void fill(Team& team, Out&& out, const T& value) {
  auto* const to = std::ranges::data(out);
  for_shares<std::ranges::range_value_t<Out>>(team, std::ranges::size(out),
                                              [&](Range range) { std::fill(to + range.begin, to + range.end, value); });
}

/// out[i] = in[i]. Requires: out at least as long as in.
template <Contiguous In, Contiguous Out>
void copy(Team& team, const In& in, Out&& out) {
  PLAIT_CHECK(std::ranges::size(out) >= std::ranges::size(in), std::ranges::size(out), std::ranges::size(in));
  const auto* const from = std::ranges::data(in);
  auto* const to = std::ranges::data(out);
  for_shares<std::ranges::range_value_t<Out>>(team, std::ranges::size(in), [&](Range range) {
    std::copy(from + range.begin, from + range.end, to + range.begin);
  });
}

/// Combines neighbours, then neighbours of those, and so on; values are used up. Requires: not empty.
template <class T, class Op>
T combine_by_tree(std::span<T> values, Op&& op) {
  for (std::size_t stride = 1; stride < values.size(); stride *= 2) {
    for (std::size_t i = 0; i + stride < values.size(); i += 2 * stride) {
      values[i] = op(std::move(values[i]), std::move(values[i + stride]));
    }
  }
  return std::move(values[0]);
}

/// op over map(in[i]), `identity` for an empty range. In a leaf, 16 lanes take every 16th element and are combined by a
/// tree, which lets the compiler vectorise sums of floats; so are the leaves. Allocates one T for every leaf.
/// Requires: op associative and commutative (of floats: nearly), op(identity, x) == x; T default-constructible.
template <Contiguous In, class T, class Op, class Map>
[[nodiscard]] T transform_reduce(Team& team, const In& in, const T& identity, Op op, Map map) {
  constexpr std::size_t kLanes = 16;
  constexpr std::size_t kElements = kLeaf<std::ranges::range_value_t<In>>;
  const std::size_t n = std::ranges::size(in);
  const std::size_t leaves = (n + kElements - 1) / kElements;
  if (leaves == 0) return identity;
  const auto* const from = std::ranges::data(in);
  const auto totals = std::make_unique<T[]>(leaves);
  team.for_chunks(n, kElements, [&](Range leaf) {
    std::array<T, kLanes> lanes;
    lanes.fill(identity);
    std::size_t i = leaf.begin;
    for (; i + kLanes <= leaf.end; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] = op(lanes[lane], map(from[i + lane]));
    }
    for (std::size_t lane = 0; i < leaf.end; ++i, ++lane) lanes[lane] = op(lanes[lane], map(from[i]));
    totals[leaf.begin / kElements] = combine_by_tree(std::span<T>(lanes), op);
  });
  return combine_by_tree(std::span<T>(totals.get(), leaves), op);
}

/// The same without a map.
template <Contiguous In, class T, class Op = std::plus<>>
[[nodiscard]] T reduce(Team& team, const In& in, const T& identity, Op op = {}) {
  return transform_reduce(team, in, identity, op, std::identity{});
}

/// out[i] = in[0] op … op in[i]; out may be in. Leaves are scanned each for itself, then what stands before a leaf is
/// combined with each of its elements. Allocates one T for every leaf. Requires: op associative (of floats: nearly),
/// it need not be commutative; out at least as long as in; its value type T default-constructible.
template <Contiguous In, Contiguous Out, class Op = std::plus<>>
void inclusive_scan(Team& team, const In& in, Out&& out, Op op = {}) {
  using T = std::ranges::range_value_t<Out>;
  const std::size_t n = std::ranges::size(in);
  PLAIT_CHECK(std::ranges::size(out) >= n, std::ranges::size(out), n);
  const auto* const from = std::ranges::data(in);
  T* const to = std::ranges::data(out);
  const std::size_t leaves = (n + kLeaf<T> - 1) / kLeaf<T>;
  const auto before = std::make_unique<T[]>(leaves + 1);  // first each leaf's own total, one place further on
  team.for_chunks(n, kLeaf<T>, [&](Range leaf) {
    T sum = from[leaf.begin];
    to[leaf.begin] = sum;
    for (std::size_t i = leaf.begin + 1; i < leaf.end; ++i) to[i] = sum = op(sum, from[i]);
    before[leaf.begin / kLeaf<T> + 1] = sum;
  });
  for (std::size_t i = 2; i <= leaves; ++i) before[i] = op(before[i - 1], before[i]);
  team.for_chunks(n, kLeaf<T>, [&](Range leaf) {
    if (leaf.begin == 0) return;
    const T sum = before[leaf.begin / kLeaf<T>];
    for (std::size_t i = leaf.begin; i < leaf.end; ++i) to[i] = op(sum, to[i]);
  });
}

/// out[0] = init, out[i] = init op in[0] op … op in[i - 1]; the rest as inclusive_scan().
template <Contiguous In, Contiguous Out, class T, class Op = std::plus<>>
void exclusive_scan(Team& team, const In& in, Out&& out, const T& init, Op op = {}) {
  using U = std::ranges::range_value_t<Out>;
  const std::size_t n = std::ranges::size(in);
  PLAIT_CHECK(std::ranges::size(out) >= n, std::ranges::size(out), n);
  const auto* const from = std::ranges::data(in);
  U* const to = std::ranges::data(out);
  const auto before = std::make_unique<U[]>((n + kLeaf<U> - 1) / kLeaf<U> + 1);  // as above
  team.for_chunks(n, kLeaf<U>, [&](Range leaf) {
    U sum = from[leaf.begin];
    for (std::size_t i = leaf.begin + 1; i < leaf.end; ++i) {
      U next = op(sum, from[i]);
      to[i] = std::exchange(sum, std::move(next));
    }
    before[leaf.begin / kLeaf<U> + 1] = sum;
  });
  before[0] = init;
  for (std::size_t i = 1; i * kLeaf<U> < n; ++i) before[i] = op(before[i - 1], before[i]);
  team.for_chunks(n, kLeaf<U>, [&](Range leaf) {
    const U sum = before[leaf.begin / kLeaf<U>];
    to[leaf.begin] = sum;
    for (std::size_t i = leaf.begin + 1; i < leaf.end; ++i) to[i] = op(sum, to[i]);
  });
}

/// Copies the elements for which keep(element) holds to the front of out, in their order, and returns how many. keep is
/// asked twice and must answer the same. Requires: out at least as long as in.
template <Contiguous In, Contiguous Out, class Keep>
std::size_t pack(Team& team, const In& in, Out&& out, Keep keep) {
  constexpr std::size_t kElements = kLeaf<std::ranges::range_value_t<In>>;
  const std::size_t n = std::ranges::size(in);
  PLAIT_CHECK(std::ranges::size(out) >= n, std::ranges::size(out), n);
  const auto* const from = std::ranges::data(in);
  auto* const to = std::ranges::data(out);
  const std::size_t leaves = (n + kElements - 1) / kElements;
  const auto before = std::make_unique<std::size_t[]>(leaves + 1);  // kept elements before each leaf, and all
  team.for_chunks(n, kElements, [&](Range leaf) {
    std::size_t kept = 0;
    for (std::size_t i = leaf.begin; i < leaf.end; ++i) kept += keep(from[i]) ? 1U : 0U;
    before[leaf.begin / kElements + 1] = kept;
  });
  for (std::size_t i = 1; i <= leaves; ++i) before[i] += before[i - 1];
  team.for_chunks(n, kElements, [&](Range leaf) {
    std::copy_if(from + leaf.begin, from + leaf.end, to + before[leaf.begin / kElements], keep);
  });
  return before[leaves];
}

}  // namespace plait::parallel
