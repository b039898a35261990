// SPDX-License-Identifier: Apache-2.0
//
// AMX: integer sums in tile registers, scales with AVX-512. Few rows and plain weights go to the AVX-512 kernels, whose
// panels are the same.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // see matmul_avx512.cc
#endif
#include <immintrin.h>

#include <utility>

#include "kernels/cpu/panel_kernels.h"
#include "kernels/pack_format.h"

namespace plait::kernels::cpu {
namespace {

#define PLAIT_V static inline __attribute__((always_inline))

struct V {
#include "kernels/cpu/vector512.inc"
};

struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t column_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// Static storage: compilers know only a part of what ldtilecfg reads, and dropped stores to a local variable.
thread_local TileConfig config;
thread_local int configured = 0;  // 64 * rows + depth, or 4096 + 64 * rows + rows of the second block; 0: nothing

struct T {
  // Sums 0 … 3 [rows][16], activations 4, 5 [rows][depth], weights 6, 7 [depth / 4][16 x 4].
  PLAIT_V void configure(int rows, int depth) {
    if (configured == 64 * rows + depth) return;
    configured = 64 * rows + depth;
    config = {};
    for (int i = 0; i < 8; ++i) {
      config.rows[i] = static_cast<std::uint8_t>(i < 6 ? rows : depth / 4);
      config.column_bytes[i] = static_cast<std::uint16_t>(i == 4 || i == 5 ? depth : 64);
    }
    asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }
  // Two blocks of rows (the second perhaps empty), 64 deep: sums 0, 1 and 2, 3; activations 4 and 5; weights 6, 7.
  PLAIT_V void configure_pair(int rows, int rows_of_second) {
    if (configured == 4096 + 64 * rows + rows_of_second) return;
    configured = 4096 + 64 * rows + rows_of_second;
    config = {};
    for (int i = 0; i < 8; ++i) {
      const bool second = i == 2 || i == 3 || i == 5;
      config.rows[i] = static_cast<std::uint8_t>(i >= 6 ? 16 : second ? rows_of_second : rows);
      config.column_bytes[i] = config.rows[i] == 0 ? 0 : 64;
    }
    asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }
  template <int tile>
  PLAIT_V void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(tile));
  }
  template <int tile>
  PLAIT_V void load(const void* p, std::size_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(tile) : "memory");
  }
  template <int sums, int a, int b>
  PLAIT_V void dot() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sums), "i"(a), "i"(b));
  }
  // The same for weights that are unsigned.
  template <int sums, int a, int b>
  PLAIT_V void dot_unsigned() {
    asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sums), "i"(a), "i"(b));
  }
  // Float sums += products of bf16, in pairs.
  template <int sums, int a, int b>
  PLAIT_V void dot_pairs() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sums), "i"(a), "i"(b));
  }
  template <int tile>
  PLAIT_V void store(void* p, std::size_t stride = 64) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(stride), "i"(tile) : "memory");
  }
};

#include "kernels/cpu/tile_kernel.inc"
void release_tiles() {
  if (configured == 0) return;
  configured = 0;
  asm volatile("tilerelease");
}

}  // namespace

constinit const KernelTable kAmxKernels = kTileTable<kAvx512Kernels, release_tiles>;

}  // namespace plait::kernels::cpu
