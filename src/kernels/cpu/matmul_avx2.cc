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

  // See unpacked_rows.inc.
  static constexpr std::size_t kUnpackedRowsMin = 3;
  static constexpr std::size_t kUnpackedRows = 4;
  // x, computed here: GCC 12 orders sums of integers anew, as trees, whose leaves then do not fit the registers.
  PLAIT_V Int pinned(Int x) {
    asm("" : "+x"(x));
    return x;
  }
  PLAIT_V Int ones16() { return _mm256_set1_epi16(1); }
  PLAIT_V Int add16(Int a, Int b) { return _mm256_add_epi16(a, b); }
  PLAIT_V Int add32(Int a, Int b) { return _mm256_add_epi32(a, b); }
  PLAIT_V Int dot_bytes(Int w, Int a) { return _mm256_maddubs_epi16(w, a); }
  PLAIT_V Int dot_words(Int a, Int b) { return _mm256_madd_epi16(a, b); }
  // Both words of each lane.
  PLAIT_V Int broadcast_pair(std::int32_t low, std::int32_t high) {
    return _mm256_set1_epi32(
        static_cast<int>((static_cast<std::uint32_t>(low) & 0xffff) | static_cast<std::uint32_t>(high) << 16));
  }
  PLAIT_V Int pair_words(Int low, Int high) { return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xaa); }
  PLAIT_V Int widen_i8(const std::byte* p) { return _mm256_cvtepi8_epi32(load8(p)); }
  PLAIT_V Int spread_u8_pairs(const std::byte* p) { return _mm256_cvtepu8_epi16(load16(p)); }
  PLAIT_V void store_int(void* p, Int x) { _mm256_store_si256(static_cast<__m256i*>(p), x); }
  // Four unsigned bytes with offset 128 of each lane to two times two signed words.
  PLAIT_V void store_words(Int q, std::byte* first, std::byte* second) {
    const Int s = _mm256_xor_si256(q, _mm256_set1_epi8(-128));
    const Int even = _mm256_slli_epi16(s, 8);  // bytes 0 and 2 of each lane, in the upper halves of its words
    const Int low = _mm256_srai_epi16(even, 8);
    const Int high = _mm256_srai_epi16(s, 8);  // bytes 1 and 3
    // words b0 b2 and b1 b3 to b0 b1 and b2 b3
    store_int(first, pair_words(low, high));
    store_int(second, _mm256_blend_epi16(_mm256_srli_epi32(low, 16), high, 0xaa));
  }
  PLAIT_V void widen_32(const std::int8_t* a, std::int16_t* words) {
    const Int x = _mm256_load_si256(reinterpret_cast<const __m256i*>(a));
    store_int(words, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(x)));
    store_int(words + 16, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(x, 1)));
  }
};

#define PLAIT_UNPACKED_ROWS
#include "kernels/cpu/panel_kernel.inc"
}  // namespace

constinit const KernelTable kAvx2Kernels = kTable;

}  // namespace plait::kernels::cpu
