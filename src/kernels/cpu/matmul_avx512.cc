// SPDX-License-Identifier: Apache-2.0
//
// AVX-512 with VNNI: a tile is 6 rows x 2 vectors of 16 outputs, 24 of 32 registers for accumulators.
// GCC 12 takes the undefined operands inside its own intrinsics for a mistake of ours.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "kernels/cpu/panel_kernels.h"
#include "kernels/pack_format.h"

namespace plait::kernels::cpu {
namespace {

#define PLAIT_V static inline __attribute__((always_inline))

struct V {
  using Int = __m512i;
  using Float = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kHalves = 1;
  static constexpr int kRowsMax = 6;
  static constexpr int kDeep = 1;

  template <int bits>
  static consteval bool takes_signed() {
    return false;
  }
  PLAIT_V Int zero() { return _mm512_setzero_si512(); }
  PLAIT_V Float zero_float() { return _mm512_setzero_ps(); }
  PLAIT_V Int load(const std::byte* p) { return _mm512_load_si512(p); }
  PLAIT_V Float load_floats(const std::byte* p) { return _mm512_load_ps(p); }
  PLAIT_V Float load_halves(const std::byte* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  PLAIT_V Float load_brains(const std::byte* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  PLAIT_V __m128i load16(const std::byte* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
  PLAIT_V Float load_u8(const std::byte* p) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load16(p))); }
  PLAIT_V Float load_i8(const std::byte* p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load16(p))); }
  PLAIT_V void load_u8_pairs(const std::byte* p, Float& first, Float& second) {
    const Int pairs = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    first = _mm512_cvtepi32_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(0xff)));
    second = _mm512_cvtepi32_ps(_mm512_srli_epi32(pairs, 8));
  }
  PLAIT_V Int broadcast32(const std::int32_t* p) { return _mm512_set1_epi32(*p); }
  PLAIT_V Int broadcast4(const std::int8_t* p) {
    int four;
    __builtin_memcpy(&four, p, 4);
    return _mm512_set1_epi32(four);
  }
  PLAIT_V Float broadcast(const float* p) { return _mm512_set1_ps(*p); }
  // Each byte shifted right by `shift` (left when negative), then masked.
  template <int shift, int mask>
  PLAIT_V Int bits(Int x) {
    if constexpr (shift > 0) x = _mm512_srli_epi16(x, shift);
    if constexpr (shift < 0) x = _mm512_slli_epi16(x, -shift);
    return _mm512_and_si512(x, _mm512_set1_epi8(mask));
  }
  template <int shift>
  PLAIT_V Int shift_left32(Int x) {
    return _mm512_slli_epi32(x, shift);
  }
  PLAIT_V Int or_(Int a, Int b) { return _mm512_or_si512(a, b); }
  PLAIT_V Int minus(Int x) { return _mm512_sub_epi32(_mm512_setzero_si512(), x); }
  // c plus the products of one panel row.
  template <int bits>
  PLAIT_V Int dot(Int c, const Int (&w)[1], const Int (&a)[1]) {
    return _mm512_dpbusd_epi32(c, w[0], a[0]);
  }
  PLAIT_V Float to_float(Int x) { return _mm512_cvtepi32_ps(x); }
  PLAIT_V Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
  PLAIT_V Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  PLAIT_V Float fnma(Float a, Float b, Float c) { return _mm512_fnmadd_ps(a, b, c); }
  PLAIT_V Float negate(Float x) { return _mm512_xor_ps(x, _mm512_set1_ps(-0.0F)); }
  PLAIT_V void store(float* p, Float x, std::size_t count) {
    if (count >= 16) {
      _mm512_storeu_ps(p, x);
    } else {
      _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1U << count) - 1U), x);
    }
  }
  PLAIT_V void prefetch(const std::byte* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1); }

  PLAIT_V std::uint32_t largest_magnitude(const float* x) {
    const Int mask = _mm512_set1_epi32(0x7fffffff);
    const Int low = _mm512_and_si512(_mm512_loadu_si512(x), mask);
    const Int high = _mm512_and_si512(_mm512_loadu_si512(x + 16), mask);
    return static_cast<std::uint32_t>(_mm512_reduce_max_epi32(_mm512_max_epi32(low, high)));
  }
  PLAIT_V void round_and_sum(const float* x, bool zero, float factor, std::int8_t* a, std::int32_t& first,
                             std::int32_t& second) {
    // Masked: a group that counts as zero may hold infinities, whose product with 0 converts to a large number.
    const __mmask16 mask = zero ? 0 : 0xffff;
    const Float f = _mm512_set1_ps(factor);
    const Int low = _mm512_maskz_cvtps_epi32(mask, _mm512_mul_ps(_mm512_loadu_ps(x), f));
    const Int high = _mm512_maskz_cvtps_epi32(mask, _mm512_mul_ps(_mm512_loadu_ps(x + 16), f));
    _mm_store_si128(reinterpret_cast<__m128i*>(a), _mm512_cvtepi32_epi8(low));
    _mm_store_si128(reinterpret_cast<__m128i*>(a + 16), _mm512_cvtepi32_epi8(high));
    first = _mm512_reduce_add_epi32(low);
    second = _mm512_reduce_add_epi32(high);
  }
};

#include "kernels/cpu/panel_kernel.inc"

}  // namespace

constinit const KernelTable kAvx512Kernels = kTable;

}  // namespace plait::kernels::cpu
