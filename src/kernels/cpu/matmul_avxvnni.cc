// SPDX-License-Identifier: Apache-2.0
//
// 256-bit vectors with the VNNI dot product: a tile is 3 rows x 2 vectors, 12 of 16 registers for accumulators.
#include <immintrin.h>

#include <utility>

#include "kernels/cpu/panel_kernels.h"
#include "kernels/pack_format.h"

namespace plait::kernels::cpu {
namespace {

#define PLAIT_V static inline __attribute__((always_inline))

struct V {
#include "kernels/cpu/vector256.inc"
  static constexpr int kRowsMax = 3;
  static constexpr int kDeep = 1;

  template <int bits>
  static consteval bool takes_signed() {
    return false;
  }
  // c plus the products of one panel row.
  template <int bits>
  PLAIT_V Int dot(Int c, const Int (&w)[1], const Int (&a)[1]) {
    return _mm256_dpbusd_avx_epi32(c, w[0], a[0]);
  }
};

#include "kernels/cpu/panel_kernel.inc"
}  // namespace

constinit const KernelTable kAvxVnniKernels = kTable;

}  // namespace plait::kernels::cpu
