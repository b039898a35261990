// SPDX-License-Identifier: Apache-2.0
//
// What the engine itself costs, on a model that computes nothing: a step of many rows, a fork, a prompt found in the
// cache. Compare with the model's steps (`plait bench`): 20 ms at 32 rows of smollm2-135m.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "models/config.h"

namespace plait::engine {
namespace {

/// Layers and heads of smollm2-135m; logits that are always the same.
class NullRunner final : public Runner {
 public:
  NullRunner() : layout_(config(), 2) {}
  [[nodiscard]] const models::KvLayout& layout() const override { return layout_; }
  [[nodiscard]] std::size_t vocabulary() const override { return 64; }
  [[nodiscard]] std::size_t context() const override { return 1'000'000; }
  [[nodiscard]] base::Result<void> forward(std::span<const models::Rows> /*batch*/, std::span<float> /*out*/) override {
    return {};
  }
  void for_each(std::size_t count, const std::function<void(std::size_t)>& f) override {
    for (std::size_t i = 0; i < count; ++i) f(i);
  }

 private:
  static models::Config config() {
    models::Config config;
    config.layers = 30;
    config.heads = 9;
    config.kv_heads = 3;
    config.head_dim = 64;
    config.layer_windowed.assign(30, false);
    return config;
  }
  models::KvLayout layout_;
};

std::vector<base::TokenId> random_tokens(std::uint64_t seed, std::size_t count) {
  std::vector<base::TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i)
    tokens.emplace_back(static_cast<std::int32_t>(base::random_u64(seed, i) % 64));
  return tokens;
}

constexpr base::Bytes kMemory = base::Bytes{2} << 30;

void step(benchmark::State& state) {
  NullRunner runner;
  const auto engine = *Engine::make(runner, {.kv_bytes = kMemory});
  const auto rows = static_cast<std::uint64_t>(state.range(0));
  const auto start = [&] {
    for (std::uint64_t i = 0; i < rows; ++i) {
      (void)engine->submit({.prompt = random_tokens(i, 100), .generate = {.tokens_max = 900}});
    }
  };
  start();
  for (auto _ : state) {
    if (!engine->step()) start();
  }
  state.counters["rows"] = static_cast<double>(rows);
}
BENCHMARK(step)->Arg(1)->Arg(8)->Arg(32)->Arg(128);

void fork(benchmark::State& state) {
  NullRunner runner;
  const auto engine = *Engine::make(runner, {.kv_bytes = kMemory});
  const SequenceId root = *engine->create({});
  (void)engine->append(root, random_tokens(1, static_cast<std::size_t>(state.range(0))));
  (void)engine->generate(root, {.prompt_only = true});
  while (engine->step()) {
  }
  for (auto _ : state) {
    const SequenceId child = *engine->fork(root);
    state.PauseTiming();
    engine->close(child);
    state.ResumeTiming();
  }
}
BENCHMARK(fork)->Arg(100)->Arg(4000)->Arg(32000);

/// Submit and first step of a prompt that is in the cache.
void cached_prompt(benchmark::State& state) {
  NullRunner runner;
  const auto engine = *Engine::make(runner, {.kv_bytes = kMemory});
  const auto prompt = random_tokens(1, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    (void)engine->submit({.prompt = prompt, .generate = {.tokens_max = 1}});
    while (engine->step()) {
    }
  }
}
BENCHMARK(cached_prompt)->Arg(1000)->Arg(4000);

}  // namespace
}  // namespace plait::engine
