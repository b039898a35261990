// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "engine/eviction.h"

namespace plait::engine::detail {

/// A map from content to a small number, of a size given once: open addressing with linear probing, at most half full;
/// a removal moves later entries back instead of leaving a tombstone, so it never slows down. Allocates at
/// construction.
class ContentTable {
 public:
  /// Holds up to `entries_max` entries.
  explicit ContentTable(std::uint32_t entries_max)
      : entries_(std::bit_ceil(std::size_t{entries_max} * 2 + 2)), mask_(entries_.size() - 1), free_(entries_max) {}

  [[nodiscard]] std::optional<std::uint32_t> find(ContentId content) const {
    const Entry& entry = entries_[place(content)];
    if (!entry.used) return std::nullopt;
    return entry.value;
  }
  /// Requires: not there; fewer than `entries_max` entries.
  void add(ContentId content, std::uint32_t value) {
    Entry& entry = entries_[place(content)];
    PLAIT_CHECK(!entry.used && free_ > 0, free_);
    --free_;
    entry = {content, value, true};
  }
  /// Requires: there.
  void remove(ContentId content) {
    std::size_t gap = place(content);
    PLAIT_CHECK(entries_[gap].used);
    ++free_;
    for (std::size_t at = (gap + 1) & mask_; entries_[at].used; at = (at + 1) & mask_) {
      // An entry may move into the gap unless its first choice lies behind the gap.
      const std::size_t probed = (at - first_choice(entries_[at].content)) & mask_;
      if (probed < ((at - gap) & mask_)) continue;
      entries_[gap] = entries_[at];
      gap = at;
    }
    entries_[gap].used = false;
  }

 private:
  struct Entry {
    ContentId content;
    std::uint32_t value = 0;
    bool used = false;
  };
  // Mixed, because the owner's hash may leave the low bits poor (page numbers in a replay).
  [[nodiscard]] std::size_t first_choice(ContentId content) const {
    return static_cast<std::size_t>(base::mix64(content.value())) & mask_;
  }
  [[nodiscard]] std::size_t place(ContentId content) const {
    std::size_t at = first_choice(content);
    while (entries_[at].used && entries_[at].content != content) at = (at + 1) & mask_;
    return at;
  }

  std::vector<Entry> entries_;
  std::size_t mask_;
  std::uint32_t free_;
};

}  // namespace plait::engine::detail
