// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <array>

#include "base/random.h"
#include "engine/run_allocator.h"

namespace plait::engine {
namespace {

// 64 owners on 4,096 pages (64 Ki tokens) grow page by page; whoever does not fit releases a random owner first. One
// operation is a grow() by one page or a release(). group 1 is the baseline: plain paging with best fit.
void grow_and_release(benchmark::State& state) {
  RunAllocator pool(4096, static_cast<std::uint32_t>(state.range(0)));
  std::uint64_t draw = 0;
  std::uint64_t operations = 0;
  for (auto _ : state) {
    const std::uint64_t owner = base::random_u64(1, draw++) % 64;
    while (!pool.grow(owner, 1)) {
      pool.release(base::random_u64(1, draw++) % 64);
      ++operations;
    }
    ++operations;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(operations));
  const Fragmentation numbers = pool.fragmentation();
  state.counters["free_runs"] = numbers.free_runs;
  state.counters["reserve_pages"] = numbers.reserve_pages;
}
BENCHMARK(grow_and_release)->Arg(1)->Arg(16)->Arg(60);

// The primitive below: a run taken and given back among 1,000 others.
void take_and_give_back(benchmark::State& state) {
  FreeRuns free(100'000);
  const auto all = free.take(100'000, 1);
  for (std::uint32_t run = 0; run < 1000; ++run) {
    free.give_back({run * 100, static_cast<std::uint32_t>(1 + base::random_u64(2, run) % 60)});
  }
  std::uint64_t draw = 0;
  for (auto _ : state) {
    const auto run = free.take_run(static_cast<std::uint32_t>(1 + base::random_u64(3, draw++) % 60));
    free.give_back(*run);
  }
  state.SetItemsProcessed(state.iterations() * 2);
}
BENCHMARK(take_and_give_back);

}  // namespace
}  // namespace plait::engine
