// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/attention_table.h"

namespace plait::kernels {
namespace {

#include "kernels/vector_avx512.inc"

inline Vec store_bf16_pair(std::uint16_t* p, Vec a, Vec b) {
  const auto packed = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b.r, a.r));
  _mm512_storeu_si512(p, packed);
  const __m512i odd = _mm512_and_si512(packed, _mm512_set1_epi32(-0x10000));
  return {_mm512_add_ps(_mm512_castsi512_ps(_mm512_slli_epi32(packed, 16)), _mm512_castsi512_ps(odd))};
}

struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t column_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// Static storage: compilers know only a part of what ldtilecfg reads, and dropped stores to a local variable.
thread_local TileConfig config;
thread_local std::size_t configured = 0;  // rows; 0: nothing

#define PLAIT_T static inline __attribute__((always_inline))

struct T {
  PLAIT_T void configure(std::size_t rows) {
    if (configured == rows) return;
    configured = rows;
    config = {};
    for (int i = 0; i < 8; ++i) {
      config.rows[i] = static_cast<std::uint8_t>(i < 6 ? rows : i == 6 ? 16 : 8);
      config.column_bytes[i] = i == 5 ? 32 : 64;
    }
    asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }
  static void release() {
    if (configured == 0) return;
    configured = 0;
    asm volatile("tilerelease");
  }
  template <int tile>
  PLAIT_T void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(tile));
  }
  template <int tile>
  PLAIT_T void load(const void* p, std::size_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(tile) : "memory");
  }
  template <int sums, int a, int b>
  PLAIT_T void dot() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sums), "i"(a), "i"(b));
  }
  template <int tile>
  PLAIT_T void store(void* p, std::size_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(stride), "i"(tile) : "memory");
  }
};

#include "kernels/attention_tiles.inc"

}  // namespace

const AttentionTable kAttentionBf16Amx = kTileTable;

}  // namespace plait::kernels
