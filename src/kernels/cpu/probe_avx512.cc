// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <iterator>

#include "kernels/cpu/probe_kernels.h"

namespace plait::kernels::cpu {
namespace {

template <int kSums, int kAhead>
void read(const std::byte* p, std::size_t bytes) {
  __m512i sums[kSums];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  for (std::size_t at = 0; at < bytes; at += 64 * kSums) {
    for (int i = 0; i < kSums; ++i) {
      const std::byte* q = p + at + 64 * i;
      if constexpr (kAhead > 0) _mm_prefetch(reinterpret_cast<const char*>(q + kAhead), _MM_HINT_T0);
      sums[i] = _mm512_xor_si512(sums[i], _mm512_load_si512(q));
    }
  }
  for (const auto& sum : sums) asm volatile("" ::"v"(sum));
}

// Several streams at a time, one for each part of the range: the memory system opens more pages and fetches further
// ahead.
template <int kStreams>
void read_streams(const std::byte* p, std::size_t bytes) {
  __m512i sums[kStreams][2];
  for (auto& pair : sums) pair[0] = pair[1] = _mm512_setzero_si512();
  const std::size_t part = bytes / kStreams / 128 * 128;
  for (std::size_t at = 0; at < part; at += 128) {
    for (std::size_t i = 0; i < kStreams; ++i) {
      sums[i][0] = _mm512_xor_si512(sums[i][0], _mm512_load_si512(p + i * part + at));
      sums[i][1] = _mm512_xor_si512(sums[i][1], _mm512_load_si512(p + i * part + at + 64));
    }
  }
  for (std::size_t at = part * kStreams; at < bytes; at += 64) {
    sums[0][0] = _mm512_xor_si512(sums[0][0], _mm512_load_si512(p + at));
  }
  for (const auto& pair : sums) asm volatile("" ::"v"(pair[0]), "v"(pair[1]));
}

#define PLAIT_TWELVE(op)                                                                                \
  op " %%zmm14, %%zmm15, %%zmm0\n" op " %%zmm14, %%zmm15, %%zmm1\n" op " %%zmm14, %%zmm15, %%zmm2\n" op \
     " %%zmm14, %%zmm15, %%zmm3\n" op " %%zmm14, %%zmm15, %%zmm4\n" op " %%zmm14, %%zmm15, %%zmm5\n" op \
     " %%zmm14, %%zmm15, %%zmm6\n" op " %%zmm14, %%zmm15, %%zmm7\n" op " %%zmm14, %%zmm15, %%zmm8\n" op \
     " %%zmm14, %%zmm15, %%zmm9\n" op " %%zmm14, %%zmm15, %%zmm10\n" op " %%zmm14, %%zmm15, %%zmm11\n"
#define PLAIT_TOUCHED "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11"

void fma(long rounds) {
  for (; rounds > 0; --rounds) asm volatile(PLAIT_TWELVE("vfmadd231ps")::: PLAIT_TOUCHED);
}

void dot(long rounds) {
  for (; rounds > 0; --rounds) asm volatile(PLAIT_TWELVE("vpdpbusd")::: PLAIT_TOUCHED);
}

constexpr NamedRead kReads[] = {
    {"avx512 x4", read<4, 0>},
    {"avx512 x8", read<8, 0>},
    {"avx512 x16", read<16, 0>},
    {"avx512 x8, prefetch 2 KiB", read<8, 2048>},
    {"avx512 x8, prefetch 8 KiB", read<8, 8192>},
    {"avx512, 2 streams", read_streams<2>},
    {"avx512, 4 streams", read_streams<4>},
};
constexpr NamedPeak kPeaks[] = {
    {"vfmadd231ps zmm", "f32", 12 * 16 * 2, fma},
    {"vpdpbusd zmm", "int8", 12 * 64 * 2, dot},
};

}  // namespace

constinit const ProbeTable kAvx512Probes{kReads, std::size(kReads), kPeaks, std::size(kPeaks)};

}  // namespace plait::kernels::cpu
