// SPDX-License-Identifier: Apache-2.0
//
// AVX2 has no dot product of bytes with 32-bit sums; vpmaddubsw adds pairs into 16 bits and saturates. It stays exact
// because
//   up to 5 bits: 31 * 127 * 2 = 7,874, so four of them fit 32,767;
//   6 bits:       63 * 127 * 2 = 16,002, so two of them fit;
//   8 bits:       weights are made signed, |w| * (a with the sign of w) gives at most 128 * 127 * 2 = 32,512: one fits.
#include <immintrin.h>

#include <utility>

#include "kernels/cpu/panel_kernels.h"
#include "kernels/pack_format.h"

namespace plait::kernels::cpu {
namespace {

#define PLAIT_V static inline __attribute__((always_inline))

struct V {
#include "kernels/cpu/vector256.inc"
  static constexpr int kRowsMax = 2;
  static constexpr int kDeep = 4;

  template <int bits>
  static consteval bool takes_signed() {
    return bits == 8;
  }
  PLAIT_V Int wide(Int pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }
  PLAIT_V Int signed_pairs(Int w, Int a) {
    const Int s = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
    return _mm256_maddubs_epi16(_mm256_abs_epi8(s), _mm256_sign_epi8(a, s));
  }
  // c plus the products of 4 panel rows.
  template <int bits>
  PLAIT_V Int dot(Int c, const Int (&w)[4], const Int (&a)[4]) {
    if constexpr (bits == 8) {
      const Int s01 = _mm256_add_epi32(wide(signed_pairs(w[0], a[0])), wide(signed_pairs(w[1], a[1])));
      const Int s23 = _mm256_add_epi32(wide(signed_pairs(w[2], a[2])), wide(signed_pairs(w[3], a[3])));
      return _mm256_add_epi32(c, _mm256_add_epi32(s01, s23));
    } else {
      const Int s01 = _mm256_add_epi16(_mm256_maddubs_epi16(w[0], a[0]), _mm256_maddubs_epi16(w[1], a[1]));
      const Int s23 = _mm256_add_epi16(_mm256_maddubs_epi16(w[2], a[2]), _mm256_maddubs_epi16(w[3], a[3]));
      if constexpr (bits == 6) return _mm256_add_epi32(c, _mm256_add_epi32(wide(s01), wide(s23)));
      return _mm256_add_epi32(c, wide(_mm256_add_epi16(s01, s23)));
    }
  }
};

#include "kernels/cpu/panel_kernel.inc"
}  // namespace

constinit const KernelTable kAvx2Kernels = kTable;

}  // namespace plait::kernels::cpu
