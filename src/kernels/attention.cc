// SPDX-License-Identifier: Apache-2.0
//
// How attention is cut into pieces of work. Rows never influence each other, so they are cut freely; a cut along the
// tokens keeps the parts of its blocks apart until they can be merged in ascending order.
#include "kernels/attention.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <new>
#include <vector>

#include "base/check.h"
#include "kernels/attention_table.h"

namespace plait::kernels {
namespace {

constexpr std::size_t kBlock = kAttentionBlock;
/// Rows of one head that are worth converting a block to floats: conversion costs about as much as 4 rows.
constexpr std::size_t kRowsToWiden = 24;
/// Rows of a piece, each reading all keys and values once: queries and gathered sums of 384 rows x 64 dims take 216 KiB
/// of the second-level cache.
constexpr std::size_t kRowsOfPiece = 384;
/// Pieces per thread, for balance.
constexpr std::size_t kPiecesOfMember = 4;
/// Fewest blocks in a piece that is cut along the tokens.
constexpr std::size_t kBlocksOfPiece = 4;
constexpr float kLog2E = 0x1.715476p+0F;

const AttentionTable& table_of(Isa isa) {
  switch (isa) {
    case Isa::avx512:
    case Isa::amx:
      return kAttentionAvx512;
    case Isa::avx2:
    case Isa::avxvnni:
      return kAttentionAvx2;
    case Isa::generic:
      break;
  }
  return kAttentionGeneric;
}

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

/// Some rows of one entry, one key-value head and some of its blocks.
struct Piece {
  const AttentionRows* entry = nullptr;
  std::size_t entry_row = 0;  // first row of the entry in the whole batch
  std::size_t head = 0;       // of keys and values
  std::size_t row = 0;        // of the entry
  std::size_t rows = 0;
  std::size_t block = 0;
  std::size_t block_end = 0;
  std::size_t slot = 0;    // floats of `parts`: the state of the first piece, else one state per block
  std::size_t pieces = 1;  // in the first piece of a cut: how many follow each other; in later ones 0
};

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

/// Floats of an AttentionState.
std::size_t state_size(std::size_t rows, std::size_t dim) { return round_up(rows, 16) + rows * 16 + rows * dim; }

AttentionState state_at(float* p, std::size_t rows) {
  float* total = p + round_up(rows, 16);
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

/// The first token that the query at `position` sees.
std::size_t first_seen(const AttentionShape& shape, std::size_t position) {
  return shape.window != 0 && position + 1 > shape.window ? position + 1 - shape.window : 0;
}

}  // namespace

struct AttentionWorkspace::Parts {
  std::vector<Piece> pieces;
  std::vector<AlignedFloats> scratch;  // [member]
  AlignedFloats parts;                 // states of pieces that are cut along the tokens
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
  std::size_t group;  // query heads of a key-value head
  float scale;        // as in AttentionTile
  float soft_cap;
  const float* q;
  std::size_t q_stride;
  float* out;
  std::size_t out_stride;
  float* parts;
  AttentionState sinks;  // [heads]; arrays are null if there are none
};

/// A member's scratch memory for pieces of up to `rows` query rows (times heads).
struct Scratch {
  float* q;  // [rows, dim]
  AttentionState state;
  float* k_wide;   // [64 * dim]
  float* v_wide;   // [64 * dim]
  float* weights;  // [16, 64]
  float* sums;     // [16, dim]

  static std::size_t size(std::size_t rows, std::size_t dim) {
    return rows * dim + state_size(rows, dim) + 2 * kBlock * dim + 16 * kBlock + 16 * dim;
  }
  Scratch(float* p, std::size_t rows, std::size_t dim) {
    q = p;
    state = state_at(q + rows * dim, rows);
    k_wide = q + rows * dim + state_size(rows, dim);
    v_wide = k_wide + kBlock * dim;
    weights = v_wide + kBlock * dim;
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

/// Cuts the batch into pieces, those with many tokens first, and says how many floats their parts need.
class Planner {
 public:
  Planner(const AttentionShape& shape, std::span<const AttentionRows> batch, std::size_t members,
          std::vector<Piece>& pieces)
      : shape_(shape), members_(members), group_(shape.heads / shape.kv_heads), pieces_(pieces) {
    pieces_.clear();
    std::size_t cost = 0;
    std::size_t rows = 0;
    for (const AttentionRows& entry : batch) {
      cost += entry.rows * blocks(entry, 0, entry.rows).size() * shape.kv_heads;
      rows += entry.rows;
    }
    cost_of_piece_ = cost / (members * kPiecesOfMember) + 1;
    const std::size_t fair = rows * shape.kv_heads / (members * kPiecesOfMember);
    rows_of_piece_ = std::clamp<std::size_t>(fair, std::max<std::size_t>(1, 24 / group_),
                                             std::max<std::size_t>(1, kRowsOfPiece / group_));
    std::size_t entry_row = 0;
    for (const AttentionRows& entry : batch) {
      add(entry, entry_row);
      entry_row += entry.rows;
    }
  }

  [[nodiscard]] std::size_t rows_max() const { return rows_max_ * group_; }
  [[nodiscard]] std::size_t parts_size() const { return parts_size_; }
  [[nodiscard]] bool cut() const { return parts_size_ > 0; }

 private:
  struct Blocks {
    std::size_t begin;
    std::size_t end;
    [[nodiscard]] std::size_t size() const { return end - begin; }
  };

  [[nodiscard]] Blocks blocks(const AttentionRows& entry, std::size_t row, std::size_t rows) const {
    const std::size_t position = entry.first_position + row;
    return {first_seen(shape_, position) / kBlock, (position + rows - 1) / kBlock + 1};
  }

  void add(const AttentionRows& entry, std::size_t entry_row) {
    for (std::size_t end = entry.rows; end > 0;) {
      const std::size_t rows = std::min(end, rows_of_piece_);
      end -= rows;
      rows_max_ = std::max(rows_max_, rows);
      const Blocks all = blocks(entry, end, rows);
      for (std::size_t head = 0; head < shape_.kv_heads; ++head) {
        add_cut({.entry = &entry,
                 .entry_row = entry_row,
                 .head = head,
                 .row = end,
                 .rows = rows,
                 .block = all.begin,
                 .block_end = all.end});
      }
    }
  }

  /// Cuts a piece of few rows along its tokens if it is too much for one member.
  void add_cut(Piece piece) {
    const std::size_t count = piece.block_end - piece.block;
    std::size_t cuts = members_ == 1 ? 1 : (piece.rows * count + cost_of_piece_ - 1) / cost_of_piece_;
    cuts = std::min(cuts, count / kBlocksOfPiece);
    if (cuts <= 1 || piece.rows * group_ >= kRowsToWiden) return pieces_.push_back(piece);
    const std::size_t size = state_size(piece.rows * group_, shape_.dim);
    const std::size_t begin = piece.block;
    for (std::size_t i = 0; i < cuts; ++i) {
      piece.block = begin + count * i / cuts;
      piece.block_end = begin + count * (i + 1) / cuts;
      piece.slot = parts_size_;
      piece.pieces = i == 0 ? cuts : 0;
      parts_size_ += size * (i == 0 ? 1 : piece.block_end - piece.block);
      pieces_.push_back(piece);
    }
  }

  const AttentionShape& shape_;
  std::size_t members_;
  std::size_t group_;
  std::vector<Piece>& pieces_;
  std::size_t cost_of_piece_ = 0;
  std::size_t rows_of_piece_ = 0;  // query positions
  std::size_t rows_max_ = 0;
  std::size_t parts_size_ = 0;
};

const float* query(const Call& call, const Piece& piece, std::size_t row) {
  return call.q + (piece.entry_row + piece.row + row) * call.q_stride + piece.head * call.group * call.shape.dim;
}

void finish(const Call& call, const Piece& piece, const AttentionState& state) {
  const std::size_t dim = call.shape.dim;
  const std::size_t head = piece.head * call.group;
  for (std::size_t row = 0; row < piece.rows; ++row) {
    if (call.sinks.max != nullptr) {
      call.table->merge(call.group, dim, from_row(call.sinks, head, dim), from_row(state, row * call.group, dim));
    }
    float* out = call.out + (piece.entry_row + piece.row + row) * call.out_stride + head * dim;
    for (std::size_t h = 0; h < call.group; ++h) {
      const std::size_t i = row * call.group + h;
      call.table->finish(state.sums + i * dim, state.total + 16 * i, dim, out + h * dim);
    }
  }
}

/// Which tokens of the block that starts at token `begin` the rows of a tile see; false if none sees any. `row` counts
/// the rows and heads before the tile since `first_position`.
bool find_visible(const Call& call, std::size_t first_position, std::size_t row, std::size_t begin,
                  AttentionTile& tile) {
  bool any = false;
  for (std::size_t i = 0; i < tile.rows; ++i) {
    const std::size_t position = first_position + (row + i) / call.group;
    const std::size_t first = first_seen(call.shape, position);
    tile.first[i] = std::min(kBlock, first > begin ? first - begin : 0);
    tile.last[i] = std::min(kBlock, position + 1 > begin ? position + 1 - begin : 0);
    any = any || tile.first[i] < tile.last[i];
  }
  return any;
}

/// One block for all rows of a piece, merged into `state`.
void add_block(const Call& call, const Piece& piece, std::size_t block, const Scratch& scratch,
               const AttentionState& state) {
  const std::size_t dim = call.shape.dim;
  const std::size_t rows = piece.rows * call.group;
  const KvView& kv = piece.entry->kv;
  const std::size_t offset = piece.head * kv.head_stride + block * kv.block_stride;
  AttentionTile tile{.dim = dim, .scale = call.scale, .soft_cap = call.soft_cap};
  tile.k = kv.k + offset;
  tile.v = kv.v + offset;
  const std::size_t ahead = block + 1 < piece.block_end ? kv.block_stride : 0;
  tile.k_ahead = tile.k + ahead;
  tile.v_ahead = tile.v + ahead;
  tile.weights = scratch.weights;
  tile.sums = scratch.sums;
  const std::size_t begin = block * kBlock;
  const std::size_t first_position = piece.entry->first_position + piece.row;
  const std::size_t last_position = first_position + piece.rows - 1;
  if (rows >= kRowsToWiden) {
    const std::size_t tokens = std::min(kBlock, last_position + 1 - begin);
    call.table->widen(tile.k, round_up(tokens, 16) * dim, scratch.k_wide);
    call.table->widen(tile.v, tokens * dim, scratch.v_wide);
    tile.k_wide = scratch.k_wide;
    tile.v_wide = scratch.v_wide;
  }
  tile.full = first_seen(call.shape, last_position) <= begin && first_position >= begin + kBlock - 1;
  for (std::size_t row = 0; row < rows; row += tile.rows) {
    tile.rows = std::min(rows - row, call.table->tile_rows);
    tile.q = scratch.q + row * dim;
    if (!tile.full && !find_visible(call, first_position, row, begin, tile)) continue;
    call.table->tile(tile, from_row(state, row, dim));
  }
}

void compute(const Call& call, const Piece& piece, const Scratch& scratch) {
  const std::size_t dim = call.shape.dim;
  const std::size_t rows = piece.rows * call.group;
  for (std::size_t row = 0; row < piece.rows; ++row) {
    std::copy_n(query(call, piece, row), call.group * dim, scratch.q + row * call.group * dim);
  }
  if (piece.pieces == 0) {  // a later part of a cut: the blocks stay apart
    const std::size_t size = state_size(rows, dim);
    for (std::size_t block = piece.block; block < piece.block_end; ++block) {
      const AttentionState state = state_at(call.parts + piece.slot + (block - piece.block) * size, rows);
      clear(state, rows, dim);
      add_block(call, piece, block, scratch, state);
    }
    return;
  }
  const bool cut = piece.pieces > 1;
  const AttentionState state = cut ? state_at(call.parts + piece.slot, rows) : scratch.state;
  clear(state, rows, dim);
  for (std::size_t block = piece.block; block < piece.block_end; ++block) {
    add_block(call, piece, block, scratch, state);
  }
  if (!cut) finish(call, piece, state);
}

/// Merges the parts of a cut piece; `pieces` begins with its first one.
void merge_cut(const Call& call, std::span<const Piece> pieces) {
  const Piece& first = pieces.front();
  const std::size_t rows = first.rows * call.group;
  const std::size_t size = state_size(rows, call.shape.dim);
  const AttentionState state = state_at(call.parts + first.slot, rows);
  for (const Piece& piece : pieces.subspan(1, first.pieces - 1)) {
    for (std::size_t i = 0; i < piece.block_end - piece.block; ++i) {
      call.table->merge(rows, call.shape.dim, state_at(call.parts + piece.slot + i * size, rows), state);
    }
  }
  finish(call, first, state);
}

}  // namespace

void attention(Isa isa, const AttentionShape& shape, std::span<const AttentionRows> batch, const float* q,
               std::size_t q_stride, float* out, std::size_t out_stride, parallel::Team& team,
               AttentionWorkspace& workspace) {
  PLAIT_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0, shape.heads, shape.kv_heads);
  PLAIT_CHECK(shape.dim > 0 && shape.dim % 16 == 0, shape.dim);
  for (const AttentionRows& entry : batch) {
    PLAIT_CHECK(entry.first_position + entry.rows <= entry.kv.length, entry.first_position, entry.rows,
                entry.kv.length);
  }
  AttentionWorkspace::Parts& parts = workspace.parts();
  const auto members = static_cast<std::size_t>(team.size());
  const Planner plan(shape, batch, members, parts.pieces);
  const std::size_t rows = plan.rows_max();
  parts.scratch.resize(std::max(parts.scratch.size(), members));
  const bool capped = shape.soft_cap > 0;
  const Call call{.table = &table_of(isa),
                  .shape = shape,
                  .group = shape.heads / shape.kv_heads,
                  .scale = capped ? shape.scale / shape.soft_cap : shape.scale * kLog2E,
                  .soft_cap = capped ? shape.soft_cap * kLog2E : 0,
                  .q = q,
                  .q_stride = q_stride,
                  .out = out,
                  .out_stride = out_stride,
                  .parts = parts.parts.reserve(plan.parts_size()),
                  .sinks = sink_state(shape, parts.sinks)};
  const std::span<const Piece> pieces = parts.pieces;
  std::atomic<std::size_t> next = 0;  // relaxed: pieces are independent, and run() orders everything else
  team.run([&](int member) {
    AlignedFloats& memory = parts.scratch[static_cast<std::size_t>(member)];
    const Scratch scratch(memory.reserve(Scratch::size(rows, shape.dim)), rows, shape.dim);
    for (std::size_t i = 0; (i = next.fetch_add(1, std::memory_order_relaxed)) < pieces.size();) {
      compute(call, pieces[i], scratch);
    }
  });
  if (!plan.cut()) return;
  next = 0;
  team.run([&](int) {
    for (std::size_t i = 0; (i = next.fetch_add(1, std::memory_order_relaxed)) < pieces.size();) {
      if (pieces[i].pieces > 1) merge_cut(call, pieces.subspan(i));
    }
  });
}

void store_kv(Isa isa, const AttentionShape& shape, const KvBuffer& buffer, std::size_t position, std::size_t rows,
              const float* k, std::size_t k_stride, const float* v, std::size_t v_stride) {
  const AttentionTable& table = table_of(isa);
  const std::size_t dim = shape.dim;
  for (std::size_t row = 0; row < rows;) {
    const std::size_t token = position + row;
    const std::size_t slot = token % 16;
    const std::size_t count = std::min(rows - row, 16 - slot);
    for (std::size_t head = 0; head < shape.kv_heads; ++head) {
      const std::size_t offset = head * buffer.head_stride + token / kBlock * buffer.block_stride;
      const std::size_t in_block = token % kBlock;
      table.store_keys(k + row * k_stride + head * dim, k_stride, slot, count, dim,
                       buffer.k + offset + in_block / 16 * 16 * dim);
      table.store_values(v + row * v_stride + head * dim, v_stride, count, dim, buffer.v + offset + in_block * dim);
    }
    row += count;
  }
}

}  // namespace plait::kernels
