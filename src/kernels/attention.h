// SPDX-License-Identifier: Apache-2.0
//
// Attention of new tokens over a cache of keys and values in f16.
//
//   KvBuffer cache{.k = k, .v = v, .head_stride = 64 * dim, .block_stride = kv_heads * 64 * dim};
//   store_kv(isa, shape, cache, position, rows, k_new, k_stride, v_new, v_stride);
//   attention(isa, shape, {{.rows = rows, .first_position = position, .kv = view(cache, position + rows)}},
//             q, q_stride, out, out_stride, team, workspace);
//
// Arithmetic, the same for every instruction set, number of threads and way of cutting the rows. Tokens of a sequence
// form blocks of 64, counted from its first token. A score is the sum over dims, one fused multiply-add after the
// other, of query times key, times `scale`, then the soft cap; with log2 e multiplied into the last factor, so that
// weights are powers of two. For each block: the largest score m of the visible tokens, weights p = 2^(score - m),
// their sums l in 16 lanes (token modulo 16), and o = the sum over visible tokens in ascending order, one fused
// multiply-add after the other, of p times value. Blocks are merged in ascending order: with m' = max(m1, m2),
// a = 2^(m1 - m'), b = 2^(m2 - m'): l = l1 a + l2 b, o = o1 a + o2 b. A head's sink is merged last, as a block of one
// token whose value is nothing. The result is o over the sum of l's lanes.
// A query at position i sees token t exactly if t <= i and, with a window w, i - t < w. Nothing else is computed with:
// cache memory of invisible tokens may hold anything.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "kernels/isa.h"
#include "parallel/team.h"
#include "tensor/half.h"

namespace plait::kernels {

struct AttentionShape {
  std::size_t heads = 0;  ///< Query heads: a multiple of kv_heads; head h reads key-value head h / (heads / kv_heads).
  std::size_t kv_heads = 0;
  std::size_t dim = 0;     ///< Of a head: a multiple of 16.
  float scale = 1;         ///< Factor of query times key.
  float soft_cap = 0;      ///< c: scores become c tanh(score / c); 0: none.
  std::size_t window = 0;  ///< Tokens visible to a query, itself included; 0: all before it.
  const float* sinks =
      nullptr;  ///< [heads]: a score that takes a share of each head's weights and adds nothing; or null.
};

/// Tokens of a block: the unit of arithmetic and of memory. A block of one key-value head is 64 * dim keys, laid out
/// [token / 16][dim][16 tokens], and 64 * dim values, [token][dim].
inline constexpr std::size_t kAttentionBlock = 64;

/// Keys and values of one layer of one sequence: where block b of key-value head h begins, in elements:
/// h * head_stride + b * block_stride, both in `k` and in `v`. Does not own the memory. With block_stride = kv_heads *
/// head_stride a cache grows at its end; with head_stride = blocks * block_stride each head lies in one piece.
struct KvBuffer {
  tensor::f16* k = nullptr;
  tensor::f16* v = nullptr;
  std::size_t head_stride = 0;
  std::size_t block_stride = 0;
};

/// The same for reading: the first `length` tokens are there. Memory beyond them is not read, except whole groups of 16
/// tokens of keys, whose surplus has no effect.
struct KvView {
  const tensor::f16* k = nullptr;
  const tensor::f16* v = nullptr;
  std::size_t head_stride = 0;
  std::size_t block_stride = 0;
  std::size_t length = 0;
};

[[nodiscard]] inline KvView view(const KvBuffer& buffer, std::size_t length) {
  return {buffer.k, buffer.v, buffer.head_stride, buffer.block_stride, length};
}

/// Writes keys and values of tokens position, …, position + rows - 1, rounded to f16 (nearest even; beyond its range to
/// the largest finite value). Row r of `k` is k + r * k_stride, [kv_heads, dim]; the same for `v`.
/// Threads: different tokens may be written at the same time.
void store_kv(Isa isa, const AttentionShape& shape, const KvBuffer& buffer, std::size_t position, std::size_t rows,
              const float* k, std::size_t k_stride, const float* v, std::size_t v_stride);

/// Rows of one sequence: queries at positions first_position, …, first_position + rows - 1, whose own keys and values
/// are in the cache already. Requires: first_position + rows <= kv.length.
struct AttentionRows {
  std::size_t rows = 0;
  std::size_t first_position = 0;
  KvView kv = {};
};

/// Scratch memory of attention(); grows to the largest call and stays. One call at a time.
class AttentionWorkspace {
 public:
  AttentionWorkspace();
  AttentionWorkspace(AttentionWorkspace&&) noexcept;
  AttentionWorkspace& operator=(AttentionWorkspace&&) noexcept;
  ~AttentionWorkspace();

  struct Parts;
  [[nodiscard]] Parts& parts() { return *parts_; }  ///< For attention().

 private:
  std::unique_ptr<Parts> parts_;
};

/// Attention for a batch of sequences. The rows of all entries follow each other in `q` and `out`: row r is at
/// q + r * q_stride, [heads, dim], the result at out + r * out_stride, [heads, dim].
/// Requires: dim a multiple of 16; heads a multiple of kv_heads. Must not be called inside a region of `team` whose
/// members all call it. No allocation once the workspace has grown.
void attention(Isa isa, const AttentionShape& shape, std::span<const AttentionRows> batch, const float* q,
               std::size_t q_stride, float* out, std::size_t out_stride, parallel::Team& team,
               AttentionWorkspace& workspace);

}  // namespace plait::kernels
