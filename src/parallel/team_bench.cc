// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

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

}  // namespace
}  // namespace plait::parallel
