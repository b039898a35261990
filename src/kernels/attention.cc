// SPDX-License-Identifier: Apache-2.0
//
// Carries out an AttentionPlan.
#include "kernels/attention.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <new>
#include <vector>

#include "base/check.h"
#include "kernels/attention_plan.h"
#include "kernels/attention_table.h"

namespace plait::kernels {
namespace {

constexpr std::size_t kBlock = kAttentionBlock;
/// Pieces for each member: with fewer, one that is taken ahead may be missing elsewhere.
constexpr std::size_t kPiecesToTakeAhead = 8;
constexpr float kLog2E = 0x1.715476p+0F;

/// Floats on a cache line's border that only grow.
class AlignedFloats {
 public:
  float* reserve(std::size_t count) {
    if (count > size_) {
      data_.reset();
      data_.reset(static_cast<float*>(::operator new(count * sizeof(float), std::align_val_t{64})));
      size_ = count;
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(float* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  std::unique_ptr<float, Free> data_;
  std::size_t size_ = 0;
};

AttentionState state_at(float* p, std::size_t rows) {
  float* total = p + (rows + 15) / 16 * 16;
  return {p, total, total + rows * 16};
}

/// The same without its first `row` rows.
AttentionState from_row(const AttentionState& state, std::size_t row, std::size_t dim) {
  return {state.max + row, state.total + 16 * row, state.sums + row * dim};
}

void clear(const AttentionState& state, std::size_t rows, std::size_t dim) {
  std::fill_n(state.max, rows, -std::numeric_limits<float>::infinity());
  std::fill_n(state.total, rows * 16, 0.0F);
  std::fill_n(state.sums, rows * dim, 0.0F);
}

}  // namespace

struct AttentionWorkspace::Parts {
  std::vector<AlignedFloats> scratch;  // [member]
  AlignedFloats parts;                 // states that more than one piece works on
  AlignedFloats sinks;                 // the state of a block that is nothing but sinks, [heads]
};

AttentionWorkspace::AttentionWorkspace() : parts_(std::make_unique<Parts>()) {}
AttentionWorkspace::AttentionWorkspace(AttentionWorkspace&&) noexcept = default;
AttentionWorkspace& AttentionWorkspace::operator=(AttentionWorkspace&&) noexcept = default;
AttentionWorkspace::~AttentionWorkspace() = default;

namespace {

/// One call's constants.
struct Call {
  const AttentionTable* table;
  AttentionShape shape;
  const AttentionPlan::Parts* plan;
  std::size_t layer_offset;  // in a page, in bytes
  std::size_t head_bytes;    // that a key-value head has there
  std::size_t group;         // query heads of a key-value head
  float factor;              // of queries
  float scale;               // as in AttentionTile
  float soft_cap;
  const float* q;
  std::size_t q_stride;
  float* out;
  std::size_t out_stride;
  float* states;
  AttentionState sinks;  // [heads]; arrays are null if there are none
};

/// A member's scratch memory for pieces of up to `rows` query rows (times heads).
struct Scratch {
  std::byte* q;  // [rows, dim], of 4 bytes at most
  AttentionState state;
  float* prepared;  // [4 pages][32 * dim]
  float* weights;   // [16, 64]
  float* sums;      // [16, dim]

  static std::size_t size(std::size_t rows, std::size_t dim) {
    return rows * dim + state_size(rows, dim) + 2 * kBlock * dim + 16 * kBlock + 16 * dim;
  }
  Scratch(float* p, std::size_t rows, std::size_t dim) {
    q = reinterpret_cast<std::byte*>(p);
    state = state_at(p + rows * dim, rows);
    prepared = p + rows * dim + state_size(rows, dim);
    weights = prepared + 2 * kBlock * dim;
    sums = weights + 16 * kBlock;
  }
};

/// The sinks as what one more block would have gathered; nothing without sinks.
AttentionState sink_state(const AttentionShape& shape, AlignedFloats& memory) {
  if (shape.sinks == nullptr) return {};
  const AttentionState state = state_at(memory.reserve(state_size(shape.heads, shape.dim)), shape.heads);
  clear(state, shape.heads, shape.dim);
  for (std::size_t head = 0; head < shape.heads; ++head) {
    state.max[head] = shape.sinks[head] * kLog2E;
    state.total[16 * head] = 1;
  }
  return state;
}

/// Which query row of the batch's entry a row reads.
const float* query(const Call& call, const Piece& piece, std::size_t row, std::size_t entry) {
  const AttentionPlan::Parts& plan = *call.plan;
  const std::size_t at = plan.entry_of(row, entry).query_row + row - plan.views[plan.view_of_row[row]].row;
  return call.q + at * call.q_stride + piece.head * call.group * call.shape.dim;
}

/// The queries of a piece's rows for one entry, [rows, group, dim].
void gather_queries(const Call& call, const Piece& piece, std::size_t entry, std::byte* q) {
  const std::size_t width = call.group * call.shape.dim;
  for (std::size_t i = 0; i < piece.rows; ++i) {
    const float* from = query(call, piece, piece.row + i, entry);
    call.table->queries(from, width, call.factor, q + i * width * call.table->query_bytes);
  }
}

void finish(const Call& call, const Piece& piece, const AttentionState& state) {
  const std::size_t dim = call.shape.dim;
  const std::size_t head = piece.head * call.group;
  for (std::size_t row = 0; row < piece.rows; ++row) {
    if (call.sinks.max != nullptr) {
      call.table->merge(call.group, dim, from_row(call.sinks, head, dim), from_row(state, row * call.group, dim));
    }
    float* out = call.out + (piece.row + row) * call.out_stride + head * dim;
    for (std::size_t h = 0; h < call.group; ++h) {
      const std::size_t i = row * call.group + h;
      call.table->finish(state.sums + i * dim, state.total + 16 * i, dim, out + h * dim);
    }
  }
}

/// Which tokens of the block the rows of a tile see; false if none sees any. `row` counts the rows and heads of the
/// piece before the tile.
bool find_visible(const Call& call, const Piece& piece, std::size_t row, const BlockRef& ref, AttentionTile& tile) {
  const std::size_t begin = ref.block * kBlock;
  bool any = false;
  tile.full = true;
  for (std::size_t i = 0; i < tile.rows;) {
    const AttentionPlan::Parts::Range range = call.plan->visible(piece.row + (row + i) / call.group, ref.entry);
    const std::size_t first = std::min(kBlock, range.first > begin ? range.first - begin : 0);
    const std::size_t last = std::min(kBlock, range.last > begin ? range.last - begin : 0);
    any = any || first < last;
    tile.full = tile.full && first == 0 && last == kBlock;
    do {  // the heads of a row see the same
      tile.first[i] = first;
      tile.last[i] = last;
      ++i;
    } while (i < tile.rows && (row + i) % call.group != 0);
  }
  return any;
}

/// The tokens of a block that any row of the piece sees, from its first token on; none if last <= first.
AttentionPlan::Parts::Range seen_of_block(const Call& call, const Piece& piece, const BlockRef& ref) {
  const std::size_t begin = ref.block * kBlock;
  const std::size_t first = call.plan->visible(piece.row, ref.entry).first;
  const std::size_t last = call.plan->visible(piece.row + piece.rows - 1, ref.entry).last;
  return {first > begin ? std::min(first - begin, kBlock) : 0, last > begin ? std::min(last - begin, kBlock) : 0};
}

/// Those pages of a block that any row of the piece sees; the others become one of them.
void point(const Call& call, const Piece& piece, const BlockRef& ref, const std::byte* (&pages)[4]) {
  const AttentionPlan::Parts::Range seen = seen_of_block(call, piece, ref);
  const std::size_t low = std::min(seen.first, kBlock - 1) / kPageTokens;
  const std::size_t high = seen.last > 0 ? (seen.last - 1) / kPageTokens : 0;
  std::byte* const* table = call.plan->entry_of(piece.row, ref.entry).pages + ref.block * kBlock / kPageTokens;
  const std::size_t at = call.layer_offset + piece.head * call.head_bytes;
  for (std::size_t i = 0; i < 4; ++i) pages[i] = table[std::clamp(i, std::min(low, high), high)] + at;
}

/// What comes behind a block, if anything does: the piece's next one, or else the first one of the piece that the same
/// member computes next.
void point_ahead(const Call& call, const Piece& piece, std::size_t index, const Piece* next,
                 const std::byte* (&pages)[4]) {
  if (index + 1 < piece.blocks_end) return point(call, piece, call.plan->blocks[index + 1], pages);
  if (next != nullptr) return point(call, *next, call.plan->blocks[next->blocks], pages);
  point(call, piece, call.plan->blocks[index], pages);
}

/// Asks for the whole first block of a piece: the last block of the one before may have been too short for that.
void fetch_first_block(const Call& call, const Piece& piece) {
  const std::byte* pages[4];
  point(call, piece, call.plan->blocks[piece.blocks], pages);
  for (std::size_t i = 0; i < 4 && (i == 0 || pages[i] != pages[i - 1]); ++i) {
    for (std::size_t at = 0; at < call.head_bytes; at += 64) __builtin_prefetch(pages[i] + at);
  }
}

/// One block for all rows of a piece, merged into `state`.
void add_block(const Call& call, const Piece& piece, std::size_t index, const Piece* next, const Scratch& scratch,
               const AttentionState& state) {
  const std::size_t dim = call.shape.dim;
  const std::size_t rows = piece.rows * call.group;
  const BlockRef& ref = call.plan->blocks[index];
  const AttentionPlan::Parts::Range seen = seen_of_block(call, piece, ref);
  AttentionBlock block{.dim = dim, .first = seen.first, .last = seen.last};
  point(call, piece, ref, block.pages);
  point_ahead(call, piece, index, next, block.ahead);
  AttentionTile tile{.dim = dim, .scale = call.scale, .soft_cap = call.soft_cap};
  std::copy_n(block.pages, 4, tile.pages);
  std::copy_n(block.ahead, 4, tile.ahead);
  tile.weights = scratch.weights;
  tile.sums = scratch.sums;
  if (rows >= call.table->prepare_rows) {
    call.table->prepare(block, scratch.prepared);
    tile.prepared = scratch.prepared;
  }
  // Later rows see no earlier tokens and no fewer of those at the end, and what rows of several views gather together
  // is seen by all of them.
  const bool full = call.plan->visible(piece.row, ref.entry).last >= (ref.block + 1) * kBlock &&
                    call.plan->visible(piece.row + piece.rows - 1, ref.entry).first <= ref.block * kBlock;
  tile.full = full;
  for (std::size_t row = 0; row < rows; row += tile.rows) {
    tile.rows = std::min(rows - row, call.table->tile_rows);
    tile.q = scratch.q + row * dim * call.table->query_bytes;
    if (full || find_visible(call, piece, row, ref, tile)) call.table->tile(tile, from_row(state, row, dim));
  }
}

void compute(const Call& call, const Piece& piece, const Piece* next, const Scratch& scratch) {
  const std::size_t dim = call.shape.dim;
  const std::size_t rows = piece.rows * call.group;
  AttentionState state = scratch.state;
  if (piece.kept) state = from_row(state_at(call.states + piece.state, piece.state_rows), piece.state_row, dim);
  if (piece.begins && !piece.apart) clear(state, rows, dim);
  std::size_t entry = std::size_t{0} - 1;
  for (std::size_t block = piece.blocks; block < piece.blocks_end; ++block) {
    if (call.plan->blocks[block].entry != entry) {
      entry = call.plan->blocks[block].entry;
      gather_queries(call, piece, entry, scratch.q);
    }
    if (piece.apart) {
      state = state_at(call.states + piece.state + (block - piece.blocks) * state_size(rows, dim), rows);
      clear(state, rows, dim);
    }
    add_block(call, piece, block, next, scratch, state);
  }
  if (next != nullptr) fetch_first_block(call, *next);
  if (piece.finishes) finish(call, piece, state);
}

/// Merges the parts of a cut piece; `pieces` begins with its first one.
void merge_cut(const Call& call, std::span<const Piece> pieces) {
  const Piece& first = pieces.front();
  const std::size_t dim = call.shape.dim;
  const std::size_t rows = first.rows * call.group;
  const std::size_t size = state_size(rows, dim);
  const AttentionState state = from_row(state_at(call.states + first.state, first.state_rows), first.state_row, dim);
  for (const Piece& piece : pieces.subspan(1, first.cuts - 1)) {
    for (std::size_t i = 0; i < piece.blocks_end - piece.blocks; ++i) {
      call.table->merge(rows, dim, state_at(call.states + piece.state + i * size, rows), state);
    }
  }
  finish(call, first, state);
}

/// f(member, piece, next) for pieces begin … end - 1, each taken by the next free member. Where there are many, members
/// take one ahead: `next`, else `end`.
template <class F>
void for_pieces(parallel::Team& team, const AttentionTable& table, std::size_t begin, std::size_t end, F&& f) {
  std::atomic<std::size_t> free = begin;  // relaxed: pieces are independent, and run() orders everything else
  const bool ahead = end - begin >= kPiecesToTakeAhead * static_cast<std::size_t>(team.size());
  team.run([&](int member) {
    const auto take = [&] { return std::min(end, free.fetch_add(1, std::memory_order_relaxed)); };
    for (std::size_t i = take(); i < end;) {
      const std::size_t next = ahead ? take() : end;
      f(member, i, next);
      i = ahead ? next : take();
    }
    if (table.release != nullptr) table.release();
  });
}

}  // namespace

const AttentionTable& attention_table(Isa isa, AttentionArithmetic arithmetic) {
  const auto choose = [arithmetic](const AttentionTable& exact, const AttentionTable& bf16,
                                   const AttentionTable& int8) -> const AttentionTable& {
    if (arithmetic == AttentionArithmetic::exact) return exact;
    return arithmetic == AttentionArithmetic::bf16 ? bf16 : int8;
  };
  switch (isa) {
    case Isa::amx:
      return choose(kAttentionAvx512, kAttentionBf16Amx, kAttentionInt8Avx512);
    case Isa::avx512:
      return choose(kAttentionAvx512, kAttentionBf16Avx512, kAttentionInt8Avx512);
    case Isa::avx2:
    case Isa::avxvnni:
      return choose(kAttentionAvx2, kAttentionBf16Avx2, kAttentionInt8Avx2);
    case Isa::generic:
      break;
  }
  return choose(kAttentionGeneric, kAttentionBf16Generic, kAttentionInt8Generic);
}

void attention(Isa isa, const AttentionShape& shape, const AttentionPlan& plan, std::size_t layer_offset,
               const float* q, std::size_t q_stride, float* out, std::size_t out_stride, parallel::Team& team,
               AttentionWorkspace& workspace, const BeforeAttention& before) {
  attention(attention_table(isa, shape.arithmetic), shape, plan, layer_offset, q, q_stride, out, out_stride, team,
            workspace, before);
}

void attention(const AttentionTable& table, const AttentionShape& shape, const AttentionPlan& plan,
               std::size_t layer_offset, const float* q, std::size_t q_stride, float* out, std::size_t out_stride,
               parallel::Team& team, AttentionWorkspace& workspace, const BeforeAttention& before) {
  const AttentionPlan::Parts& planned = plan.parts();
  if (planned.views.empty()) return;
  PLAIT_CHECK(shape.dim == planned.dim && shape.window == planned.window, shape.dim, planned.dim);
  PLAIT_CHECK(shape.heads == planned.group * shape.kv_heads, shape.heads, planned.group, shape.kv_heads);
  PLAIT_CHECK(before.call == nullptr || plan.whole_views());
  AttentionWorkspace::Parts& parts = workspace.parts();
  const std::size_t rows = planned.rows_max * planned.group;
  parts.scratch.resize(std::max(parts.scratch.size(), static_cast<std::size_t>(team.size())));
  const bool capped = shape.soft_cap > 0;
  const float scale = capped ? shape.scale / shape.soft_cap : shape.scale * kLog2E;
  const Call call{.table = &table,
                  .shape = shape,
                  .plan = &planned,
                  .layer_offset = layer_offset,
                  .head_bytes = head_bytes(shape.arithmetic, shape.dim),
                  .group = planned.group,
                  .factor = table.scales_queries ? scale : 1,
                  .scale = table.scales_queries ? 1 : scale,
                  .soft_cap = capped ? shape.soft_cap * kLog2E : 0,
                  .q = q,
                  .q_stride = q_stride,
                  .out = out,
                  .out_stride = out_stride,
                  .states = parts.parts.reserve(planned.state_floats),
                  .sinks = sink_state(shape, parts.sinks)};
  const std::span<const Piece> pieces = planned.pieces;
  std::size_t begin = 0;
  for (const std::size_t end : planned.level_ends) {
    for_pieces(team, table, begin, end, [&](int member, std::size_t i, std::size_t next) {
      if (before.call != nullptr) before.call(before.context, pieces[i].row, pieces[i].rows, pieces[i].head);
      AlignedFloats& memory = parts.scratch[static_cast<std::size_t>(member)];
      compute(call, pieces[i], next < end ? &pieces[next] : nullptr,
              Scratch(memory.reserve(Scratch::size(rows, shape.dim)), rows, shape.dim));
    });
    begin = end;
  }
  if (!planned.cut) return;
  for_pieces(team, table, 0, pieces.size(), [&](int /*member*/, std::size_t i, std::size_t /*next*/) {
    if (pieces[i].cuts > 1) merge_cut(call, pieces.subspan(i));
  });
}

namespace {

/// One head of store_kv(): `k` and `v` point to its numbers in the first row.
void store_head(const AttentionTable& table, const AttentionShape& shape, std::size_t layer_offset,
                std::byte* const* pages, std::size_t first, std::size_t rows, std::size_t head, const float* k,
                std::size_t k_stride, const float* v, std::size_t v_stride) {
  const std::size_t at = layer_offset + head * head_bytes(shape.arithmetic, shape.dim);
  for (std::size_t row = 0; row < rows;) {
    const std::size_t slot = (first + row) % kPageTokens;
    const std::size_t count = std::min(rows - row, kPageTokens - slot);
    table.store({.k = k + row * k_stride,
                 .k_stride = k_stride,
                 .v = v + row * v_stride,
                 .v_stride = v_stride,
                 .slot = slot,
                 .count = count,
                 .dim = shape.dim,
                 .page = pages[(first + row) / kPageTokens] + at});
    row += count;
  }
}

}  // namespace

void store_kv_head(Isa isa, const AttentionShape& shape, std::size_t layer_offset, std::byte* const* pages,
                   std::size_t first, std::size_t rows, std::size_t head, const float* k, std::size_t k_stride,
                   const float* v, std::size_t v_stride) {
  store_head(attention_table(isa, shape.arithmetic), shape, layer_offset, pages, first, rows, head, k, k_stride, v,
             v_stride);
}

void store_kv(Isa isa, const AttentionShape& shape, std::size_t layer_offset, std::byte* const* pages,
              std::size_t first, std::size_t rows, const float* k, std::size_t k_stride, const float* v,
              std::size_t v_stride) {
  store_kv(attention_table(isa, shape.arithmetic), shape, layer_offset, pages, first, rows, k, k_stride, v, v_stride);
}

void store_kv(const AttentionTable& table, const AttentionShape& shape, std::size_t layer_offset,
              std::byte* const* pages, std::size_t first, std::size_t rows, const float* k, std::size_t k_stride,
              const float* v, std::size_t v_stride) {
  for (std::size_t head = 0; head < shape.kv_heads; ++head) {
    const std::size_t at = head * shape.dim;
    store_head(table, shape, layer_offset, pages, first, rows, head, k + at, k_stride, v + at, v_stride);
  }
}

std::string_view name(AttentionArithmetic arithmetic) {
  switch (arithmetic) {
    case AttentionArithmetic::exact:
      break;
    case AttentionArithmetic::bf16:
      return "bf16";
    case AttentionArithmetic::int8:
      return "int8";
  }
  return "exact";
}

}  // namespace plait::kernels
