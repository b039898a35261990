// SPDX-License-Identifier: Apache-2.0
//
// The rest of a step: rows of smollm2-135m's widths, and logits of gemma's 262,144 words.
#include <benchmark/benchmark.h>

#include <vector>

#include "base/random.h"
#include "kernels/elementwise.h"
#include "kernels/logits.h"
#include "kernels/rope.h"

namespace plait::kernels {
namespace {

std::vector<float> random(std::size_t n) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(base::random_unit(1, i)) * 16 - 8;
  return x;
}

/// Runs f(isa, x, n, out) on rows of range(0) floats.
template <class F>
void rows(benchmark::State& state, F f) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const std::vector<float> x = random(n);
  std::vector<float> out(n);
  for (auto _ : state) {
    f(best_isa(), x.data(), n, out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void norm(benchmark::State& state) {
  rows(state, [](Isa isa, const float* x, std::size_t n, float* out) { rms_norm(isa, x, x, 1e-5F, n, out); });
}
void silu(benchmark::State& state) {
  rows(state, [](Isa isa, const float* x, std::size_t n, float* out) { silu_mul(isa, x, x, n, out); });
}
void gelu(benchmark::State& state) {
  rows(state, [](Isa isa, const float* x, std::size_t n, float* out) { gelu_mul(isa, x, x, n, out); });
}
void residual(benchmark::State& state) {
  rows(state, [](Isa isa, const float* x, std::size_t n, float* out) { add(isa, x, x, n, out); });
}
void capped(benchmark::State& state) {
  rows(state, [](Isa isa, const float* x, std::size_t n, float* out) { soft_cap(isa, x, 30, n, out); });
}
BENCHMARK(norm)->Arg(576);
BENCHMARK(silu)->Arg(1536);
BENCHMARK(gelu)->Arg(2048);
BENCHMARK(residual)->Arg(576);
BENCHMARK(capped)->Arg(262'144);

void rotation(benchmark::State& state) {
  const auto rotate = state.range(0) == 0 ? rope_norm : rope_neox;
  std::vector<float> x = random(12 * 64);
  const std::vector<float> cos(32, 0.6F);  // lengths must stay, lest numbers become subnormal
  const std::vector<float> sin(32, 0.8F);
  for (auto _ : state) {
    rotate(best_isa(), x.data(), 12, 64, 64, cos.data(), sin.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(rotation)->Arg(0)->Arg(1);

void table(benchmark::State& state) {
  const RopeTable rope(rope_frequencies(64, 100'000));
  std::vector<float> cos(32);
  std::vector<float> sin(32);
  std::size_t position = 0;
  for (auto _ : state) {
    rope.fill(++position % 8192, cos.data(), sin.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(table);

void words_argmax(benchmark::State& state) {
  const std::vector<float> x = random(262'144);
  for (auto _ : state) benchmark::DoNotOptimize(argmax(best_isa(), x));
}
void words_log_sum_exp(benchmark::State& state) {
  const std::vector<float> x = random(262'144);
  for (auto _ : state) benchmark::DoNotOptimize(log_sum_exp(best_isa(), x));
}
void words_top_40(benchmark::State& state) {
  const std::vector<float> x = random(262'144);
  TopK top;
  for (auto _ : state) benchmark::DoNotOptimize(top.select(best_isa(), x, 40).data());
}
BENCHMARK(words_argmax);
BENCHMARK(words_log_sum_exp);
BENCHMARK(words_top_40);

}  // namespace
}  // namespace plait::kernels
