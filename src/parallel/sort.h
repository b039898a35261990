// SPDX-License-Identifier: Apache-2.0
//
// A stable merge sort on a team. Leaves of 64 KiB are sorted each for itself; then pairs of sorted runs are merged,
// round by round, between the range and a buffer. Every round is cut into leaves of its output, and where a leaf's
// inputs begin is found by bisection (Deo and Sarkar, Parallel Processing Letters 1991), so all threads have work in
// the last round too. A stable sort has one result, hence it is the same for any team.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>

#include "parallel/algorithms.h"

namespace plait::parallel {

/// How many of the first k elements of the stable merge of two sorted runs come from the left one.
template <class T, class Less>
[[nodiscard]] std::size_t merge_rank(std::span<const T> left, std::span<const T> right, std::size_t k, Less& less) {
  std::size_t low = k > right.size() ? k - right.size() : 0;
  std::size_t high = std::min(k, left.size());
  while (low < high) {
    const std::size_t i = low + (high - low) / 2;
    if (less(right[k - i - 1], left[i])) {
      high = i;
    } else {
      low = i + 1;
    }
  }
  return low;
}

/// Sorts by `less`; equal elements stay in their order. O(n log n) comparisons, n elements of additional memory.
/// Exceptions of `less` are rethrown as in algorithms.h; the range then holds anything. Threads: as Team::run().
/// Requires: less is a strict weak order; elements trivially copyable (else sort indices or pointers).
template <Contiguous Values, class Less = std::ranges::less>
void sort(Team& team, Values&& values, Less less = {}) {
  using T = std::ranges::range_value_t<Values>;
  static_assert(std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T>);
  T* const data = std::ranges::data(values);
  const std::size_t n = std::ranges::size(values);
  team.for_chunks(n, kLeaf<T>, [&](Range leaf) { std::stable_sort(data + leaf.begin, data + leaf.end, less); });
  if (n <= kLeaf<T>) return;
  const auto buffer = std::make_unique_for_overwrite<T[]>(n);
  std::span<T> from(data, n);
  std::span<T> to(buffer.get(), n);
  for (std::size_t width = kLeaf<T>; width < n; width *= 2) {
    team.for_chunks(n, kLeaf<T>, [&](Range leaf) {
      const std::size_t begin = leaf.begin / (2 * width) * (2 * width);
      const std::size_t middle = std::min(begin + width, n);
      const std::span<const T> left = from.subspan(begin, middle - begin);
      const std::span<const T> right = from.subspan(middle, std::min(middle + width, n) - middle);
      const std::size_t first = merge_rank(left, right, leaf.begin - begin, less);
      const std::size_t last = merge_rank(left, right, leaf.end - begin, less);
      std::merge(left.data() + first, left.data() + last, right.data() + (leaf.begin - begin - first),
                 right.data() + (leaf.end - begin - last), to.data() + leaf.begin, less);
    });
    std::swap(from, to);
  }
  if (from.data() != data) copy(team, from, to);
}

}  // namespace plait::parallel
