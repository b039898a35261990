// SPDX-License-Identifier: Apache-2.0
//
// What AttentionPlan holds. Only for attention*.cc.
//
// Rows never influence each other, so they are cut freely. Along the tokens, the blocks of a row are gathered in order.
// Two things bring work for more members or save reading: a long view of few rows is cut, and the parts of its later
// blocks stay apart until they are merged in order; and blocks at the front of several views that lie on the same pages
// are gathered for all those rows first, on a level of their own, before each of them goes on with its own blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/attention.h"
#include "kernels/attention_table.h"

namespace plait::kernels {

/// Floats of what `rows` rows have gathered: AttentionState's arrays, each row in whole lanes.
[[nodiscard]] inline std::size_t state_size(std::size_t rows, std::size_t dim) {
  return (rows + 15) / 16 * 16 + rows * 16 + rows * dim;
}

/// A block of a view.
struct BlockRef {
  std::uint32_t entry = 0;  ///< Of the view.
  std::uint32_t block = 0;  ///< Of the span: tokens 64 block … 64 block + 63.
};

/// Some rows of the batch, one key-value head and some blocks.
struct Piece {
  std::size_t head = 0;  ///< Of keys and values.
  std::size_t row = 0;   ///< Of the batch.
  std::size_t rows = 0;
  std::size_t blocks = 0;  ///< First one in Parts::blocks.
  std::size_t blocks_end = 0;
  // Where it gathers: in scratch memory and finishes at once, or in the shared floats at `state`, an AttentionState of
  // state_rows rows of which this piece has those from state_row on.
  bool kept = false;
  bool begins = true;    ///< Clears the state; else it goes on from there.
  bool finishes = true;  ///< Nothing comes behind it.
  std::size_t cuts = 1;  ///< Of the first piece of a cut: how many follow each other, itself included.
  bool apart = false;    ///< A later piece of a cut: one state for each block.
  std::size_t state = 0;
  std::size_t state_rows = 0;
  std::size_t state_row = 0;
};

struct AttentionPlan::Parts {
  struct View {
    std::size_t entries = 0;  ///< First one in `entries`.
    std::size_t entries_end = 0;
    std::size_t row = 0;  ///< Of the batch.
    std::size_t rows = 0;
    std::ptrdiff_t position = 0;
    std::size_t blocks = 0;  ///< First one in `blocks`: those that any of the rows sees.
    std::size_t blocks_end = 0;
  };
  /// Tokens first … last - 1 of a span.
  struct Range {
    std::size_t first = 0;
    std::size_t last = 0;
  };

  /// Views of which the first `done` blocks are gathered together, in states of the node whose first row is state_row.
  struct Node {
    std::size_t views = 0;
    std::size_t views_end = 0;
    std::size_t done = 0;
    std::size_t state = 0;  ///< Of head 0; only if done > 0, as the next two.
    std::size_t state_row = 0;
    std::size_t state_rows = 0;
  };

  [[nodiscard]] const AttentionEntry& entry_of(std::size_t row, std::size_t entry) const {
    return entries[views[view_of_row[row]].entries + entry];
  }
  /// What a row of the batch sees of an entry; nothing if last <= first.
  [[nodiscard]] Range visible(std::size_t row, std::size_t entry) const;

  std::size_t window = 0;
  std::size_t dim = 0;
  std::size_t kv_heads = 0;
  std::size_t group = 0;                   ///< Query heads of a key-value head.
  std::vector<View> views;                 ///< One for each AttentionRows.
  std::vector<AttentionEntry> entries;     ///< Of all views; those that continue each other made one.
  std::vector<BlockRef> blocks;            ///< Of all views.
  std::vector<std::uint32_t> view_of_row;  ///< [row of the batch]
  std::vector<std::size_t> common;         ///< [view] how many blocks at its front the next view has as well.
  std::vector<Node> nodes;                 ///< While planning: of this level,
  std::vector<Node> nodes_next;            ///< and of the next one.
  std::vector<Piece> pieces;               ///< In order of their levels.
  std::vector<std::size_t> level_ends;     ///< Index behind the last piece of each level.
  std::size_t rows_max = 0;                ///< Rows of the largest piece.
  std::size_t state_floats = 0;            ///< Of all kept states.
  bool cut = false;                        ///< Some piece is.
};

/// attention() and store_kv() with the functions of a table.
void attention(const AttentionTable& table, const AttentionShape& shape, const AttentionPlan& plan,
               std::size_t layer_offset, const float* q, std::size_t q_stride, float* out, std::size_t out_stride,
               parallel::Team& team, AttentionWorkspace& workspace, const BeforeAttention& before = {});
void store_kv(const AttentionTable& table, const AttentionShape& shape, std::size_t layer_offset,
              std::byte* const* pages, std::size_t first, std::size_t rows, const float* k, std::size_t k_stride,
              const float* v, std::size_t v_stride);

}  // namespace plait::kernels
