// SPDX-License-Identifier: Apache-2.0
//
// Attention of new tokens over a cache of keys and values in f16, bf16 or 8 bits.
//
//   store_kv(isa, shape, layer_offset, pages, position, rows, k_new, k_stride, v_new, v_stride);
//   plan.prepare(shape, {{.rows = rows, .position = position, .entries = view}}, team.size());   // once for all layers
//   attention(isa, shape, plan, layer_offset, q, q_stride, out, out_stride, team, workspace);
//
// What rows see is a list of entries, each some tokens of a span: tokens that were computed one after the other and are
// counted from the span's origin. Keys are rotated by that count; a query is rotated anew for each entry (see
// AttentionEntry::query_row), so that spans are moved and shared without touching them.
//
// AttentionArithmetic::exact, the same for every instruction set, number of threads and way of cutting the rows.
// Tokens of a span form blocks of 64, counted from its origin. A score is the sum over dims, one fused multiply-add
// after the other, of query times key, times `scale`, then the soft cap; with log2 e multiplied into the last factor,
// so that weights are powers of two. For each block: the largest score m of the visible tokens, weights p = 2^(score -
// m), their sums l in 16 lanes (token modulo 16), and o = the sum over visible tokens in ascending order, one fused
// multiply-add after the other, of p times value. Blocks are merged in the order of entries and tokens: with m' =
// max(m1, m2), a = 2^(m1 - m'), b = 2^(m2 - m'): l = l1 a + l2 b, o = o1 a + o2 b. A head's sink is merged last, as a
// block of one token whose value is nothing. The result is o over the sum of l's lanes.
// With a window w, a query at position i sees token t of an entry only if i - (base + t) < w. Nothing is computed with
// tokens that a row does not see: their memory may hold anything, and pages that no row sees may be missing.
// Blocks at the front of several rows' views that lie on the same pages are read once for all of those rows.
//
// AttentionArithmetic::bf16 makes both products of matrices whose numbers are bf16, as tile registers (AMX) do. Blocks
// and merging are as above; queries are multiplied by the scale (and log2 e, or over the soft cap) and rounded to bf16,
// and so are weights, before they are summed and before they multiply values. Products are summed in float, with AMX in
// its own order: 32 dims or tokens at a time, even ones and odd ones apart, always over all tokens of a block, those
// that a row does not see with weight 0. So AMX gives other bits than the other instruction sets, which agree with each
// other; with each of them a row's bits depend neither on the rows beside it nor on how rows are cut or shared out.
// A value that is NaN makes a row NaN that sees it, in all dims of that head, and no other row.
//
// AttentionArithmetic::int8 is exact but for what pages hold: of each token and key-value head the key and the value,
// each as whole numbers in -127 … 127 and one float, their scale: the largest magnitude over 127. The scale multiplies
// sums, not numbers: a score is the sum over dims of query times number, times the key's scale, then as in exact; what
// multiplies the numbers of a value is the token's weight times the value's scale. The same bits with every
// instruction set, number of threads and way of cutting the rows. A number that is NaN makes its scale one.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/isa.h"
#include "parallel/team.h"
#include "tensor/half.h"

namespace plait::kernels {

/// How attention computes and what pages hold.
enum class AttentionArithmetic {
  exact,  ///< f16, every sum in order: the same bits with every instruction set.
  bf16,   ///< Long prompts some three times as fast with AMX, and slower without; less exact.
  int8,   ///< Sums as in exact; pages take about half the memory and are less exact.
};

/// "exact", "bf16", "int8".
[[nodiscard]] std::string_view name(AttentionArithmetic arithmetic);

struct AttentionShape {
  std::size_t heads = 0;  ///< Query heads: a multiple of kv_heads; head h reads key-value head h / (heads / kv_heads).
  std::size_t kv_heads = 0;
  std::size_t dim = 0;     ///< Of a head: a multiple of 16.
  float scale = 1;         ///< Factor of query times key.
  float soft_cap = 0;      ///< c: scores become c tanh(score / c); 0: none.
  std::size_t window = 0;  ///< Tokens visible to a query, itself included; 0: all before it.
  AttentionArithmetic arithmetic = AttentionArithmetic::exact;
  const float* sinks =
      nullptr;  ///< [heads]: a score that takes a share of each head's weights and adds nothing; or null.
};

/// Tokens of a page, the unit of memory. In a page a layer has, for one key-value head after the other, the keys, [dim]
/// [16 tokens], and then the values, [16 tokens][dim], in f16. With bf16 these are [dim / 2][16 tokens][2 dims] and [8
/// pairs of tokens][dim][2 tokens]. With int8 they are as in f16, a byte each, and behind them are the scales in f32:
/// those of the keys, [16 tokens], and of the values, [16 tokens].
inline constexpr std::size_t kPageTokens = 16;
/// Tokens of a block: the unit of arithmetic.
inline constexpr std::size_t kAttentionBlock = 64;

/// Bytes that one layer has in a page for one key-value head.
[[nodiscard]] constexpr std::size_t head_bytes(AttentionArithmetic arithmetic, std::size_t dim) {
  const std::size_t numbers = 2 * kPageTokens * dim;
  if (arithmetic == AttentionArithmetic::int8) return numbers + 2 * kPageTokens * sizeof(float);
  return numbers * sizeof(tensor::f16);
}
/// Bytes of a key's or value's number, its share of a scale included.
[[nodiscard]] constexpr double number_bytes(AttentionArithmetic arithmetic, std::size_t dim) {
  return static_cast<double>(head_bytes(arithmetic, dim)) / static_cast<double>(2 * kPageTokens * dim);
}
/// Bytes that one layer has in a page.
[[nodiscard]] inline std::size_t layer_bytes(const AttentionShape& shape) {
  return shape.kv_heads * head_bytes(shape.arithmetic, shape.dim);
}

/// Tokens of one span that rows see.
struct AttentionEntry {
  std::byte* const* pages = nullptr;  ///< Page p holds tokens 16 p … 16 p + 15, counted from the span's origin.
  std::size_t first = 0;              ///< The first row sees tokens first … last - 1,
  std::size_t last = 0;
  bool grows = false;         ///< and each next row one more: these are the rows' own tokens.
  std::ptrdiff_t base = 0;    ///< Position of the token at the origin.
  std::size_t query_row = 0;  ///< Row of q with the first row's query, rotated by its position minus `base`.
};

/// Rows whose queries are at positions position, …, position + rows - 1, and what they see; the keys and values of
/// their own tokens are in their pages already. An entry that goes on where the one before it ends, with the same
/// pages, base and rotation, is the same as one longer entry.
struct AttentionRows {
  std::size_t rows = 0;
  std::ptrdiff_t position = 0;
  std::span<const AttentionEntry> entries = {};
};

/// Writes keys and values of tokens first, …, first + rows - 1 of a span, rounded to f16, bf16 or 8 bits (nearest even;
/// beyond the range of f16 or bf16 to the largest finite value, with 8 bits to that of f16). Row r of `k` is k + r *
/// k_stride, [kv_heads, dim]; the same for `v`. The layer's bytes are `layer_offset` behind the beginning of each page.
/// Threads: different tokens may be written at the same time.
void store_kv(Isa isa, const AttentionShape& shape, std::size_t layer_offset, std::byte* const* pages,
              std::size_t first, std::size_t rows, const float* k, std::size_t k_stride, const float* v,
              std::size_t v_stride);

/// How the attention of a batch is cut into work for the members of a team. The same for all layers whose rows see the
/// same tokens. Keeps its memory from batch to batch.
class AttentionPlan {
 public:
  AttentionPlan();
  AttentionPlan(AttentionPlan&&) noexcept;
  AttentionPlan& operator=(AttentionPlan&&) noexcept;
  ~AttentionPlan();

  /// Requires: shape.heads a multiple of kv_heads, dim of 16; every row sees a token at least. Page tables must stay
  /// until the plan has been used, `batch` need not. `shape.sinks` is not looked at.
  void prepare(const AttentionShape& shape, std::span<const AttentionRows> batch, int members);

  /// Whether each of the batch's AttentionRows is computed in one piece for each key-value head, by one member.
  [[nodiscard]] bool whole_views() const;

  struct Parts;
  [[nodiscard]] const Parts& parts() const { return *parts_; }  ///< For attention().

 private:
  std::unique_ptr<Parts> parts_;
};

/// Something to be done before a piece is computed, by the member that computes it, while other members are at other
/// pieces: for rows [row, row + rows) of the batch and a key-value head.
struct BeforeAttention {
  void (*call)(const void* context, std::size_t row, std::size_t rows, std::size_t head) = nullptr;
  const void* context = nullptr;
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

/// Attention of the planned batch in one layer. Row r of the batch has its result at out + r * out_stride, [heads,
/// dim]; queries are rows of `q`, q + row * q_stride, [heads, dim], which entries name.
/// Requires: the plan was prepared for this shape (sinks and arithmetic aside) and for at least as many members as the
/// team has. Must not be called inside a region of `team` whose members all call it. No allocation once the workspace
/// has grown. `before`, if there is one, may write the piece's queries and its own keys and values; then
/// plan.whole_views().
void attention(Isa isa, const AttentionShape& shape, const AttentionPlan& plan, std::size_t layer_offset,
               const float* q, std::size_t q_stride, float* out, std::size_t out_stride, parallel::Team& team,
               AttentionWorkspace& workspace, const BeforeAttention& before = {});

/// store_kv() for one key-value head: `k` and `v` point to its numbers in the first row.
void store_kv_head(Isa isa, const AttentionShape& shape, std::size_t layer_offset, std::byte* const* pages,
                   std::size_t first, std::size_t rows, std::size_t head, const float* k, std::size_t k_stride,
                   const float* v, std::size_t v_stride);

}  // namespace plait::kernels
