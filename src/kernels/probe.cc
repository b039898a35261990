// SPDX-License-Identifier: Apache-2.0
#include "kernels/probe.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <span>

#include "kernels/cpu/probe_kernels.h"
#include "kernels/isa.h"
#include "os/page_buffer.h"

namespace plait::kernels {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Seconds of `work`, run by all members at once, from the first start to the last end.
template <class F>
double time_of(parallel::Team& team, F&& work) {
  const auto start = Clock::now();
  team.run(work);
  return seconds_since(start);
}

constexpr std::size_t kBlock = 4096;

template <int kSums>
void read_words(const std::byte* p, std::size_t bytes) {
  std::uint64_t sums[kSums] = {};
  for (std::size_t at = 0; at < bytes; at += 8 * kSums) {
    for (int i = 0; i < kSums; ++i) {
      std::uint64_t word;
      std::memcpy(&word, p + at + 8 * static_cast<std::size_t>(i), 8);
      sums[i] += word;
    }
  }
  for (const std::uint64_t sum : sums) asm volatile("" ::"r"(sum));
}

constexpr cpu::NamedRead kPortableReads[] = {{"words x2", read_words<2>},
                                             {"words x4", read_words<4>},
                                             {"words x8", read_words<8>},
                                             {"words x16", read_words<16>}};
constexpr cpu::ProbeTable kPortable{kPortableReads, std::size(kPortableReads), nullptr, 0};

const cpu::ProbeTable& probe_table(Isa isa) {
  switch (isa) {
    case Isa::generic:
      return kPortable;
    case Isa::avx2:
      return cpu::kAvx2Probes;
    case Isa::avxvnni:
      return cpu::kAvxVnniProbes;
    case Isa::avx512:
      return cpu::kAvx512Probes;
    case Isa::amx:
      return cpu::kAmxProbes;
  }
  return kPortable;
}

std::vector<cpu::NamedRead> usable_reads() {
  std::vector<cpu::NamedRead> reads;
  for (const Isa isa : usable_isas()) {
    const cpu::ProbeTable& table = probe_table(isa);
    reads.insert(reads.end(), table.reads, table.reads + table.read_count);
  }
  return reads;
}

}  // namespace

ReadLimit probe_read(base::Bytes footprint, parallel::Team& team, double seconds) {
  const auto members = static_cast<std::size_t>(team.size());
  const std::size_t blocks = (footprint + kBlock * members - 1) / (kBlock * members);  // of each member
  const std::size_t part = blocks * kBlock;
  ReadLimit limit;
  limit.footprint = part * members;
  limit.threads = team.size();
  const std::vector<cpu::NamedRead> reads = usable_reads();
  for (const cpu::NamedRead& read : reads) limit.variants.push_back({read.name, 0});
  const os::PageBuffer buffer(limit.footprint);
  if (buffer.data() == nullptr) return limit;
  const auto own = [&](int member) { return buffer.data() + static_cast<std::size_t>(member) * part; };
  team.run([&](int member) { std::memset(own(member), 1, part); });
  // A measurement reads 16 MiB for each member or more, so that starting the region does not count.
  const std::size_t repeats = std::max<std::size_t>(1, (std::size_t{16} << 20) / part);
  const auto start = Clock::now();
  for (int round = 0; round < 3 || seconds_since(start) < seconds; ++round) {
    for (std::size_t i = 0; i < reads.size(); ++i) {
      const double took = time_of(team, [&](int member) {
        for (std::size_t repeat = 0; repeat < repeats; ++repeat) reads[i].read(own(member), part);
      });
      const double rate = static_cast<double>(limit.footprint * repeats) / took;
      limit.variants[i].bytes_per_second = std::max(limit.variants[i].bytes_per_second, rate);
    }
  }
  limit.best = *std::ranges::max_element(limit.variants, {}, &ReadVariant::bytes_per_second);
  return limit;
}

std::vector<PeakProbe> probe_peaks(parallel::Team& team, double seconds) {
  std::vector<PeakProbe> peaks;
  for (const Isa isa : usable_isas()) {
    const cpu::ProbeTable& table = probe_table(isa);
    for (const cpu::NamedPeak& peak : std::span(table.peaks, table.peak_count)) {
      constexpr long kRounds = 20'000;  // about 40 µs for vectors, 0.4 ms for tiles
      double best = 0;
      const auto start = Clock::now();
      for (int round = 0; round < 3 || seconds_since(start) < seconds; ++round) {
        const double took = time_of(team, [&](int) { peak.run(kRounds); });
        best = std::max(best, static_cast<double>(kRounds) * peak.operations_per_round * team.size() / took);
      }
      peaks.push_back({peak.name, name(isa), peak.operands, team.size(), best});
    }
  }
  return peaks;
}

}  // namespace plait::kernels
