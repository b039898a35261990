// SPDX-License-Identifier: Apache-2.0
//
// One function for each block layout. A block is a scale (f16) or two, and small integers; `w` stands for the value of
// an element:
//   Q4_0 w = d (q - 8)      Q4_1 w = d q + m      Q5_0 w = d (q - 16)     Q5_1 w = d q + m      Q8_0 w = d q
//   Q2_K, Q4_K, Q5_K: w = (d s) q - (dmin m), with an integer scale s and minimum m for each 16, 32 and 32 elements
//   Q3_K, Q6_K:       w = (d s) q, with a signed integer scale for each 16 elements
//   IQ4_NL w = d v(q)       IQ4_XS w = (d s) v(q), with a signed integer scale for each 32 elements
//   MXFP4  w = 2^(e - 128) v(q), with e one byte; v(q): see tensor/codebook.h
// The products in brackets are exact in float, so every sensible order of operations gives the same bits.
#include "tensor/dequantise.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "tensor/codebook.h"
#include "tensor/half.h"

namespace plait::tensor {
namespace {

using Byte = std::uint8_t;

float half_at(const Byte* bytes) {
  f16 bits = 0;
  std::memcpy(&bits, bytes, sizeof bits);
  return f16_to_f32(bits);
}

std::uint32_t word_at(const Byte* bytes) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

float as_float(int value) { return static_cast<float>(value); }

void expand_f32(const Byte* in, float* out) { std::memcpy(out, in, sizeof(float)); }

void expand_f16(const Byte* in, float* out) { *out = half_at(in); }

void expand_bf16(const Byte* in, float* out) {
  bf16 bits = 0;
  std::memcpy(&bits, in, sizeof bits);
  *out = bf16_to_f32(bits);
}

// The four 32-element layouts of 4 and 5 bits: element j is the low half of byte j, element j + 16 its high half; fifth
// bits, if any, are the bits of one word.
void expand_nibbles(const Byte* nibbles, std::uint32_t fifth_bits, float scale, int bias, float minimum, float* out) {
  for (unsigned j = 0; j < 16; ++j) {
    const int low = (nibbles[j] & 15) + static_cast<int>(((fifth_bits >> j) & 1U) << 4);
    const int high = (nibbles[j] >> 4) + static_cast<int>(((fifth_bits >> (j + 16)) & 1U) << 4);
    out[j] = scale * as_float(low - bias) + minimum;
    out[j + 16] = scale * as_float(high - bias) + minimum;
  }
}

// Without a minimum nothing is added: -0.0F is the neutral element, it keeps the sign of a zero.
constexpr float kNoMinimum = -0.0F;

void expand_q4_0(const Byte* in, float* out) { expand_nibbles(in + 2, 0, half_at(in), 8, kNoMinimum, out); }
void expand_q4_1(const Byte* in, float* out) { expand_nibbles(in + 4, 0, half_at(in), 0, half_at(in + 2), out); }
void expand_q5_0(const Byte* in, float* out) {
  expand_nibbles(in + 6, word_at(in + 2), half_at(in), 16, kNoMinimum, out);
}
void expand_q5_1(const Byte* in, float* out) {
  expand_nibbles(in + 8, word_at(in + 4), half_at(in), 0, half_at(in + 2), out);
}

void expand_q8_0(const Byte* in, float* out) {
  const float scale = half_at(in);
  for (int j = 0; j < 32; ++j) out[j] = scale * as_float(static_cast<std::int8_t>(in[2 + j]));
}

// scales[16] (low half scale, high half minimum), quants[64], d, dmin. Byte l of each 32 quants holds elements l, l +
// 32, l + 64, l + 96 of a half block, two bits each.
void expand_q2_k(const Byte* in, float* out) {
  const float d = half_at(in + 80);
  const float dmin = half_at(in + 82);
  for (int i = 0; i < 256; ++i) {
    const Byte packed = in[i / 16];
    const int q = (in[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    out[i] = d * as_float(packed & 15) * as_float(q) - dmin * as_float(packed >> 4);
  }
}

// high[32] (bit b of byte l: element 32 b + l), quants[64] as in Q2_K, scales[12], d. The 16 scales of six bits are 32
// too large; their low four bits are the halves of bytes 0 to 7, their high two bits lie in bytes 8 to 11.
void expand_q3_k(const Byte* in, float* out) {
  const float d = half_at(in + 108);
  const Byte* scales = in + 96;
  std::array<float, 16> scale;
  for (unsigned j = 0; j < 16; ++j) {
    const int low = (scales[j % 8] >> (j / 8 * 4)) & 15;
    const int high = (scales[8 + j % 4] >> (j / 4 * 2)) & 3;
    scale[j] = d * as_float((low | (high << 4)) - 32);
  }
  for (int i = 0; i < 256; ++i) {
    const int low = (in[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    const int high = (in[i % 32] >> (i / 32)) & 1;
    out[i] = scale[static_cast<std::size_t>(i / 16)] * as_float(low + 4 * high - 4);
  }
}

struct ScaleAndMinimum {
  int scale;
  int minimum;
};

// Q4_K and Q5_K: eight scales and eight minima of six bits in 12 bytes. The first four of each are the low six bits of
// bytes 0-3 and 4-7; the last four have their low four bits in bytes 8-11 and their high two bits on top of the first
// ones.
ScaleAndMinimum unpack_6bit(const Byte* scales, int j) {
  if (j < 4) return {scales[j] & 63, scales[j + 4] & 63};
  return {(scales[j + 4] & 15) | ((scales[j - 4] >> 6) << 4), (scales[j + 4] >> 4) | ((scales[j] >> 6) << 4)};
}

// One 32-element group j of Q4_K or Q5_K: a pair of groups shares 32 bytes, the even one has the low halves.
void expand_group(const Byte* in, const Byte* nibbles, const Byte* fifth_bits, int j, float* out) {
  const ScaleAndMinimum packed = unpack_6bit(in + 4, j);
  const float scale = half_at(in) * as_float(packed.scale);
  const float minimum = half_at(in + 2) * as_float(packed.minimum);
  for (int l = 0; l < 32; ++l) {
    const int low = (nibbles[j / 2 * 32 + l] >> (j % 2 * 4)) & 15;
    const int high = fifth_bits == nullptr ? 0 : (fifth_bits[l] >> j) & 1;
    out[j * 32 + l] = scale * as_float(low + 16 * high) - minimum;
  }
}

void expand_q4_k(const Byte* in, float* out) {  // d, dmin, scales[12], quants[128]
  for (int j = 0; j < 8; ++j) expand_group(in, in + 16, nullptr, j, out);
}

void expand_q5_k(const Byte* in, float* out) {  // d, dmin, scales[12], fifth bits[32], quants[128]
  for (int j = 0; j < 8; ++j) expand_group(in, in + 48, in + 16, j, out);
}

// low[128], high[64], scales[16] signed, d. In a half block, element 32 g + l has its low four bits in byte 32 (g % 2)
// + l (the low half for g < 2) and its high two bits at bit 2 g of byte l.
void expand_q6_k(const Byte* in, float* out) {
  const float d = half_at(in + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128;
    const int group = i % 128 / 32;
    const int low = (in[half * 64 + group % 2 * 32 + i % 32] >> (group / 2 * 4)) & 15;
    const int high = (in[128 + half * 32 + i % 32] >> (group * 2)) & 3;
    const auto scale = static_cast<std::int8_t>(in[192 + i / 16]);
    out[i] = d * as_float(scale) * as_float((low | (high << 4)) - 32);
  }
}

// 16 bytes of indices in the order of expand_nibbles.
void expand_codes(const Byte* nibbles, float scale, const std::int8_t (&values)[16], float* out) {
  for (unsigned j = 0; j < 16; ++j) {
    out[j] = scale * as_float(values[nibbles[j] & 15]);
    out[j + 16] = scale * as_float(values[nibbles[j] >> 4]);
  }
}

void expand_iq4_nl(const Byte* in, float* out) { expand_codes(in + 2, half_at(in), kIq4Values, out); }

// d, high[2] (two bits of each scale), low[4] (four bits of each), indices[128]; the scales are 32 too large.
void expand_iq4_xs(const Byte* in, float* out) {
  const float d = half_at(in);
  const int high = in[2] | (in[3] << 8);
  for (int j = 0; j < 8; ++j) {
    const int scale = ((in[4 + j / 2] >> (j % 2 * 4)) & 15) | (((high >> (2 * j)) & 3) << 4);
    expand_codes(in + 8 + 16 * j, d * as_float(scale - 32), kIq4Values, out + 32 * j);
  }
}

void expand_mxfp4(const Byte* in, float* out) { expand_codes(in + 1, bf16_to_f32(e8m0_to_bf16(*in)), kFp4Values, out); }

template <void (*Expand)(const Byte*, float*)>
void expand_blocks(const Byte* in, float* out, std::size_t blocks, const TypeInfo& type) {
  for (std::size_t i = 0; i < blocks; ++i) Expand(in + i * type.block_bytes, out + i * type.block_elements);
}

using ExpandBlocks = void (*)(const Byte*, float*, std::size_t, const TypeInfo&);

ExpandBlocks expand_of(Type type) {
  switch (type) {
    case Type::f32:
      return expand_blocks<expand_f32>;
    case Type::f16:
      return expand_blocks<expand_f16>;
    case Type::bf16:
      return expand_blocks<expand_bf16>;
    case Type::q4_0:
      return expand_blocks<expand_q4_0>;
    case Type::q4_1:
      return expand_blocks<expand_q4_1>;
    case Type::q5_0:
      return expand_blocks<expand_q5_0>;
    case Type::q5_1:
      return expand_blocks<expand_q5_1>;
    case Type::q8_0:
      return expand_blocks<expand_q8_0>;
    case Type::q2_k:
      return expand_blocks<expand_q2_k>;
    case Type::q3_k:
      return expand_blocks<expand_q3_k>;
    case Type::q4_k:
      return expand_blocks<expand_q4_k>;
    case Type::q5_k:
      return expand_blocks<expand_q5_k>;
    case Type::q6_k:
      return expand_blocks<expand_q6_k>;
    case Type::iq4_nl:
      return expand_blocks<expand_iq4_nl>;
    case Type::iq4_xs:
      return expand_blocks<expand_iq4_xs>;
    case Type::mxfp4:
      return expand_blocks<expand_mxfp4>;
  }
  return nullptr;
}

}  // namespace

void dequantise(Type type, std::span<const std::byte> bytes, std::span<float> out) {
  const TypeInfo& type_info = info(type);
  PLAIT_CHECK(out.size() % type_info.block_elements == 0, type_info.name, out.size());
  const std::size_t blocks = out.size() / type_info.block_elements;
  PLAIT_CHECK(bytes.size() == blocks * type_info.block_bytes, type_info.name, bytes.size(), out.size());
  expand_of(type)(reinterpret_cast<const Byte*>(bytes.data()), out.data(), blocks, type_info);
}

}  // namespace plait::tensor
