// SPDX-License-Identifier: Apache-2.0
//
// The tile kernels in portable code: the same source as the AMX unit, over vectors that are plain arrays and tile
// registers that are memory. A tile operation checks what the instruction would: that the tiles are configured and
// that their shapes fit each other.
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/check.h"
#include "kernels/cpu/panel_kernels.h"
#include "kernels/pack_format.h"
#include "tensor/half.h"

namespace plait::kernels::cpu {
namespace {

struct V {
  static constexpr int kLanes = 16;
  struct Int {
    std::uint8_t bytes[64];
  };
  struct Float {
    float lanes[16];
  };

  template <class F>
  static Float each(F f) {
    Float out;
    for (int i = 0; i < kLanes; ++i) out.lanes[i] = f(i);
    return out;
  }
  static std::int32_t lane(const Int& x, int i) {
    std::int32_t value;
    std::memcpy(&value, x.bytes + 4 * i, 4);
    return value;
  }
  template <class F>
  static Int each_byte(F f) {
    Int out;
    for (int i = 0; i < 64; ++i) out.bytes[i] = static_cast<std::uint8_t>(f(i));
    return out;
  }

  static Int load(const std::byte* p) {
    Int out;
    std::memcpy(out.bytes, p, 64);
    return out;
  }
  static Float load_floats(const std::byte* p) {
    return each([&](int i) {
      float value;
      std::memcpy(&value, p + 4 * i, 4);
      return value;
    });
  }
  static Float load_halves(const std::byte* p) {
    return each([&](int i) {
      tensor::f16 bits;
      std::memcpy(&bits, p + 2 * i, 2);
      return tensor::f16_to_f32(bits);
    });
  }
  static Float load_brains(const std::byte* p) {
    return each([&](int i) {
      tensor::bf16 bits;
      std::memcpy(&bits, p + 2 * i, 2);
      return tensor::bf16_to_f32(bits);
    });
  }
  static Float load_u8(const std::byte* p) {
    return each([&](int i) { return static_cast<float>(std::to_integer<std::uint8_t>(p[i])); });
  }
  static Float load_i8(const std::byte* p) {
    return each([&](int i) { return static_cast<float>(std::to_integer<std::int8_t>(p[i])); });
  }
  static void load_u8_pairs(const std::byte* p, Float& first, Float& second) {
    first = each([&](int i) { return static_cast<float>(std::to_integer<std::uint8_t>(p[2 * i])); });
    second = each([&](int i) { return static_cast<float>(std::to_integer<std::uint8_t>(p[2 * i + 1])); });
  }
  static void keep(float* p, const Float& x) { std::memcpy(p, x.lanes, 64); }
  static void keep(std::byte* p, const Int& x) { std::memcpy(p, x.bytes, 64); }
  static Float take(const float* p) {
    return each([&](int i) { return p[i]; });
  }
  static Int take(const std::int32_t* p) { return load(reinterpret_cast<const std::byte*>(p)); }
  static Int broadcast32(const std::int32_t* p) {
    return each_byte([&](int i) { return reinterpret_cast<const std::uint8_t*>(p)[i % 4]; });
  }
  static Float broadcast(const float* p) {
    return each([&](int) { return *p; });
  }
  template <int shift, int mask>
  static Int bits(const Int& x) {
    return each_byte([&](int i) { return (shift >= 0 ? x.bytes[i] >> shift : x.bytes[i] << -shift) & mask; });
  }
  static Int lookup(const std::uint8_t* table, const Int& index) {
    return each_byte([&](int i) { return table[index.bytes[i]]; });
  }
  static Int or_(const Int& a, const Int& b) {
    return each_byte([&](int i) { return a.bytes[i] | b.bytes[i]; });
  }
  template <int offset>
  static Int subtract(const Int& x) {
    return each_byte([&](int i) { return x.bytes[i] - offset; });
  }
  template <class F>
  static Int each_lane(F f) {
    Int out;
    for (int i = 0; i < kLanes; ++i) {
      const std::int32_t value = f(i);
      std::memcpy(out.bytes + 4 * i, &value, 4);
    }
    return out;
  }
  static Int plus(const Int& a, const Int& b) {
    return each_lane([&](int i) { return lane(a, i) + lane(b, i); });
  }
  static Int minus(const Int& x) {
    return each_lane([&](int i) { return -lane(x, i); });
  }
  static Float to_float(const Int& x) {
    return each([&](int i) { return static_cast<float>(lane(x, i)); });
  }
  static Float zero_float() {
    return each([](int) { return 0.0F; });
  }
  static Float mul(const Float& a, const Float& b) {
    return each([&](int i) { return a.lanes[i] * b.lanes[i]; });
  }
  static Float fma(const Float& a, const Float& b, const Float& c) {
    return each([&](int i) { return std::fma(a.lanes[i], b.lanes[i], c.lanes[i]); });
  }
  static Float negate(const Float& x) {
    return each([&](int i) { return -x.lanes[i]; });
  }
  static void prefetch(const std::byte* /*p*/) {}
  static void prefetch_written(const float* /*p*/) {}
  static void store(float* p, const Float& x, std::size_t count) {
    std::memcpy(p, x.lanes, 4 * (count < 16 ? count : 16));
  }
  static Float load_some(const float* p, std::size_t count) {
    return each([&](int i) { return static_cast<std::size_t>(i) < count ? p[i] : 0.0F; });
  }
};

struct Tile {
  int rows = 0;
  int row_bytes = 0;
  std::int8_t bytes[16][64] = {};
};
thread_local Tile tiles[8];

struct T {
  static void configure(int rows, int depth) {
    PLAIT_CHECK(rows >= 1 && rows <= 16 && depth >= 4 && depth <= 64 && depth % 4 == 0, rows, depth);
    for (int i = 0; i < 8; ++i) {
      tiles[i] = {};
      tiles[i].rows = i < 6 ? rows : depth / 4;
      tiles[i].row_bytes = i == 4 || i == 5 ? depth : 64;
    }
  }
  static void configure_pair(int rows, int rows_of_second) {
    PLAIT_CHECK(rows >= 1 && rows <= 16 && rows_of_second >= 0 && rows_of_second <= 16, rows, rows_of_second);
    for (int i = 0; i < 8; ++i) {
      const bool second = i == 2 || i == 3 || i == 5;
      tiles[i] = {};
      tiles[i].rows = i >= 6 ? 16 : second ? rows_of_second : rows;
      tiles[i].row_bytes = tiles[i].rows == 0 ? 0 : 64;
    }
  }
  template <int tile>
  static void zero() {
    std::memset(tiles[tile].bytes, 0, sizeof(tiles[tile].bytes));
  }
  template <int tile>
  static void load(const void* p, std::size_t stride) {
    Tile& to = tiles[tile];
    PLAIT_CHECK(to.rows > 0, tile);
    for (int r = 0; r < to.rows; ++r) {
      std::memcpy(to.bytes[r], static_cast<const std::byte*>(p) + static_cast<std::size_t>(r) * stride,
                  static_cast<std::size_t>(to.row_bytes));
    }
  }
  template <int sums, int a, int b>
  static void dot() {
    multiply<sums, a, b>([](std::int8_t byte) { return static_cast<int>(byte); });
  }
  template <int sums, int a, int b>
  static void dot_unsigned() {
    multiply<sums, a, b>([](std::int8_t byte) { return static_cast<int>(static_cast<std::uint8_t>(byte)); });
  }
  template <int sums, int a, int b, class Weight>
  static void multiply(Weight weight) {
    Tile& to = tiles[sums];
    PLAIT_CHECK(to.rows > 0, sums);
    PLAIT_CHECK(tiles[b].rows == tiles[a].row_bytes / 4 && to.rows == tiles[a].rows, tiles[a].rows, tiles[b].rows);
    PLAIT_CHECK(to.row_bytes == tiles[b].row_bytes, to.row_bytes);
    for (int r = 0; r < to.rows; ++r) {
      for (int o = 0; o < to.row_bytes / 4; ++o) {
        std::int32_t sum;
        std::memcpy(&sum, to.bytes[r] + 4 * o, 4);
        for (int k = 0; k < tiles[a].row_bytes; ++k) {
          sum += tiles[a].bytes[r][k] * weight(tiles[b].bytes[k / 4][4 * o + k % 4]);
        }
        std::memcpy(to.bytes[r] + 4 * o, &sum, 4);
      }
    }
  }
  template <int sums, int a, int b>
  static void dot_pairs() {
    Tile& to = tiles[sums];
    PLAIT_CHECK(to.rows > 0, sums);
    PLAIT_CHECK(tiles[b].rows == tiles[a].row_bytes / 4 && to.rows == tiles[a].rows, tiles[a].rows, tiles[b].rows);
    PLAIT_CHECK(to.row_bytes == tiles[b].row_bytes, to.row_bytes);
    for (int r = 0; r < to.rows; ++r) {
      for (int o = 0; o < to.row_bytes / 4; ++o) {
        float even = 0, odd = 0, sum;
        for (int k = 0; k < tiles[a].row_bytes / 4; ++k) {
          const std::int8_t* x = tiles[a].bytes[r] + 4 * k;
          const std::int8_t* w = tiles[b].bytes[k] + 4 * o;
          even = flushed(std::fma(brain(x), brain(w), even));
          odd = flushed(std::fma(brain(x + 2), brain(w + 2), odd));
        }
        std::memcpy(&sum, to.bytes[r] + 4 * o, 4);
        sum = flushed(flushed(sum) + flushed(even + odd));
        std::memcpy(to.bytes[r] + 4 * o, &sum, 4);
      }
    }
  }
  // The instruction counts subnormal numbers as zeros, those it reads and those it makes.
  static float flushed(float x) {
    return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0F, x) : x;
  }
  static float brain(const std::int8_t* p) {
    tensor::bf16 bits;
    std::memcpy(&bits, p, 2);
    return flushed(tensor::bf16_to_f32(bits));
  }
  template <int tile>
  static void store(void* p, std::size_t stride = 64) {
    const Tile& from = tiles[tile];
    PLAIT_CHECK(from.rows > 0, tile);
    for (int r = 0; r < from.rows; ++r) {
      std::memcpy(static_cast<std::byte*>(p) + stride * static_cast<std::size_t>(r), from.bytes[r],
                  static_cast<std::size_t>(from.row_bytes));
    }
  }
};

#include "kernels/cpu/tile_kernel.inc"

void release_tiles() {
  for (Tile& tile : tiles) tile = {};
}

}  // namespace

constinit const KernelTable kTileStandIn = kTileTable<kGenericKernels, release_tiles>;

}  // namespace plait::kernels::cpu
