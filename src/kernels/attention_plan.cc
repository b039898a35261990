// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention_plan.h"

#include <algorithm>

#include "base/check.h"

namespace plait::kernels {
namespace {

constexpr std::size_t kBlock = kAttentionBlock;
/// Rows of a piece, each reading all keys and values once: queries and gathered sums of 384 rows x 64 dims take 216 KiB
/// of the second-level cache.
constexpr std::size_t kRowsOfPiece = 384;
/// Pieces per thread, for balance.
constexpr std::size_t kPiecesOfMember = 4;
/// Fewest blocks in a piece that is cut along the tokens.
constexpr std::size_t kBlocksOfPiece = 4;
/// Fewest blocks that rows gather together: below, the level's barrier costs more than the reading saves.
constexpr std::size_t kBlocksToShare = 4;

using Parts = AttentionPlan::Parts;
using Node = Parts::Node;

/// Fills the parts from the views.
class Planner {
 public:
  Planner(Parts& parts, std::size_t kv_heads, std::size_t members)
      : parts_(parts), kv_heads_(kv_heads), members_(members) {
    std::size_t cost = 0;
    std::size_t rows = 0;
    for (const Parts::View& view : parts.views) {
      cost += view.rows * (view.blocks_end - view.blocks) * kv_heads;
      rows += view.rows;
    }
    cost_of_piece_ = cost / (members * kPiecesOfMember) + 1;
    const std::size_t fair = rows * kv_heads / (members * kPiecesOfMember);
    rows_of_piece_ = std::clamp<std::size_t>(fair, std::max<std::size_t>(1, kRowsToWiden / parts.group),
                                             std::max<std::size_t>(1, kRowsOfPiece / parts.group));
  }

  void plan() {
    parts_.nodes.reserve(parts_.views.size());
    parts_.nodes_next.reserve(parts_.views.size());
    parts_.nodes_next.assign(1, {.views = 0, .views_end = parts_.views.size()});
    while (!parts_.nodes_next.empty()) {  // level by level
      parts_.nodes.swap(parts_.nodes_next);
      parts_.nodes_next.clear();
      for (const Node& node : parts_.nodes) divide(node);
      parts_.level_ends.push_back(parts_.pieces.size());
    }
  }

 private:
  [[nodiscard]] std::size_t rows_of(const Node& node) const {
    const Parts::View& last = parts_.views[node.views_end - 1];
    return last.row + last.rows - parts_.views[node.views].row;
  }

  /// Splits a node into runs of views that have more blocks in common, and views that go on alone.
  void divide(const Node& node) {
    for (std::size_t view = node.views; view < node.views_end;) {
      std::size_t end = view + 1;
      while (end < node.views_end && parts_.common[end - 1] >= node.done + kBlocksToShare) ++end;
      Node part = node;
      part.views = view;
      part.views_end = end;
      if (end - view == 1) {
        alone(part);
      } else {
        together(part);
      }
      view = end;
    }
  }

  /// Gathers what all views of the node have in common, and leaves the rest to the next level.
  void together(const Node& node) {
    const Parts::View& first = parts_.views[node.views];
    const auto* common = parts_.common.data();
    const std::size_t done = *std::min_element(common + node.views, common + node.views_end - 1);
    Node rest = node;
    rest.done = done;
    if (node.done == 0) {
      rest.state_row = first.row;
      rest.state_rows = rows_of(node);
      rest.state = reserve_states(rest.state_rows);
    }
    add(rest, first.row, rows_of(node), first.blocks + node.done, first.blocks + done,
        {.kept = true, .begins = node.done == 0, .finishes = false});
    parts_.nodes_next.push_back(rest);
  }

  void alone(const Node& node) {
    const Parts::View& view = parts_.views[node.views];
    const bool fresh = node.done == 0;
    for (std::size_t end = view.rows; end > 0;) {  // those that see most first
      const std::size_t rows = std::min(end, rows_of_piece_);
      end -= rows;
      const std::size_t row = view.row + end;
      add(node, row, rows, first_seen(view, row, view.blocks + node.done), last_seen(view, row + rows - 1),
          {.kept = !fresh, .begins = fresh});
    }
  }

  [[nodiscard]] bool sees(std::size_t row, const BlockRef& ref) const {
    const Parts::Range range = parts_.visible(row, ref.entry);
    return range.first < range.last && range.first < (ref.block + 1) * kBlock && range.last > ref.block * kBlock;
  }
  /// The first block from `from` on that a row sees; with a window, rows behind it see no earlier ones.
  [[nodiscard]] std::size_t first_seen(const Parts::View& view, std::size_t row, std::size_t from) const {
    while (from < view.blocks_end && !sees(row, parts_.blocks[from])) ++from;
    return from;
  }
  [[nodiscard]] std::size_t last_seen(const Parts::View& view, std::size_t row) const {
    std::size_t end = view.blocks_end;
    while (end > view.blocks && !sees(row, parts_.blocks[end - 1])) --end;
    return end;
  }

  std::size_t reserve_states(std::size_t rows) {
    const std::size_t at = parts_.state_floats;
    parts_.state_floats += kv_heads_ * state_size(rows * parts_.group, parts_.dim);
    return at;
  }

  /// One piece for each head and each few rows.
  void add(const Node& node, std::size_t row, std::size_t rows, std::size_t blocks, std::size_t blocks_end,
           Piece piece) {
    const std::size_t size = state_size(node.state_rows * parts_.group, parts_.dim);
    for (std::size_t at = 0; at < rows; at += rows_of_piece_) {
      piece.row = row + at;
      piece.rows = std::min(rows - at, rows_of_piece_);
      parts_.rows_max = std::max(parts_.rows_max, piece.rows);
      piece.blocks = blocks;
      piece.blocks_end = std::max(blocks, blocks_end);
      for (std::size_t head = 0; head < kv_heads_; ++head) {
        piece.head = head;
        if (piece.kept) {
          piece.state = node.state + head * size;
          piece.state_rows = node.state_rows * parts_.group;
          piece.state_row = (piece.row - node.state_row) * parts_.group;
        }
        add_cut(piece);
      }
    }
  }

  /// Cuts a piece of few rows along its tokens if it is too much for one member.
  void add_cut(Piece piece) {
    const std::size_t count = piece.blocks_end - piece.blocks;
    const std::size_t rows = piece.rows * parts_.group;
    std::size_t cuts = members_ == 1 ? 1 : (piece.rows * count + cost_of_piece_ - 1) / cost_of_piece_;
    cuts = std::min(cuts, count / kBlocksOfPiece);
    if (cuts <= 1 || rows >= kRowsToWiden || !piece.finishes) return parts_.pieces.push_back(piece);
    const std::size_t size = state_size(rows, parts_.dim);
    const std::size_t begin = piece.blocks;
    parts_.cut = true;
    piece.finishes = false;
    piece.cuts = cuts;
    for (std::size_t i = 0; i < cuts; ++i) {
      piece.blocks = begin + count * i / cuts;
      piece.blocks_end = begin + count * (i + 1) / cuts;
      if (i > 0 || !piece.kept) {
        piece.state = parts_.state_floats;
        piece.state_rows = rows;
        piece.state_row = 0;
        parts_.state_floats += size * (i == 0 ? 1 : piece.blocks_end - piece.blocks);
      }
      piece.kept = true;
      parts_.pieces.push_back(piece);
      piece.apart = true;
      piece.cuts = 0;
    }
  }

  Parts& parts_;
  std::size_t kv_heads_;
  std::size_t members_;
  std::size_t cost_of_piece_ = 0;
  std::size_t rows_of_piece_ = 0;
};

bool continues(const AttentionEntry& one, const AttentionEntry& next) {
  return one.pages == next.pages && one.base == next.base && one.query_row == next.query_row && !one.grows &&
         one.last == next.first;
}

void add_view(Parts& parts, const AttentionRows& rows) {
  Parts::View view{.entries = parts.entries.size(),
                   .row = parts.view_of_row.size(),
                   .rows = rows.rows,
                   .position = rows.position,
                   .blocks = parts.blocks.size()};
  for (const AttentionEntry& entry : rows.entries) {
    if (parts.entries.size() > view.entries && continues(parts.entries.back(), entry)) {
      parts.entries.back().last = entry.last;
      parts.entries.back().grows = entry.grows;
    } else {
      parts.entries.push_back(entry);
    }
  }
  view.entries_end = parts.entries.size();
  parts.view_of_row.insert(parts.view_of_row.end(), rows.rows, static_cast<std::uint32_t>(parts.views.size()));
  parts.views.push_back(view);
  for (std::size_t entry = 0; entry < view.entries_end - view.entries; ++entry) {
    const std::size_t first = parts.visible(view.row, entry).first;
    const std::size_t last = parts.visible(view.row + rows.rows - 1, entry).last;
    for (std::size_t block = first / kBlock; first < last && block <= (last - 1) / kBlock; ++block) {
      parts.blocks.push_back({static_cast<std::uint32_t>(entry), static_cast<std::uint32_t>(block)});
    }
  }
  parts.views.back().blocks_end = parts.blocks.size();
}

/// Whether all rows of a view see all of a block.
bool sees_all(const Parts& parts, const Parts::View& view, const BlockRef& ref) {
  return parts.visible(view.row, ref.entry).last >= (ref.block + 1) * kBlock &&
         parts.visible(view.row + view.rows - 1, ref.entry).first <= ref.block * kBlock;
}

/// How many blocks at the front of two views lie on the same pages and are seen by all rows of both.
std::size_t common_blocks(const Parts& parts, const Parts::View& a, const Parts::View& b) {
  if ((a.rows + b.rows) * parts.group > 2 * kRowsToWiden) return 0;  // many rows read a block only once anyway
  const std::size_t most = std::min(a.blocks_end - a.blocks, b.blocks_end - b.blocks);
  std::size_t count = 0;
  for (; count < most; ++count) {
    const BlockRef& one = parts.blocks[a.blocks + count];
    const BlockRef& other = parts.blocks[b.blocks + count];
    if (one.entry != other.entry || one.block != other.block) break;
    std::byte* const* pages = parts.entry_of(a.row, one.entry).pages + 4 * one.block;
    if (!sees_all(parts, a, one) || !sees_all(parts, b, one)) break;
    if (!std::equal(pages, pages + 4, parts.entry_of(b.row, one.entry).pages + 4 * one.block)) break;
  }
  return count;
}

}  // namespace

Parts::Range AttentionPlan::Parts::visible(std::size_t row, std::size_t entry) const {
  const View& view = views[view_of_row[row]];
  const AttentionEntry& tokens = entries[view.entries + entry];
  Range range{tokens.first, tokens.last + (tokens.grows ? row - view.row : 0)};
  if (window != 0) {
    const std::ptrdiff_t position = view.position + static_cast<std::ptrdiff_t>(row - view.row);
    const std::ptrdiff_t first = position + 1 - static_cast<std::ptrdiff_t>(window) - tokens.base;
    if (first > 0) range.first = std::max(range.first, static_cast<std::size_t>(first));
  }
  return range;
}

AttentionPlan::AttentionPlan() : parts_(std::make_unique<Parts>()) {}
AttentionPlan::AttentionPlan(AttentionPlan&&) noexcept = default;
AttentionPlan& AttentionPlan::operator=(AttentionPlan&&) noexcept = default;
AttentionPlan::~AttentionPlan() = default;

bool AttentionPlan::whole_views() const {
  const Parts& parts = *parts_;
  return parts.level_ends.size() == 1 && !parts.cut && parts.pieces.size() == parts.views.size() * parts.kv_heads;
}

void AttentionPlan::prepare(const AttentionShape& shape, std::span<const AttentionRows> batch, int members) {
  PLAIT_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0, shape.heads, shape.kv_heads);
  PLAIT_CHECK(shape.dim > 0 && shape.dim % 16 == 0, shape.dim);
  Parts& parts = *parts_;
  parts.window = shape.window;
  parts.dim = shape.dim;
  parts.kv_heads = shape.kv_heads;
  parts.group = shape.heads / shape.kv_heads;
  parts.views.clear();
  parts.entries.clear();
  parts.blocks.clear();
  parts.view_of_row.clear();
  parts.common.clear();
  parts.pieces.clear();
  parts.level_ends.clear();
  parts.rows_max = parts.state_floats = 0;
  parts.cut = false;
  for (const AttentionRows& rows : batch) {
    if (rows.rows > 0) add_view(parts, rows);
  }
  for (std::size_t i = 0; i < parts.views.size(); ++i) {
    const bool last = i + 1 == parts.views.size();
    parts.common.push_back(last ? 0 : common_blocks(parts, parts.views[i], parts.views[i + 1]));
  }
  if (!parts.views.empty()) Planner(parts, shape.kv_heads, static_cast<std::size_t>(members)).plan();
}

}  // namespace plait::kernels
