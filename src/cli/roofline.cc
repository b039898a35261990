// SPDX-License-Identifier: Apache-2.0
#include "cli/roofline.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/model_session.h"
#include "kernels/probe.h"
#include "os/cpu.h"
#include "os/interrupt.h"
#include "os/memory.h"
#include "parallel/probe.h"
#include "text/json.h"

namespace plait::cli {
namespace {

using namespace base::literals;

struct RooflineOptions {
  std::vector<base::Bytes> mebibytes = {};
  double seconds = 0.5;
};

// From the first-level cache to memory, up to an eighth of what is free.
std::vector<base::Bytes> footprints(const RooflineOptions& options) {
  std::vector<base::Bytes> sizes;
  for (const base::Bytes n : options.mebibytes) sizes.push_back(n << 20U);
  if (!sizes.empty()) return sizes;
  for (const base::Bytes size : {32_KiB, 1_MiB, 24_MiB, 96_MiB, 512_MiB, 2_GiB}) {
    if (size <= std::max<base::Bytes>(os::memory_info().available / 8, 1_MiB)) sizes.push_back(size);
  }
  return sizes;
}

base::Result<void> interrupted() {
  if (!os::interrupt_requested()) return {};
  return base::fail(base::ErrorCode::interrupted, "interrupted");
}

/// What was measured, in the order of thread counts.
struct Limits {
  std::vector<kernels::ReadLimit> reads;
  std::vector<parallel::StreamRate> streams;
  std::vector<kernels::PeakProbe> peaks;
  std::vector<parallel::RegionCost> regions;
};

text::Json report_json(const Limits& limits) {
  text::Json report{{"cpu", os::cpu_features().model_name},
                    {"read", text::Json::array()},
                    {"stream", text::Json::array()},
                    {"peak", text::Json::array()},
                    {"region", text::Json::array()}};
  for (const auto& row : limits.reads) {
    report["read"].push_back({{"footprint_bytes", row.footprint},
                              {"threads", row.threads},
                              {"bytes_per_second", row.best.bytes_per_second},
                              {"variant", row.best.name}});
  }
  for (const auto& row : limits.streams) {
    report["stream"].push_back({{"name", row.name},
                                {"array_bytes", row.array_bytes},
                                {"threads", row.threads},
                                {"bytes_per_second", row.bytes_per_second},
                                {"native_bytes_per_second", row.native_bytes_per_second},
                                {"ratio", row.ratio}});
  }
  for (const auto& row : limits.peaks) {
    report["peak"].push_back({{"instruction", row.name},
                              {"operands", row.operands},
                              {"threads", row.threads},
                              {"operations_per_second", row.operations_per_second}});
  }
  for (const auto& row : limits.regions) {
    report["region"].push_back({{"threads", row.threads},
                                {"region_us", row.region_us},
                                {"barrier_us", row.barrier_us},
                                {"threads_us", row.threads_us}});
  }
  return report;
}

void print_report(const Limits& limits) {
  print("{}\n\nread, the best of several loops\n", os::cpu_features().model_name);
  for (const auto& row : limits.reads) {
    print("  {:>10}  {:>3} threads  {:8.1f} GB/s  {}\n", base::human_bytes(row.footprint), row.threads,
          row.best.bytes_per_second / 1e9, row.best.name);
  }
  print("\nSTREAM-style, arrays of doubles, ours beside plain loops in plain threads\n");
  for (const auto& row : limits.streams) {
    print("  {:>10}  {:>3} threads  {:8.1f} GB/s  {:<5}  native {:.1f} GB/s, ratio {:.2f}\n",
          base::human_bytes(row.array_bytes), row.threads, row.bytes_per_second / 1e9, row.name,
          row.native_bytes_per_second / 1e9, row.ratio);
  }
  print("\narithmetic, operands in registers\n");
  for (const auto& row : limits.peaks) {
    print("  {:<18} {:>3} threads  {:8.3f} T/s  {}\n", row.name, row.threads, row.operations_per_second / 1e12,
          row.operands);
  }
  print("\nthreads, with nothing to do\n");
  for (const auto& row : limits.regions) {
    print("  {:>3} threads  region {:.2f} µs, barrier {:.2f} µs, starting and joining threads {:.1f} µs\n", row.threads,
          row.region_us, row.barrier_us, row.threads_us);
  }
}

base::Result<void> measure(const RooflineOptions& options, parallel::Team& team, Limits& limits) {
  const std::vector<base::Bytes> sizes = footprints(options);
  for (const base::Bytes footprint : sizes) {
    PLAIT_TRY_VOID(interrupted());
    limits.reads.push_back(kernels::probe_read(footprint, team, options.seconds));
    if (limits.reads.back().best.bytes_per_second == 0) {
      return base::fail(base::ErrorCode::out_of_resources, "no memory for " + base::human_bytes(footprint));
    }
  }
  PLAIT_TRY_VOID(interrupted());
  PLAIT_TRY(const auto streams, parallel::probe_stream(sizes.back(), team, 8 * options.seconds));
  limits.streams.insert(limits.streams.end(), streams.begin(), streams.end());
  PLAIT_TRY_VOID(interrupted());
  for (const auto& peak : kernels::probe_peaks(team, options.seconds / 5)) limits.peaks.push_back(peak);
  PLAIT_TRY_VOID(interrupted());
  limits.regions.push_back(parallel::probe_regions(team, options.seconds / 5));
  return {};
}

base::Result<void> roofline(const RooflineOptions& options, const Session& session) {
  const os::InterruptGuard guard;
  const int threads_max = thread_count(session);
  Limits limits;
  for (int threads = 1; threads <= threads_max;
       threads = threads < threads_max ? std::min(threads * 2, threads_max) : threads + 1) {
    PLAIT_TRY(const auto team, start_team(threads));
    PLAIT_TRY_VOID(measure(options, *team, limits));
  }
  if (session.json) {
    print("{}\n", report_json(limits).dump());
  } else {
    print_report(limits);
  }
  return {};
}

}  // namespace

void add_roofline(CLI::App& app, Session& session) {
  auto options = std::make_shared<RooflineOptions>();
  CLI::App* verb = app.add_subcommand("roofline", "Measure what this machine can do at most");
  verb->add_option("--mebibytes", options->mebibytes,
                   "Footprints to read, in MiB; the last is also each array's of STREAM; default: 32 KiB to 2 GiB")
      ->check(CLI::Range(1, 1 << 20));
  verb->add_option("--seconds", options->seconds, "Time for each reading")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 60.0));
  add_setting(*verb, session, "-t,--threads", "threads");
  verb->footer("Example: plait roofline --mebibytes 96 512");
  verb->callback([&session, options] { session.action = [&session, options] { return roofline(*options, session); }; });
}

}  // namespace plait::cli
