// SPDX-License-Identifier: Apache-2.0
//
// The loop that both tokenizer families share: of all neighbouring symbols that may merge, merge the pair with the
// lowest rank, the leftmost first among equals, until none may.
//
// Words have a few symbols, so short inputs search a plain array for the lowest rank. Long ones (text without spaces, a
// megabyte of one letter) use a heap of candidates and a linked list: O(n log n). Both give the same result.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace plait::models {

inline constexpr std::uint32_t kNoRank = 0xFFFFFFFF;

/// What two neighbours become.
template <class Symbol>
struct Merge {
  std::uint32_t rank = kNoRank;  ///< kNoRank: they stay apart.
  Symbol result = {};
};

/// Memory of merge_symbols() that is kept between calls; one per thread at work.
template <class Symbol>
struct MergeScratch {
  struct Candidate {
    std::uint64_t order;  // rank << 32 | left: smallest first
    std::uint32_t right;
    std::uint32_t right_version;
    Symbol result;
    friend bool operator>(const Candidate& a, const Candidate& b) { return a.order > b.order; }
  };
  std::vector<Merge<Symbol>> merges;
  std::vector<Candidate> heap;
  std::vector<std::uint32_t> previous, next, version;
};

/// Above this many symbols the heap is used. Not tuned: words are far shorter, runs without spaces far longer.
inline constexpr std::size_t kHeapSymbols = 64;

template <class Symbol, class Lookup>
void merge_few(std::vector<Symbol>& symbols, const Lookup& lookup, MergeScratch<Symbol>& scratch) {
  auto& merges = scratch.merges;
  merges.clear();
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) merges.push_back(lookup(symbols[i], symbols[i + 1]));
  while (!merges.empty()) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < merges.size(); ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == kNoRank) return;
    symbols[best] = merges[best].result;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    merges.erase(merges.begin() + static_cast<std::ptrdiff_t>(best));
    if (best > 0) merges[best - 1] = lookup(symbols[best - 1], symbols[best]);
    if (best < merges.size()) merges[best] = lookup(symbols[best], symbols[best + 1]);
  }
}

/// Requires: fewer than 2^32 - 1 symbols.
template <class Symbol, class Lookup>
void merge_many(std::vector<Symbol>& symbols, const Lookup& lookup, MergeScratch<Symbol>& scratch) {
  constexpr std::uint32_t kEnd = 0xFFFFFFFF;
  constexpr std::uint32_t kDead = 0xFFFFFFFF;
  const auto count = static_cast<std::uint32_t>(symbols.size());
  auto& [unused, heap, previous, next, version] = scratch;
  heap.clear();
  previous.resize(count);
  next.resize(count);
  version.assign(count, 0);  // how often a symbol grew: a candidate with an old version is out of date
  for (std::uint32_t i = 0; i < count; ++i) {
    previous[i] = i == 0 ? kEnd : i - 1;
    next[i] = i + 1 == count ? kEnd : i + 1;
  }
  const auto candidate = [&](std::uint32_t left, auto&& put) {
    if (left == kEnd || next[left] == kEnd) return;
    const auto merge = lookup(symbols[left], symbols[next[left]]);
    if (merge.rank == kNoRank) return;
    const std::uint64_t order = (static_cast<std::uint64_t>(merge.rank) << 32) | left;
    put(typename MergeScratch<Symbol>::Candidate{order, next[left], version[next[left]], merge.result});
  };
  for (std::uint32_t i = 0; i < count; ++i) candidate(i, [&](auto c) { heap.push_back(c); });
  std::ranges::make_heap(heap, std::greater<>{});
  const auto push = [&](auto c) {
    heap.push_back(c);
    std::ranges::push_heap(heap, std::greater<>{});
  };
  while (!heap.empty()) {
    std::ranges::pop_heap(heap, std::greater<>{});
    const auto best = heap.back();
    heap.pop_back();
    const auto left = static_cast<std::uint32_t>(best.order);
    // If its right neighbour is still the same, the left symbol has not grown either.
    if (version[left] == kDead || next[left] != best.right || version[best.right] != best.right_version) continue;
    symbols[left] = best.result;
    ++version[left];
    version[best.right] = kDead;
    next[left] = next[best.right];
    if (next[left] != kEnd) previous[next[left]] = left;
    candidate(previous[left], push);
    candidate(left, push);
  }
  std::size_t kept = 0;
  for (std::uint32_t i = 0; i != kEnd; i = next[i]) symbols[kept++] = symbols[i];
  symbols.resize(kept);
}

/// Merges in place. `lookup(left, right)` returns Merge<Symbol>; it must depend on its arguments alone.
template <class Symbol, class Lookup>
void merge_symbols(std::vector<Symbol>& symbols, const Lookup& lookup, MergeScratch<Symbol>& scratch) {
  if (symbols.size() < 2) return;
  if (symbols.size() <= kHeapSymbols) {
    merge_few(symbols, lookup, scratch);
  } else {
    merge_many(symbols, lookup, scratch);
  }
}

}  // namespace plait::models
