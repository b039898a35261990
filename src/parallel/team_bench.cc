// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include "base/random.h"
#include "parallel/team.h"

namespace plait::parallel {
namespace {

void empty_region(benchmark::State& state) {
  Team team(static_cast<int>(state.range(0)));
  for (auto _ : state) team.run([](int) {});
}
BENCHMARK(empty_region)->DenseRange(1, 2)->UseRealTime();

void barrier(benchmark::State& state) {
  Team team(static_cast<int>(state.range(0)));
  constexpr int kBarriers = 1000;
  for (auto _ : state) {
    team.run([&](int) {
      for (int i = 0; i < kBarriers; ++i) team.barrier();
    });
  }
  state.SetItemsProcessed(state.iterations() * kBarriers);
}
BENCHMARK(barrier)->DenseRange(1, 2)->UseRealTime();

void in_turn(benchmark::State& state) {
  Team team(static_cast<int>(state.range(0)));
  const auto nothing = [](int) {};
  for (auto _ : state) team.run_in_turn(nothing, nothing, nothing, nothing);
  state.SetItemsProcessed(state.iterations() * 4);
}
BENCHMARK(in_turn)->DenseRange(1, 2)->UseRealTime();

/// Two members, 4 ms of arithmetic in all, while another thread wants a core: by static shares and by chunks.
template <bool kChunks>
void core_wanted_by_another(benchmark::State& state) {
  const auto work = [](Range range) {
    for (std::size_t i = range.begin; i < range.end; ++i) {
      std::uint64_t x = i;
      for (int round = 0; round < 300; ++round) benchmark::DoNotOptimize(x = base::mix64(x));
    }
  };
  constexpr std::size_t kItems = 4000;
  std::jthread rival([](const std::stop_token& stop) {
    std::uint64_t x = 0;
    while (!stop.stop_requested()) benchmark::DoNotOptimize(x = base::mix64(x));
  });
  Team team(2);
  for (auto _ : state) {
    if constexpr (kChunks) {
      team.for_chunks(kItems, 50, work);
    } else {
      team.run([&](int member) { work(part(kItems, member, team.size())); });
    }
  }
}
BENCHMARK(core_wanted_by_another<false>)->Name("core_wanted_by_another/shares")->UseRealTime();
BENCHMARK(core_wanted_by_another<true>)->Name("core_wanted_by_another/chunks")->UseRealTime();

}  // namespace
}  // namespace plait::parallel
