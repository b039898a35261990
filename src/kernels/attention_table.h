// SPDX-License-Identifier: Apache-2.0
//
// The inner functions of attention for one instruction set. Only for attention*.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plait::kernels {

// Of isa.h and attention.h, which are not included, so that units with ISA flags stay clear of inline functions of the
// library.
enum class Isa;
enum class AttentionArithmetic;

inline constexpr std::size_t kAttentionTileRowsMax = 16;
/// Rows of one head that are many: with AVX-512 worth converting a block of f16 to floats, which costs as much as 4.
inline constexpr std::size_t kRowsToWiden = 24;

/// One block of 64 tokens for all rows that come to it.
struct AttentionBlock {
  std::size_t dim = 0;
  const std::byte* pages[4] = {};  ///< Each keys and values of one head; those seen by none of the rows may point
                                   ///< anywhere that can be read.
  const std::byte* ahead[4] = {};  ///< The same of the block that comes next.
  std::size_t first = 0;           ///< No row sees other tokens of the block than first … last - 1.
  std::size_t last = 0;
};

/// Keys and values [count, dim] of one head for tokens `slot` … slot + count - 1 of a page.
struct AttentionStore {
  const float* k = nullptr;
  std::size_t k_stride = 0;
  const float* v = nullptr;
  std::size_t v_stride = 0;
  std::size_t slot = 0;
  std::size_t count = 0;
  std::size_t dim = 0;
  std::byte* page = nullptr;  ///< The head's part of it.
};

/// Some query rows and one block of 64 tokens.
struct AttentionTile {
  std::size_t rows = 0;  ///< 1 … AttentionTable::tile_rows
  std::size_t dim = 0;
  float scale = 1;          ///< Of the scores, times log2 e: weights are powers of two. With a soft cap: over the cap.
  float soft_cap = 0;       ///< 0: none; else the cap times log2 e.
  const void* q = nullptr;  ///< [rows, dim], as AttentionTable::queries wrote them.
  const std::byte* pages[4] = {};  ///< As in AttentionBlock.
  const std::byte* ahead[4] = {};  ///< The same of the block that comes next, which is fetched meanwhile.
  const void* prepared = nullptr;  ///< What AttentionTable::prepare made of the block, or null.
  bool full = false;               ///< Every row sees the whole block; else:
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
  std::size_t query_bytes;   ///< Of a number in AttentionTile::q.
  std::size_t prepare_rows;  ///< Blocks are prepared for so many rows or more.
  bool scales_queries;       ///< `factor` below is the scale of the scores, and AttentionTile::scale 1; else they are 1
                             ///< and the scale.
  /// Queries as tile() reads them; n a multiple of 16.
  void (*queries)(const float* q, std::size_t n, float factor, void* out);
  /// Writes what tile() reads instead of the pages' keys and values: at most 128 * dim floats. May read all four
  /// pages.
  void (*prepare)(const AttentionBlock& block, void* out);
  /// Computes the block's part for each row and merges it into `state`, whose arrays begin with the tile's first row.
  void (*tile)(const AttentionTile& tile, const AttentionState& state);
  /// Merges `part` into `state`, row by row, except rows whose largest score is -infinity.
  void (*merge)(std::size_t rows, std::size_t dim, const AttentionState& part, const AttentionState& state);
  /// out[i] = sums[i] / sum of total[16]
  void (*finish)(const float* sums, const float* total, std::size_t dim, float* out);
  void (*store)(const AttentionStore& task);
  void (*release)() = nullptr;  ///< If not null: to be called by each thread after its last tile of a call.
};

extern const AttentionTable kAttentionGeneric;
extern const AttentionTable kAttentionAvx2;
extern const AttentionTable kAttentionAvx512;
// AttentionArithmetic::int8:
extern const AttentionTable kAttentionInt8Generic;
extern const AttentionTable kAttentionInt8Avx2;
extern const AttentionTable kAttentionInt8Avx512;
// AttentionArithmetic::bf16:
extern const AttentionTable kAttentionBf16Generic;
extern const AttentionTable kAttentionBf16Avx2;
extern const AttentionTable kAttentionBf16Avx512;
extern const AttentionTable kAttentionBf16Amx;
/// The last with tiles in memory and portable code: for tests of its logic on machines without AMX. Slow.
extern const AttentionTable kAttentionTileStandIn;

/// The functions for an instruction set. Requires: `isa` is one of usable_isas().
[[nodiscard]] const AttentionTable& attention_table(Isa isa, AttentionArithmetic arithmetic);

}  // namespace plait::kernels
