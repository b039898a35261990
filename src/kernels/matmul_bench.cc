// SPDX-License-Identifier: Apache-2.0
//
// Linear layers of the four models over a stack of matrices as large as the model, so that weights come from memory.
//   matmul/<stack>/<isa>/m:<rows>/threads:<n>, and int8/…, bf16/… for the same weights made so at load
// GB/s counts bytes of the weights touched (as in the file; int8, bf16: as in memory), GOP/s two operations for each
// weight and row.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/matmul.h"
#include "kernels/probe.h"

namespace plait::kernels {
namespace {

using tensor::Type;

struct Shape {
  Type type;
  std::size_t outputs, inputs;
};

struct Stack {
  const char* name;
  int layers;
  std::vector<Shape> shapes;
};

const std::vector<Stack>& stacks() {
  static const std::vector<Stack> all{
      {"smollm2_q4_1",
       30,
       {{Type::q4_1, 960, 576}, {Type::q4_1, 576, 576}, {Type::q4_1, 3072, 576}, {Type::q4_1, 576, 1536}}},
      {"smollm2_head_q8_0", 4, {{Type::q8_0, 49152, 576}}},
      {"qwen_0.5b_q5_0",
       24,
       {{Type::q5_0, 1152, 896}, {Type::q5_0, 896, 896}, {Type::q5_0, 9728, 896}, {Type::q5_0, 896, 4864}}},
      {"qwen_1.5b_q4_k", 14, {{Type::q4_k, 2048, 1536}, {Type::q4_k, 1536, 1536}, {Type::q4_k, 17920, 1536}}},
      {"qwen_1.5b_q6_k", 14, {{Type::q6_k, 1536, 8960}}},
      {"q4_0", 16, {{Type::q4_0, 4096, 2048}}},
      {"q8_0", 16, {{Type::q8_0, 4096, 2048}}},
      {"f16", 8, {{Type::f16, 4096, 2048}}},
  };
  return all;
}

std::vector<std::vector<PackedMatrix>> make(const Stack& stack, Weights weights, parallel::Team& team) {
  WeightMemory memory;
  std::vector<std::vector<PackedMatrix>> layers(static_cast<std::size_t>(stack.layers));
  for (const Shape& shape : stack.shapes) {
    std::vector<std::byte> bytes(shape.outputs * tensor::row_bytes(shape.type, shape.inputs));
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(base::mix64(i) & 0x3b);
    for (auto& layer : layers) {
      const tensor::MatrixView view{shape.type, shape.outputs, shape.inputs, bytes};
      layer.push_back(PackedMatrix::pack({&view, 1}, team, weights, &memory).value());
    }
  }
  return layers;
}

/// The stack made last is kept: one benchmark after another uses it.
const std::vector<std::vector<PackedMatrix>>& made(const Stack& stack, Weights form, parallel::Team& team) {
  static std::string title;
  static std::vector<std::vector<PackedMatrix>> layers;
  const std::string wanted = fmt::format("{} {}", stack.name, name(form));
  if (title != wanted) {
    layers.clear();
    layers = make(stack, form, team);
    title = wanted;
  }
  return layers;
}

void run_stack(benchmark::State& state, const Stack& stack, Weights form, Isa isa, std::size_t m, int threads) {
  parallel::Team team(threads);
  const auto& layers = made(stack, form, team);
  os::HugeVector<float> x(m * 16384), y(m * 65536);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(base::random_unit(1, i) - 0.5);
  QuantisedRows rows;
  double bytes = 0, weights = 0;
  for (const auto& layer : layers) {
    for (const auto& w : layer) {
      bytes += static_cast<double>(form == Weights::exact ? w.file_bytes() : w.bytes());
      weights += static_cast<double>(w.outputs() * w.inputs());
    }
  }
  for (auto _ : state) {
    for (const auto& layer : layers) {
      for (const auto& w : layer) {
        quantise_rows(isa, x.data(), m, w.inputs(), w.inputs(), w.row_form(), rows, team);
        matmul(isa, w, rows, y.data(), w.outputs(), team);
      }
    }
  }
  const auto rate = benchmark::Counter::kIsIterationInvariantRate;
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, rate);
  state.counters["GOP/s"] = benchmark::Counter(2e-9 * weights * static_cast<double>(m), rate);
}

void pack_stack(benchmark::State& state, const Stack& stack, int threads) {
  parallel::Team team(threads);
  const Shape& shape = stack.shapes.back();
  std::vector<std::byte> bytes(shape.outputs * tensor::row_bytes(shape.type, shape.inputs), std::byte{0x11});
  const tensor::MatrixView view{shape.type, shape.outputs, shape.inputs, bytes};
  for (auto _ : state) benchmark::DoNotOptimize(PackedMatrix::pack({&view, 1}, team));
  state.counters["weights/s"] = benchmark::Counter(static_cast<double>(shape.outputs * shape.inputs),
                                                   benchmark::Counter::kIsIterationInvariantRate);
}

void read_limit(benchmark::State& state, std::size_t mebibytes, int threads) {
  parallel::Team team(threads);
  ReadLimit limit;
  for (auto _ : state) limit = probe_read(mebibytes << 20, team, 0.3);
  state.SetLabel(std::string(limit.best.name));
  state.counters["GB/s"] = limit.best.bytes_per_second * 1e-9;
}

void peak(benchmark::State& state, int threads) {
  parallel::Team team(threads);
  for (auto _ : state) {
    for (const PeakProbe& p : probe_peaks(team, 0.05)) {
      state.counters[std::string(p.name)] = p.operations_per_second * 1e-9;
    }
  }
}

void register_products(const Stack& stack, Weights form) {
  for (const int threads : {1, 2}) {
    for (const Isa isa : usable_isas()) {
      if (isa == Isa::generic && stack.layers != 8) continue;
      for (const std::size_t m : std::vector<std::size_t>{1, 4, 8, 16, 32, 128, 512}) {
        if (m > 32 && isa < best_isa()) continue;
        const std::string title =
            fmt::format("{}/{}/{}/m:{}/threads:{}", form == Weights::exact ? "matmul" : name(form), stack.name,
                        name(isa), m, threads);
        benchmark::RegisterBenchmark(title.c_str(), run_stack, stack, form, isa, m, threads)
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

const int kRegistered = [] {
  for (const int threads : {1, 2}) {
    benchmark::RegisterBenchmark(fmt::format("peak_gops/threads:{}", threads).c_str(), peak, threads)->Iterations(1);
    for (const std::size_t mebibytes : std::vector<std::size_t>{1, 24, 66, 300, 1000}) {
      benchmark::RegisterBenchmark(fmt::format("read/MiB:{}/threads:{}", mebibytes, threads).c_str(), read_limit,
                                   mebibytes, threads)
          ->Iterations(1);
    }
  }
  for (const Stack& stack : stacks()) {
    for (const int threads : {1, 2}) {
      benchmark::RegisterBenchmark(fmt::format("pack/{}/threads:{}", stack.name, threads).c_str(), pack_stack, stack,
                                   threads)
          ->UseRealTime();
    }
    for (const Weights form : {Weights::exact, Weights::int8, Weights::bf16}) register_products(stack, form);
  }
  return 0;
}();

}  // namespace
}  // namespace plait::kernels
