// SPDX-License-Identifier: Apache-2.0
//
// What a request costs the thread that tells it, network and disk excepted.
#include <benchmark/benchmark.h>

#include "operations/otlp.h"
#include "operations/record_for_test.h"

namespace plait::operations {
namespace {

void encode_request(benchmark::State& state) {
  RequestRecord record = answered_request();
  record.generations.resize(static_cast<std::size_t>(state.range(0)), record.generations[0]);
  const TraceIds ids(1);
  for (auto _ : state) {
    const Trace trace = trace_of(record, ids);
    benchmark::DoNotOptimize(otlp_json({}, {&trace, 1}));
  }
}
BENCHMARK(encode_request)->ArgName("answers")->Arg(1)->Arg(8);

}  // namespace
}  // namespace plait::operations
