// SPDX-License-Identifier: Apache-2.0
//
// The inner functions of attention for one instruction set. Only for attention*.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plait::kernels {

enum class Isa;  // isa.h; not included, so that units with ISA flags stay clear of inline functions of the library

inline constexpr std::size_t kAttentionTileRowsMax = 16;

/// Some query rows and one block of 64 tokens.
struct AttentionTile {
  std::size_t rows = 0;  ///< 1 … AttentionTable::tile_rows
  std::size_t dim = 0;
  float scale = 1;           ///< Of the scores, times log2 e: weights are powers of two. With a soft cap: over the cap.
  float soft_cap = 0;        ///< 0: none; else the cap times log2 e.
  const float* q = nullptr;  ///< [rows, dim]
  const std::uint16_t* pages[4] = {};  ///< Each keys [dim][16 tokens], then values [16 tokens][dim]; those seen by none
                                       ///< of the rows may point anywhere.
  const std::uint16_t* ahead[4] = {};  ///< The same of the block that comes next, which is fetched meanwhile.
  const float* wide = nullptr;         ///< [4], the pages as floats, or null.
  bool full = false;                   ///< Every row sees the whole block; else:
  std::size_t first[kAttentionTileRowsMax] = {};  ///< [row] visible tokens of the block: first … last - 1;
  std::size_t last[kAttentionTileRowsMax] = {};   ///< none if last <= first. One row at least sees some.
  float* weights = nullptr;                       ///< Scratch [rows, 64].
  float* sums = nullptr;                          ///< Scratch [rows, dim].
};

/// What rows have gathered so far: largest score, sum of weights, sum of weights times values. Empty: -infinity, 0, 0.
struct AttentionState {
  float* max = nullptr;    ///< [rows]
  float* total = nullptr;  ///< [rows, 16]; the sum is that of the 16 lanes.
  float* sums = nullptr;   ///< [rows, dim]
};

struct AttentionTable {
  std::size_t tile_rows;
  /// Computes the block's part for each row and merges it into `state`, whose arrays begin with the tile's first row.
  void (*tile)(const AttentionTile& tile, const AttentionState& state);
  /// Merges `part` into `state`, row by row, except rows whose largest score is -infinity.
  void (*merge)(std::size_t rows, std::size_t dim, const AttentionState& part, const AttentionState& state);
  /// out[i] = sums[i] / sum of total[16]
  void (*finish)(const float* sums, const float* total, std::size_t dim, float* out);
  void (*widen)(const std::uint16_t* in, std::size_t n, float* out);  ///< n a multiple of 16
  /// Keys and values [count, dim] of one head for tokens `slot` … slot + count - 1 of a group of 16 tokens.
  void (*store_keys)(const float* k, std::size_t stride, std::size_t slot, std::size_t count, std::size_t dim,
                     std::uint16_t* group);
  void (*store_values)(const float* v, std::size_t stride, std::size_t count, std::size_t dim, std::uint16_t* out);
};

extern const AttentionTable kAttentionGeneric;
extern const AttentionTable kAttentionAvx2;
extern const AttentionTable kAttentionAvx512;

}  // namespace plait::kernels
