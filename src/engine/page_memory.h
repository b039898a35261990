// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "base/units.h"

namespace plait::engine {

/// Where the pages of a pool lie: pages with adjacent numbers are adjacent in memory, page-major, so that a run of them
/// is one piece. What a page holds is nobody's business here. A view: it owns nothing.
class PageMemory {
 public:
  /// `memory`: [page, byte]. Requires: memory.size() is a multiple of page_bytes, page_bytes > 0.
  PageMemory(std::span<std::byte> memory, base::Bytes page_bytes) : memory_(memory), page_bytes_(page_bytes) {
    PLAIT_CHECK(page_bytes > 0 && memory.size() % page_bytes == 0, memory.size(), page_bytes);
  }

  [[nodiscard]] base::Bytes page_bytes() const { return page_bytes_; }
  [[nodiscard]] std::uint32_t pages() const { return static_cast<std::uint32_t>(memory_.size() / page_bytes_); }
  /// The bytes of `count` pages from `first` on. Requires: they exist.
  [[nodiscard]] std::span<std::byte> bytes(std::uint32_t first, std::uint32_t count = 1) const {
    PLAIT_CHECK(count <= pages() && first <= pages() - count, first, count, pages());
    return memory_.subspan(first * page_bytes_, count * page_bytes_);
  }

 private:
  std::span<std::byte> memory_;
  base::Bytes page_bytes_;
};

}  // namespace plait::engine
