// SPDX-License-Identifier: Apache-2.0
//
// Where each number of a block sits. Source: the block structures of the GGUF format.
#include "kernels/pack_decode.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace plait::kernels {
namespace {

using std::uint8_t;

tensor::f16 load_f16(const uint8_t* p) { return static_cast<tensor::f16>(p[0] | (p[1] << 8)); }
uint8_t low(uint8_t byte) { return byte & 0x0f; }
uint8_t high(uint8_t byte) { return static_cast<uint8_t>(byte >> 4); }
uint8_t bits(uint8_t byte, int shift, int mask) { return static_cast<uint8_t>((byte >> shift) & mask); }

// 16 bytes: element j in the low nibble of byte j, element 16 + j in its high nibble.
void nibbles_32(const uint8_t* p, uint8_t* q) {
  for (int j = 0; j < 16; ++j) q[j] = low(p[j]);
  for (int j = 0; j < 16; ++j) q[16 + j] = high(p[j]);
}

// 4 bytes: bit j is bit 4 of element j.
void fifth_bits_32(const uint8_t* p, uint8_t* q) {
  for (int j = 0; j < 32; ++j) q[j] = static_cast<uint8_t>(q[j] | (bits(p[j / 8], j % 8, 1) << 4));
}

// 128 bytes: each 32 of them hold 64 elements, first the low nibbles, then the high ones.
void nibbles_256(const uint8_t* p, uint8_t* q) {
  for (int chunk = 0; chunk < 4; ++chunk) {
    for (int l = 0; l < 32; ++l) q[64 * chunk + l] = low(p[32 * chunk + l]);
    for (int l = 0; l < 32; ++l) q[64 * chunk + 32 + l] = high(p[32 * chunk + l]);
  }
}

// 64 bytes: each 32 of them hold 128 elements, 32 for each pair of bits.
void pairs_256(const uint8_t* p, uint8_t* q) {
  for (int chunk = 0; chunk < 8; ++chunk) {
    for (int l = 0; l < 32; ++l) q[32 * chunk + l] = bits(p[32 * (chunk / 4) + l], 2 * (chunk % 4), 3);
  }
}

// 12 bytes: eight 6-bit scales and eight 6-bit minima.
void scales_and_mins(const uint8_t* p, DecodedBlock& out) {
  for (int j = 0; j < 4; ++j) {
    out.scales[j] = static_cast<std::int8_t>(p[j] & 63);
    out.mins[j] = p[j + 4] & 63;
    out.scales[j + 4] = static_cast<std::int8_t>(low(p[j + 8]) | ((p[j] >> 6) << 4));
    out.mins[j + 4] = static_cast<uint8_t>(high(p[j + 8]) | ((p[j + 4] >> 6) << 4));
  }
}

void decode_q2k(const uint8_t* p, DecodedBlock& out) {
  for (int j = 0; j < 16; ++j) {
    out.scales[j] = static_cast<std::int8_t>(low(p[j]));
    out.mins[j] = high(p[j]);
  }
  pairs_256(p + 16, out.q);
  out.d = load_f16(p + 80);
  out.min = load_f16(p + 82);
}

void decode_q3k(const uint8_t* p, DecodedBlock& out) {
  pairs_256(p + 32, out.q);
  for (int chunk = 0; chunk < 8; ++chunk) {
    for (int l = 0; l < 32; ++l) {
      uint8_t& q = out.q[32 * chunk + l];
      q = static_cast<uint8_t>(q | (bits(p[l], chunk, 1) << 2));
    }
  }
  const uint8_t* scales = p + 96;
  for (int j = 0; j < 16; ++j) {
    const int low_bits = j < 8 ? low(scales[j]) : high(scales[j - 8]);
    out.scales[j] = static_cast<std::int8_t>((low_bits | (bits(scales[8 + j % 4], 2 * (j / 4), 3) << 4)) - 32);
  }
  out.d = load_f16(p + 108);
}

void decode_q4k(const uint8_t* p, DecodedBlock& out) {
  out.d = load_f16(p);
  out.min = load_f16(p + 2);
  scales_and_mins(p + 4, out);
  nibbles_256(p + 16, out.q);
}

void decode_q5k(const uint8_t* p, DecodedBlock& out) {
  out.d = load_f16(p);
  out.min = load_f16(p + 2);
  scales_and_mins(p + 4, out);
  nibbles_256(p + 48, out.q);
  for (int chunk = 0; chunk < 8; ++chunk) {
    for (int l = 0; l < 32; ++l) {
      uint8_t& q = out.q[32 * chunk + l];
      q = static_cast<uint8_t>(q | (bits(p[16 + l], chunk, 1) << 4));
    }
  }
}

void decode_q6k(const uint8_t* p, DecodedBlock& out) {
  for (int half = 0; half < 2; ++half) {
    const uint8_t* ql = p + 64 * half;
    const uint8_t* qh = p + 128 + 32 * half;
    uint8_t* q = out.q + 128 * half;
    for (int l = 0; l < 32; ++l) q[l] = static_cast<uint8_t>(low(ql[l]) | (bits(qh[l], 0, 3) << 4));
    for (int l = 0; l < 32; ++l) q[l + 32] = static_cast<uint8_t>(low(ql[l + 32]) | (bits(qh[l], 2, 3) << 4));
    for (int l = 0; l < 32; ++l) q[l + 64] = static_cast<uint8_t>(high(ql[l]) | (bits(qh[l], 4, 3) << 4));
    for (int l = 0; l < 32; ++l) q[l + 96] = static_cast<uint8_t>(high(ql[l + 32]) | (bits(qh[l], 6, 3) << 4));
  }
  std::memcpy(out.scales, p + 192, 16);
  out.d = load_f16(p + 208);
}

void decode_iq4xs(const uint8_t* p, DecodedBlock& out) {
  out.d = load_f16(p);
  for (int j = 0; j < 8; ++j) {
    const int low_bits = j % 2 == 0 ? low(p[4 + j / 2]) : high(p[4 + j / 2]);
    out.scales[j] = static_cast<std::int8_t>((low_bits | (bits(p[2 + j / 4], 2 * (j % 4), 3) << 4)) - 32);
    nibbles_32(p + 8 + 16 * j, out.q + 32 * j);
  }
}

void decode_mxfp4(const uint8_t* p, DecodedBlock& out) {
  out.d = tensor::e8m0_to_bf16(*p);
  nibbles_32(p + 1, out.q);
}

void decode_small(tensor::Type type, const uint8_t* p, DecodedBlock& out) {
  using enum tensor::Type;
  out.d = load_f16(p);
  const bool has_min = type == q4_1 || type == q5_1;
  if (has_min) out.min = load_f16(p + 2);
  const uint8_t* quants = p + (has_min ? 4 : 2);
  if (type == q8_0) {
    for (int j = 0; j < 32; ++j) out.q[j] = static_cast<uint8_t>(quants[j] ^ 0x80);
  } else if (type == q4_0 || type == q4_1 || type == iq4_nl) {
    nibbles_32(quants, out.q);
  } else {
    nibbles_32(quants + 4, out.q);
    fifth_bits_32(quants, out.q);
  }
}

}  // namespace

GroupScale group_scale(std::span<const float> x) {
  float largest = 0;
  for (const float v : x) {
    if (!std::isfinite(v)) return {.scale = std::numeric_limits<float>::quiet_NaN()};
    largest = std::fmax(largest, std::fabs(v));
  }
  if (largest < 0x1p-100F) return {};
  return {.scale = largest / 127.0F, .factor = 127.0F / largest};
}

int quantised(float x, const GroupScale& by) {
  return by.factor == 0 ? 0 : static_cast<int>(std::nearbyint(x * by.factor));
}

void decode_block(tensor::Type type, const std::byte* bytes, DecodedBlock& out) {
  const auto* p = reinterpret_cast<const uint8_t*>(bytes);
  switch (type) {
    case tensor::Type::q2_k:
      return decode_q2k(p, out);
    case tensor::Type::q3_k:
      return decode_q3k(p, out);
    case tensor::Type::q4_k:
      return decode_q4k(p, out);
    case tensor::Type::q5_k:
      return decode_q5k(p, out);
    case tensor::Type::q6_k:
      return decode_q6k(p, out);
    case tensor::Type::iq4_xs:
      return decode_iq4xs(p, out);
    case tensor::Type::mxfp4:
      return decode_mxfp4(p, out);
    default:
      return decode_small(type, p, out);
  }
}

}  // namespace plait::kernels
