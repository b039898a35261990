// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/fastswitch_tier.h"

#include <utility>

#include "base/check.h"

namespace plait::evaluation {
namespace {

std::uint32_t slots_of(const engine::HostTier& blocks, base::Bytes slot_bytes) {
  return static_cast<std::uint32_t>(blocks.slots() * blocks.slot_bytes() / slot_bytes);
}

}  // namespace

PiecewiseTier::PiecewiseTier(std::unique_ptr<HostTier> blocks, base::Bytes slot_bytes, std::uint32_t pieces)
    : HostTier(slots_of(*blocks, slot_bytes), slot_bytes),
      blocks_(std::move(blocks)),
      page_blocks_(static_cast<std::uint32_t>(slot_bytes / blocks_->slot_bytes())),
      pieces_(pieces) {
  PLAIT_CHECK(slot_bytes % blocks_->slot_bytes() == 0, slot_bytes, blocks_->slot_bytes());
  PLAIT_CHECK(pieces >= 1 && pieces <= page_blocks_, pieces, page_blocks_);
}

template <typename Move>
void PiecewiseTier::split(std::size_t bytes, std::uint32_t first, std::uint64_t token, const Move& move) {
  PLAIT_CHECK(bytes > 0 && bytes % slot_bytes() == 0, bytes);
  const auto pages = static_cast<std::uint32_t>(bytes / slot_bytes());
  PLAIT_CHECK(whole_.try_emplace(token, Whole{.pieces_left = std::size_t{pages} * pieces_}).second, token);
  for (std::uint32_t page = 0; page < pages; ++page) {
    for (std::uint32_t piece = 0; piece < pieces_; ++piece) {
      const std::uint32_t begin = piece * page_blocks_ / pieces_;
      const std::uint32_t end = (piece + 1) * page_blocks_ / pieces_;
      move(page * slot_bytes() + begin * blocks_->slot_bytes(), (end - begin) * blocks_->slot_bytes(),
           (first + page) * page_blocks_ + begin);
      ++operations_;
    }
  }
}

void PiecewiseTier::write(std::span<const std::byte> bytes, std::uint32_t first, std::uint64_t token) {
  split(bytes.size(), first, token, [&](std::size_t offset, std::size_t length, std::uint32_t block) {
    blocks_->write(bytes.subspan(offset, length), block, token);
  });
}

void PiecewiseTier::read(std::span<std::byte> bytes, std::uint32_t first, std::uint64_t token) {
  split(bytes.size(), first, token, [&](std::size_t offset, std::size_t length, std::uint32_t block) {
    blocks_->read(bytes.subspan(offset, length), block, token);
  });
}

void PiecewiseTier::poll(std::vector<Completion>& completions) {
  blocks_->poll(done_);
  collect(completions);
}

void PiecewiseTier::wait(std::vector<Completion>& completions, std::chrono::nanoseconds timeout) {
  const std::size_t before = completions.size();
  while (!whole_.empty() && completions.size() == before) {
    blocks_->wait(done_, timeout);
    if (done_.empty()) return;  // the time is over
    collect(completions);
  }
}

void PiecewiseTier::collect(std::vector<Completion>& completions) {
  for (Completion& piece : done_) {
    const auto at = whole_.find(piece.token);
    PLAIT_CHECK(at != whole_.end(), piece.token);
    if (!piece.result && at->second.result) at->second.result = std::move(piece.result);
    if (--at->second.pieces_left > 0) continue;
    completions.push_back({.token = piece.token, .result = std::move(at->second.result)});
    whole_.erase(at);
  }
  done_.clear();
}

}  // namespace plait::evaluation
