// SPDX-License-Identifier: Apache-2.0
//
// AVX-512 with VNNI: a tile is 6 rows x 2 vectors of 16 outputs, 24 of 32 registers for accumulators.
// GCC 12 takes the undefined operands inside its own intrinsics for a mistake of ours.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
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
  static constexpr int kRowsMax = 6;
  static constexpr int kDeep = 1;
};

#include "kernels/cpu/panel_kernel.inc"
}  // namespace

constinit const KernelTable kAvx512Kernels = kTable;

}  // namespace plait::kernels::cpu
