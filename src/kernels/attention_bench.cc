// SPDX-License-Identifier: Apache-2.0
//
// Attention of smollm2-135m (9 heads, 3 of keys and values, dim 64) and qwen2.5-coder-1.5b (12, 2, 128): prompts
// against the peak of f32 FMA, decode against the bytes of its cache. With bf16 and int8, `speed_of_exact` is the speed
// over exact's, both in turn in the same run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/random.h"
#include "kernels/attention.h"
#include "os/page_buffer.h"

namespace plait::kernels {
namespace {

std::vector<float> random(std::size_t n, std::uint64_t seed) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(base::random_unit(seed, i)) - 0.5F;
  return x;
}

/// Pages of one sequence with several layers, filled with random numbers.
struct Pages {
  Pages(const AttentionShape& shape, std::size_t layers, std::size_t tokens)
      : layer_bytes(kernels::layer_bytes(shape)) {
    const std::size_t count = (tokens + kPageTokens - 1) / kPageTokens;
    memory.resize(count * layers * layer_bytes);
    for (std::size_t i = 0; i < count; ++i) pages.push_back(memory.data() + i * layers * layer_bytes);
    const std::size_t width = shape.kv_heads * shape.dim;
    const std::vector<float> x = random(2 * kPageTokens * width + 61, 1);
    for (std::size_t i = 0; i < count * layers; ++i) {
      const float* k = x.data() + i % 61;
      store_kv(best_isa(), shape, i % layers * layer_bytes, pages.data(), i / layers * kPageTokens, kPageTokens, k,
               width, k + kPageTokens * width, width);
    }
  }

  std::size_t layer_bytes;
  os::HugeVector<std::byte> memory;
  std::vector<std::byte*> pages;
};

/// Everything that attention of some rows needs.
struct Step {
  Step(const AttentionShape& of, std::size_t layer_count, std::size_t row_count, std::size_t context)
      : shape(of),
        layers(layer_count),
        rows(row_count),
        tokens(context),
        pages(of, layer_count, context),
        q(random(row_count * of.heads * of.dim, 2)),
        out(q.size()) {}

  void run(Isa isa, parallel::Team& team) {
    const AttentionEntry entries[] = {{.pages = pages.pages.data(), .last = tokens - rows + 1, .grows = true}};
    const AttentionRows batch{.rows = rows, .position = static_cast<std::ptrdiff_t>(tokens - rows), .entries = entries};
    plan.prepare(shape, {&batch, 1}, team.size());
    const std::size_t width = shape.heads * shape.dim;
    for (std::size_t i = 0; i < layers; ++i) {
      attention(isa, shape, plan, i * pages.layer_bytes, q.data(), width, out.data(), width, team, workspace);
      benchmark::DoNotOptimize(out.data());
    }
  }

  AttentionShape shape;
  std::size_t layers;
  std::size_t rows;
  std::size_t tokens;
  Pages pages;
  std::vector<float> q;
  std::vector<float> out;
  AttentionPlan plan;
  AttentionWorkspace workspace;
};

void count(benchmark::State& state, const Step& step) {
  using Counter = benchmark::Counter;
  const auto seen = static_cast<double>(step.rows * step.tokens - step.rows * (step.rows - 1) / 2);
  const double operations = 4 * seen * static_cast<double>(step.shape.heads * step.shape.dim * step.layers);
  state.counters["FLOP/s"] = Counter(operations, Counter::kIsIterationInvariantRate);
  const auto bytes = static_cast<double>(step.tokens / kPageTokens * step.pages.layer_bytes * step.layers);
  state.counters["cache_B/s"] = Counter(bytes, Counter::kIsIterationInvariantRate, Counter::kIs1024);
}

void run(benchmark::State& state, const AttentionShape& shape, Isa isa, std::size_t layers) {
  Step step(shape, layers, static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  parallel::Team team(static_cast<int>(state.range(2)));
  for (auto _ : state) step.run(isa, team);
  count(state, step);
}

/// Times an arithmetic, and exact in between without counting it.
void run_beside_exact(benchmark::State& state, AttentionArithmetic arithmetic, AttentionShape shape,
                      std::size_t layers) {
  const auto rows = static_cast<std::size_t>(state.range(0));
  const auto tokens = static_cast<std::size_t>(state.range(1));
  Step exact(shape, layers, rows, tokens);
  shape.arithmetic = arithmetic;
  Step other(shape, layers, rows, tokens);
  parallel::Team team(static_cast<int>(state.range(2)));
  using Clock = std::chrono::steady_clock;
  std::vector<double> ratios;
  for (auto _ : state) {
    const auto start = Clock::now();
    exact.run(best_isa(), team);
    const auto middle = Clock::now();
    other.run(best_isa(), team);
    const std::chrono::duration<double> own = Clock::now() - middle;
    state.SetIterationTime(own.count());
    ratios.push_back(std::chrono::duration<double>(middle - start) / own);
  }
  count(state, other);
  const auto median = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
  std::ranges::nth_element(ratios, median);
  state.counters["speed_of_exact"] = *median;
}

constexpr AttentionShape kSmollm2{.heads = 9, .kv_heads = 3, .dim = 64, .scale = 0.125F};
constexpr AttentionShape kQwen{.heads = 12, .kv_heads = 2, .dim = 128, .scale = 0.088F};

void prompt_smollm2(benchmark::State& state) { run(state, kSmollm2, best_isa(), 1); }
void prompt_qwen_1_5b(benchmark::State& state) { run(state, kQwen, best_isa(), 1); }
void prompt_smollm2_avx2(benchmark::State& state) { run(state, kSmollm2, Isa::avx2, 1); }
void decode_smollm2(benchmark::State& state) { run(state, kSmollm2, best_isa(), 30); }
void decode_qwen_1_5b(benchmark::State& state) { run(state, kQwen, best_isa(), 28); }
void decode_smollm2_avx2(benchmark::State& state) { run(state, kSmollm2, Isa::avx2, 30); }
void one_layer_smollm2(benchmark::State& state) { run(state, kSmollm2, best_isa(), 1); }

constexpr AttentionArithmetic kBf16 = AttentionArithmetic::bf16;
constexpr AttentionArithmetic kInt8 = AttentionArithmetic::int8;

void prompt_smollm2_bf16(benchmark::State& state) { run_beside_exact(state, kBf16, kSmollm2, 1); }
void prompt_qwen_1_5b_bf16(benchmark::State& state) { run_beside_exact(state, kBf16, kQwen, 1); }
void decode_smollm2_bf16(benchmark::State& state) { run_beside_exact(state, kBf16, kSmollm2, 30); }
void decode_qwen_1_5b_bf16(benchmark::State& state) { run_beside_exact(state, kBf16, kQwen, 28); }
void prompt_smollm2_int8(benchmark::State& state) { run_beside_exact(state, kInt8, kSmollm2, 1); }
void decode_smollm2_int8(benchmark::State& state) { run_beside_exact(state, kInt8, kSmollm2, 30); }
void decode_qwen_1_5b_int8(benchmark::State& state) { run_beside_exact(state, kInt8, kQwen, 28); }

// rows, tokens of context (the rows included), threads
BENCHMARK(prompt_smollm2)->ArgsProduct({{512}, {512, 4096}, {1, 2}})->UseRealTime();
BENCHMARK(prompt_qwen_1_5b)->ArgsProduct({{512}, {512}, {1, 2}})->UseRealTime();
BENCHMARK(prompt_smollm2_avx2)->ArgsProduct({{512}, {512}, {1}})->UseRealTime();
BENCHMARK(decode_smollm2)->ArgsProduct({{1, 8}, {128, 4096}, {1, 2}})->UseRealTime();
BENCHMARK(decode_qwen_1_5b)->ArgsProduct({{1}, {4096}, {1, 2}})->UseRealTime();
BENCHMARK(decode_smollm2_avx2)->ArgsProduct({{1}, {4096}, {1}})->UseRealTime();
BENCHMARK(one_layer_smollm2)->ArgsProduct({{1}, {256, 4096}, {1, 2}})->UseRealTime();
BENCHMARK(prompt_smollm2_bf16)->ArgsProduct({{512}, {512, 4096}, {1, 2}})->UseManualTime();
BENCHMARK(prompt_qwen_1_5b_bf16)->ArgsProduct({{512}, {512, 4096}, {1, 2}})->UseManualTime();
BENCHMARK(decode_smollm2_bf16)->ArgsProduct({{1, 8}, {128, 4096}, {1, 2}})->UseManualTime();
BENCHMARK(decode_qwen_1_5b_bf16)->ArgsProduct({{1, 8}, {128, 4096}, {1, 2}})->UseManualTime();
BENCHMARK(prompt_smollm2_int8)->ArgsProduct({{512}, {512, 4096}, {1, 2}})->UseManualTime();
BENCHMARK(decode_smollm2_int8)->ArgsProduct({{1, 8}, {128, 4096}, {1, 2}})->UseManualTime();
BENCHMARK(decode_qwen_1_5b_int8)->ArgsProduct({{1, 8}, {128, 4096}, {1, 2}})->UseManualTime();

void store_smollm2(benchmark::State& state) {
  const auto rows = static_cast<std::size_t>(state.range(0));
  const Pages pages(kSmollm2, 1, rows);
  const std::vector<float> k = random(rows * 192, 3);
  for (auto _ : state) {
    store_kv(best_isa(), kSmollm2, 0, pages.pages.data(), 0, rows, k.data(), 192, k.data(), 192);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(store_smollm2)->Arg(1)->Arg(512);

}  // namespace
}  // namespace plait::kernels
