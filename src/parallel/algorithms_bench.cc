// SPDX-License-Identifier: Apache-2.0
// Ours beside the standard library's serial version, over 32 MiB of words.
#include <benchmark/benchmark.h>

#include <numeric>
#include <vector>

#include "base/random.h"
#include "parallel/algorithms.h"
#include "parallel/sort.h"

namespace plait::parallel {
namespace {

constexpr std::size_t kCount = std::size_t{1} << 22;

std::vector<std::uint64_t> words() {
  std::vector<std::uint64_t> values(kCount);
  for (std::size_t i = 0; i < kCount; ++i) values[i] = base::random_u64(5, i);
  return values;
}

/// Threads 0: the standard algorithm.
template <class Standard, class Ours>
void compare(benchmark::State& state, Standard&& standard, Ours&& ours) {
  const auto input = words();
  std::vector<std::uint64_t> output(kCount);
  Team team(std::max(1, static_cast<int>(state.range(0))));
  for (auto _ : state) {
    if (state.range(0) == 0) {
      standard(input, output);
    } else {
      ours(team, input, output);
    }
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kCount * sizeof(std::uint64_t)));
}

void reduce_words(benchmark::State& state) {
  compare(
      state, [](const auto& in, auto& out) { out[0] = std::accumulate(in.begin(), in.end(), std::uint64_t{0}); },
      [](Team& team, const auto& in, auto& out) { out[0] = reduce(team, in, std::uint64_t{0}); });
}
BENCHMARK(reduce_words)->ArgName("threads")->DenseRange(0, 2)->UseRealTime();

void scan_words(benchmark::State& state) {
  compare(
      state, [](const auto& in, auto& out) { std::inclusive_scan(in.begin(), in.end(), out.begin()); },
      [](Team& team, const auto& in, auto& out) { inclusive_scan(team, in, out); });
}
BENCHMARK(scan_words)->ArgName("threads")->DenseRange(0, 2)->UseRealTime();

void pack_odd_words(benchmark::State& state) {
  const auto odd = [](std::uint64_t x) { return (x & 1U) != 0; };
  compare(
      state, [&](const auto& in, auto& out) { std::copy_if(in.begin(), in.end(), out.begin(), odd); },
      [&](Team& team, const auto& in, auto& out) { pack(team, in, out, odd); });
}
BENCHMARK(pack_odd_words)->ArgName("threads")->DenseRange(0, 2)->UseRealTime();

void sort_words(benchmark::State& state) {
  compare(
      state,
      [](const auto& in, auto& out) {
        out = in;
        std::stable_sort(out.begin(), out.end());
      },
      [](Team& team, const auto& in, auto& out) {
        copy(team, in, out);
        sort(team, out);
      });
}
BENCHMARK(sort_words)->ArgName("threads")->DenseRange(0, 2)->UseRealTime();

}  // namespace
}  // namespace plait::parallel
