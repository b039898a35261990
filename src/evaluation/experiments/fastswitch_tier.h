// SPDX-License-Identifier: Apache-2.0
//
// A host tier that moves each page in small pieces: what a pool costs in which the pages of each layer, and of keys and
// values, lie apart. Ours are whole, so the pieces are cut from a page; bytes and number of pieces are those of the
// other layout, the place in memory is not.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/host_tier.h"

namespace plait::evaluation {

/// Passes every operation on as one for each piece of each page, all started at once. The caller sees one operation,
/// which is done when all pieces are; errors are kept, the first one is told.
class PiecewiseTier final : public engine::HostTier {
 public:
  /// `blocks`: a tier of smaller slots, of which slot_bytes / blocks->slot_bytes() make a page; nobody else uses it.
  /// Requires: that divides evenly; 1 ≤ pieces ≤ blocks of a page. Pieces are whole blocks, as equal as that allows.
  PiecewiseTier(std::unique_ptr<HostTier> blocks, base::Bytes slot_bytes, std::uint32_t pieces);

  void write(std::span<const std::byte> bytes, std::uint32_t first, std::uint64_t token) override;
  void read(std::span<std::byte> bytes, std::uint32_t first, std::uint64_t token) override;
  void poll(std::vector<Completion>& completions) override;
  void wait(std::vector<Completion>& completions, std::chrono::nanoseconds timeout) override;
  [[nodiscard]] std::size_t in_flight() const override { return whole_.size(); }

  /// Pieces moved so far, both ways.
  [[nodiscard]] std::uint64_t operations() const { return operations_; }

 private:
  struct Whole {
    std::size_t pieces_left = 0;
    base::Result<void> result = {};
  };

  /// Calls `move(offset in bytes, length in bytes, first block)` for each piece.
  template <typename Move>
  void split(std::size_t bytes, std::uint32_t first, std::uint64_t token, const Move& move);
  void collect(std::vector<Completion>& completions);

  std::unique_ptr<HostTier> blocks_;
  std::uint32_t page_blocks_;
  std::uint32_t pieces_;
  std::unordered_map<std::uint64_t, Whole> whole_;  ///< By the caller's token, which is that of all its pieces.
  std::vector<Completion> done_;                    // scratch
  std::uint64_t operations_ = 0;
};

}  // namespace plait::evaluation
