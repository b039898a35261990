// SPDX-License-Identifier: Apache-2.0
//
// Attention with tiles in portable code: the same source as the AMX unit, over vectors that are plain arrays and tile
// registers that are memory. A tile operation checks what the instruction would: that the tiles are configured and that
// their shapes fit each other.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "kernels/attention_table.h"
#include "tensor/half.h"

namespace plait::kernels {
namespace {

#include "kernels/vector_generic.inc"

inline Vec store_bf16_pair(std::uint16_t* p, Vec a, Vec b) {
  store_bf16(p, a);
  store_bf16(p + 16, b);
  return add(load_even_bf16(p), load_odd_bf16(p));
}

struct Tile {
  std::size_t rows = 0;
  std::size_t row_bytes = 0;
  std::byte bytes[16][64] = {};
};
thread_local Tile tiles[8];
thread_local std::size_t configured = 0;

/// One number of a row: number `at` of bf16, or of floats.
float bf16_at(const std::byte* row, std::size_t at) {
  tensor::bf16 bits;
  std::memcpy(&bits, row + 2 * at, 2);
  return tensor::bf16_to_f32(bits);
}
float float_at(const std::byte* row, std::size_t at) {
  float value;
  std::memcpy(&value, row + 4 * at, 4);
  return value;
}

struct T {
  static void configure(std::size_t rows) {
    PLAIT_CHECK(rows >= 1 && rows <= 16, rows);
    if (configured == rows) return;
    configured = rows;
    for (int i = 0; i < 8; ++i) {
      tiles[i] = {};
      tiles[i].rows = i < 6 ? rows : i == 6 ? 16 : 8;
      tiles[i].row_bytes = i == 5 ? 32 : 64;
    }
  }
  static void release() {
    configured = 0;
    for (Tile& tile : tiles) tile = {};
  }
  template <int tile>
  static void zero() {
    std::memset(tiles[tile].bytes, 0, sizeof(tiles[tile].bytes));
  }
  template <int tile>
  static void load(const void* p, std::size_t stride) {
    Tile& to = tiles[tile];
    PLAIT_CHECK(to.rows > 0, tile);
    for (std::size_t r = 0; r < to.rows; ++r) {
      std::memcpy(to.bytes[r], static_cast<const std::byte*>(p) + r * stride, to.row_bytes);
    }
  }
  /// As the instruction: even and odd numbers of a row are summed apart, one fused multiply-add after the other, and
  /// their sum is added. (It also takes subnormal numbers for zeros, which is left out.)
  template <int sums, int a, int b>
  static void dot() {
    Tile& to = tiles[sums];
    const Tile& left = tiles[a];
    const Tile& right = tiles[b];
    PLAIT_CHECK(to.rows > 0 && to.rows == left.rows && right.rows == left.row_bytes / 4, to.rows, right.rows);
    for (std::size_t r = 0; r < to.rows; ++r) {
      for (std::size_t n = 0; n < 16; ++n) {
        float even = 0;
        float odd = 0;
        for (std::size_t k = 0; k < right.rows; ++k) {
          even = std::fma(bf16_at(left.bytes[r], 2 * k), bf16_at(right.bytes[k], 2 * n), even);
          odd = std::fma(bf16_at(left.bytes[r], 2 * k + 1), bf16_at(right.bytes[k], 2 * n + 1), odd);
        }
        const float sum = float_at(to.bytes[r], n) + (even + odd);
        std::memcpy(to.bytes[r] + 4 * n, &sum, 4);
      }
    }
  }
  template <int tile>
  static void store(void* p, std::size_t stride) {
    const Tile& from = tiles[tile];
    PLAIT_CHECK(from.rows > 0, tile);
    for (std::size_t r = 0; r < from.rows; ++r) {
      std::memcpy(static_cast<std::byte*>(p) + r * stride, from.bytes[r], from.row_bytes);
    }
  }
};

#include "kernels/attention_tiles.inc"

}  // namespace

const AttentionTable kAttentionTileStandIn = kTileTable;

}  // namespace plait::kernels
