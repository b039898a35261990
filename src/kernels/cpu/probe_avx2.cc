// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <iterator>

#include "kernels/cpu/probe_kernels.h"

namespace plait::kernels::cpu {
namespace {

template <int kSums, int kAhead>
void read(const std::byte* p, std::size_t bytes) {
  __m256i sums[kSums];
  for (auto& sum : sums) sum = _mm256_setzero_si256();
  for (std::size_t at = 0; at < bytes; at += 32 * kSums) {
    for (int i = 0; i < kSums; ++i) {
      const std::byte* q = p + at + 32 * i;
      if constexpr (kAhead > 0) _mm_prefetch(reinterpret_cast<const char*>(q + kAhead), _MM_HINT_T0);
      sums[i] = _mm256_xor_si256(sums[i], _mm256_load_si256(reinterpret_cast<const __m256i*>(q)));
    }
  }
  for (const auto& sum : sums) asm volatile("" ::"x"(sum));
}

// Twelve independent sums cover latency 4 at two a clock.
void fma(long rounds) {
  for (; rounds > 0; --rounds) {
    asm volatile(
        "vfmadd231ps %%ymm14, %%ymm15, %%ymm0\n vfmadd231ps %%ymm14, %%ymm15, %%ymm1\n"
        "vfmadd231ps %%ymm14, %%ymm15, %%ymm2\n vfmadd231ps %%ymm14, %%ymm15, %%ymm3\n"
        "vfmadd231ps %%ymm14, %%ymm15, %%ymm4\n vfmadd231ps %%ymm14, %%ymm15, %%ymm5\n"
        "vfmadd231ps %%ymm14, %%ymm15, %%ymm6\n vfmadd231ps %%ymm14, %%ymm15, %%ymm7\n"
        "vfmadd231ps %%ymm14, %%ymm15, %%ymm8\n vfmadd231ps %%ymm14, %%ymm15, %%ymm9\n"
        "vfmadd231ps %%ymm14, %%ymm15, %%ymm10\n vfmadd231ps %%ymm14, %%ymm15, %%ymm11\n" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
  }
}

// The widest integer product there is: pairs of bytes into words. What adds the words up comes on top.
void byte_products(long rounds) {
  for (; rounds > 0; --rounds) {
    asm volatile(
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm0\n vpmaddubsw %%ymm14, %%ymm15, %%ymm1\n"
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm2\n vpmaddubsw %%ymm14, %%ymm15, %%ymm3\n"
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm4\n vpmaddubsw %%ymm14, %%ymm15, %%ymm5\n"
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm6\n vpmaddubsw %%ymm14, %%ymm15, %%ymm7\n"
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm8\n vpmaddubsw %%ymm14, %%ymm15, %%ymm9\n"
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm10\n vpmaddubsw %%ymm14, %%ymm15, %%ymm11\n" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
  }
}

constexpr NamedRead kReads[] = {
    {"avx2 x4", read<4, 0>},
    {"avx2 x8", read<8, 0>},
    {"avx2 x8, prefetch 4 KiB", read<8, 4096>},
};
constexpr NamedPeak kPeaks[] = {{"vfmadd231ps ymm", "f32", 12 * 8 * 2, fma},
                                {"vpmaddubsw ymm", "int8", 12 * 32 * 2, byte_products}};

}  // namespace

constinit const ProbeTable kAvx2Probes{kReads, std::size(kReads), kPeaks, std::size(kPeaks)};

}  // namespace plait::kernels::cpu
