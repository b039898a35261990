// SPDX-License-Identifier: Apache-2.0
//
// Records a second, each durable before its thread writes the next one: a commit that threads share, beside a sync for
// every record. Both write the same bytes to the same folder, by turns. Set TMPDIR to choose the disk.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "store/crc32c.h"
#include "store/log.h"
#include "store/record.h"
#include "store/result_file.h"
#include "testing/temp_dir.h"

namespace plait::store {
namespace {

constexpr int kRecordsOfEach = 16;

// Seconds for `threads` threads that call `write` a few times each.
template <class Write>
double seconds(int threads, Write write) {
  const auto begin = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&] {
        for (int i = 0; i < kRecordsOfEach; ++i) write();
      });
    }
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

void report(benchmark::State& state, const std::vector<double>& ours, const std::vector<double>& baseline) {
  const double records = static_cast<double>(state.range(0)) * kRecordsOfEach;
  state.counters["records/s"] = records / median(ours);
  state.counters["sync_each/s"] = records / median(baseline);
  state.counters["ratio"] = median(baseline) / median(ours);
}

/// What a log without group commit does: append and sync, one thread at a time.
class SyncEach {
 public:
  explicit SyncEach(const std::filesystem::path& path) : file_(OsFileLayer().open(path).value()) {}
  void write(std::span<const std::byte> record) {
    const std::lock_guard lock(mutex_);
    PLAIT_CHECK(file_->write(end_, record) && file_->sync());
    end_ += record.size();
  }

 private:
  std::mutex mutex_;
  const std::unique_ptr<File> file_;
  base::Bytes end_ = 0;
};

void log_commit(benchmark::State& state) {
  const testing::TempDir folder;
  OsFileLayer layer;
  const auto log = Log::open(layer, folder / "log", [](auto) { return base::Result<void>{}; }).value();
  SyncEach each(folder / "each");
  const std::vector<std::byte> record(400, std::byte{'r'});
  const std::vector<std::byte> framed(record.size() + kRecordHeadBytes, std::byte{'r'});
  const int threads = static_cast<int>(state.range(0));
  std::vector<double> ours;
  std::vector<double> baseline;
  for (auto _ : state) {
    ours.push_back(seconds(threads, [&] { PLAIT_CHECK(log->append(record) && log->commit()); }));
    baseline.push_back(seconds(threads, [&] { each.write(framed); }));
  }
  report(state, ours, baseline);
}
BENCHMARK(log_commit)->Arg(1)->Arg(8)->UseRealTime();

void result_file_commit(benchmark::State& state) {
  const testing::TempDir folder;
  OsFileLayer layer;
  const auto results = ResultFile::open(layer, folder / "results", [](auto) { return true; }).value();
  SyncEach each(folder / "each");
  const std::string line(400, 'r');
  const int threads = static_cast<int>(state.range(0));
  std::vector<double> ours;
  std::vector<double> baseline;
  for (auto _ : state) {
    ours.push_back(seconds(threads, [&] { PLAIT_CHECK(results->append(line) && results->commit()); }));
    baseline.push_back(seconds(threads, [&] { each.write(std::as_bytes(std::span(line))); }));
  }
  report(state, ours, baseline);
}
BENCHMARK(result_file_commit)->Arg(1)->Arg(8)->UseRealTime();

template <std::uint32_t (*kChecksum)(std::span<const std::byte>, std::uint32_t)>
void checksum(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)), std::byte{1});
  for (auto _ : state) benchmark::DoNotOptimize(kChecksum(bytes, 0));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum<crc32c>)->Name("crc32c")->Arg(64)->Arg(65536);
BENCHMARK(checksum<crc32c_by_tables>)->Name("crc32c_by_tables")->Arg(64)->Arg(65536);

}  // namespace
}  // namespace plait::store
