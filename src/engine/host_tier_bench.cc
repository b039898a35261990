// SPDX-License-Identifier: Apache-2.0
//
// How fast a file in the temporary folder takes pages, by size of the pieces. 8 KiB is one layer of a page of
// SmolLM2-135M (6,144 bytes, padded), 360 KiB a whole page, the others runs of 4 and 60 pages. `times_8KiB` is the
// ratio against the smallest pieces of the same mode. Cached numbers are those of memory.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <utility>

#include "engine/host_tier.h"
#include "os/page_buffer.h"

namespace plait::engine {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr base::Bytes kTotal = base::Bytes{43'200} << 10;  // two runs of 60 pages
constexpr base::Bytes kPiecesMax = 1024;                   // small pieces can take milliseconds each

os::AsyncFileOptions options_of(std::int64_t mode) {
  return {.depth = 16, .use_io_uring = mode != 1, .use_direct = mode != 2};
}

// Moves kTotal bytes in pieces; true if all went well.
bool move_all(FileTier& tier, os::PageBuffer& memory, std::uint32_t pieces, bool write) {
  for (std::uint32_t piece = 0; piece < pieces; ++piece) {
    const std::span<std::byte> bytes(memory.data() + piece * tier.slot_bytes(), tier.slot_bytes());
    if (write) {
      tier.write(bytes, piece, piece);
    } else {
      tier.read(bytes, piece, piece);
    }
  }
  std::vector<HostTier::Completion> done;
  while (tier.in_flight() > 0) tier.wait(done, std::chrono::seconds(10));
  for (const auto& completion : done) {
    if (!completion.result) return false;
  }
  return true;
}

void file_tier(benchmark::State& state, bool write) {
  static std::map<std::pair<std::int64_t, bool>, double> smallest;  // (mode, write) → bytes/s in pieces of 8 KiB
  const base::Bytes piece = static_cast<base::Bytes>(state.range(0)) << 10;
  const std::int64_t mode = state.range(1);
  const auto pieces = static_cast<std::uint32_t>(std::min(kTotal / piece, kPiecesMax));
  auto tier = FileTier::make(std::filesystem::temp_directory_path(), pieces, piece, options_of(mode));
  os::PageBuffer memory(kTotal);
  for (base::Bytes i = 0; i < memory.size(); i += 512) memory.data()[i] = static_cast<std::byte>(i >> 9);
  if (!tier || !move_all(**tier, memory, pieces, true)) return state.SkipWithError("no room in the temporary folder");
  const auto begin = std::chrono::steady_clock::now();
  for (auto _ : state) {
    if (!move_all(**tier, memory, pieces, write)) return state.SkipWithError("I/O error");
  }
  const double seconds = Seconds(std::chrono::steady_clock::now() - begin).count();
  const double speed = static_cast<double>(pieces * piece) * static_cast<double>(state.iterations()) / seconds;
  if (state.range(0) == 8) smallest[{mode, write}] = speed;
  const auto baseline = smallest.find({mode, write});
  const os::AsyncFileMode in_use = (*tier)->mode();
  state.SetLabel(std::string(in_use.engine == os::AsyncFileMode::Engine::io_uring ? "io_uring" : "thread") +
                 (in_use.direct ? ", direct" : ", cached"));
  state.counters["GB/s"] = speed / 1e9;
  if (baseline != smallest.end()) state.counters["times_8KiB"] = speed / baseline->second;
}
// Modes: 0 io_uring and O_DIRECT, 1 thread and O_DIRECT, 2 io_uring and the page cache.
BENCHMARK_CAPTURE(file_tier, write, true)
    ->ArgNames({"KiB", "mode"})
    ->ArgsProduct({{8, 360, 1440, 21600}, {0, 1, 2}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(file_tier, read, false)
    ->ArgNames({"KiB", "mode"})
    ->ArgsProduct({{8, 360, 1440, 21600}, {0, 1, 2}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace plait::engine
