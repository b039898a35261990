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

text::Json report_json(const std::vector<kernels::ReadLimit>& reads, const std::vector<kernels::PeakProbe>& peaks) {
  text::Json report{
      {"cpu", os::cpu_features().model_name}, {"read", text::Json::array()}, {"peak", text::Json::array()}};
  for (const auto& row : reads) {
    report["read"].push_back({{"footprint_bytes", row.footprint},
                              {"threads", row.threads},
                              {"bytes_per_second", row.best.bytes_per_second},
                              {"variant", row.best.name}});
  }
  for (const auto& row : peaks) {
    report["peak"].push_back({{"instruction", row.name},
                              {"operands", row.operands},
                              {"threads", row.threads},
                              {"operations_per_second", row.operations_per_second}});
  }
  return report;
}

base::Result<void> roofline(const RooflineOptions& options, const Session& session) {
  const os::InterruptGuard guard;
  const int threads_max = thread_count(session);
  std::vector<kernels::ReadLimit> reads;
  std::vector<kernels::PeakProbe> peaks;
  for (int threads = 1; threads <= threads_max;
       threads = threads < threads_max ? std::min(threads * 2, threads_max) : threads + 1) {
    PLAIT_TRY(const auto team, start_team(threads));
    for (const base::Bytes footprint : footprints(options)) {
      PLAIT_TRY_VOID(interrupted());
      reads.push_back(kernels::probe_read(footprint, *team, options.seconds));
      if (reads.back().best.bytes_per_second == 0) {
        return base::fail(base::ErrorCode::out_of_resources, "no memory for " + base::human_bytes(footprint));
      }
    }
    PLAIT_TRY_VOID(interrupted());
    for (const auto& peak : kernels::probe_peaks(*team, options.seconds / 5)) peaks.push_back(peak);
  }
  if (session.json) {
    print("{}\n", report_json(reads, peaks).dump());
    return {};
  }
  print("{}\n\nread, the best of several loops\n", os::cpu_features().model_name);
  for (const auto& row : reads) {
    print("  {:>10}  {:>3} threads  {:8.1f} GB/s  {}\n", base::human_bytes(row.footprint), row.threads,
          row.best.bytes_per_second / 1e9, row.best.name);
  }
  print("\narithmetic, operands in registers\n");
  for (const auto& row : peaks) {
    print("  {:<18} {:>3} threads  {:8.3f} T/s  {}\n", row.name, row.threads, row.operations_per_second / 1e12,
          row.operands);
  }
  return {};
}

}  // namespace

void add_roofline(CLI::App& app, Session& session) {
  auto options = std::make_shared<RooflineOptions>();
  CLI::App* verb = app.add_subcommand("roofline", "Measure what this machine can do at most");
  verb->add_option("--mebibytes", options->mebibytes, "Footprints to read, in MiB; default: from 32 KiB to 2 GiB")
      ->check(CLI::Range(1, 1 << 20));
  verb->add_option("--seconds", options->seconds, "Time for each reading")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 60.0));
  add_setting(*verb, session, "-t,--threads", "threads");
  verb->footer("Example: plait roofline --mebibytes 96 512");
  verb->callback([&session, options] { session.action = [&session, options] { return roofline(*options, session); }; });
}

}  // namespace plait::cli
