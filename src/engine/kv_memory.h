// SPDX-License-Identifier: Apache-2.0
//
// The memory of keys and values: pools of pages with reference counts, and spans, which are lists of pages.
//
//   KvMemory memory(model.kv_layout(), 1000);
//   Span span(memory);
//   if (!span.reserve(tokens)) ...            // no pages left: somebody has to give some back
//   forward({.tokens = ..., .view = {span.entry()}});
//   span.append(tokens);
//   Span fork = span.fork(span.length());     // shares all pages; who writes into a shared one gets a copy first
//
// Not thread-safe: one engine owns it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/units.h"
#include "engine/free_runs.h"
#include "models/kv_layout.h"
#include "os/page_buffer.h"

namespace plait::engine {

using models::kLayerGroups;
using models::kPageTokens;

/// A page of a pool; kNoPage where a window has left it behind.
using PageNumber = std::uint32_t;
inline constexpr PageNumber kNoPage = 0xFFFFFFFF;
/// Pages that lie together where nothing else is said. A page of 16 tokens is large enough to be copied alone; this is
/// for swap files and the translation of addresses.
inline constexpr std::uint32_t kRunPages = 16;

/// Is told when a page gets a second user and when its last but one leaves.
class PageWatcher {
 public:
  virtual ~PageWatcher() = default;
  virtual void page_shared(PageNumber page) = 0;  ///< Its count is 2 now and was 1.
  virtual void page_alone(PageNumber page) = 0;   ///< Its count is 1 now and was 2.
};

/// Pages of one size. Invariant: a page is free exactly if its count is 0.
class PagePool {
 public:
  /// Address space for all pages; memory comes as they are first written. `page_bytes` 0: a pool without memory, whose
  /// pages count nothing. `run_pages`: how many are set aside together when a span begins somewhere new, so that its
  /// next pages are neighbours; whoever finds no others takes them. Requires: run_pages ≥ 1.
  PagePool(base::Bytes page_bytes, std::uint32_t pages, std::uint32_t run_pages = kRunPages);

  [[nodiscard]] std::uint32_t pages() const { return static_cast<std::uint32_t>(counts_.size()); }
  [[nodiscard]] std::uint32_t free_pages() const { return free_.free_pages() + spare_pages_; }
  [[nodiscard]] base::Bytes page_bytes() const { return page_bytes_; }
  /// [page, byte]: all of it, also what is free.
  [[nodiscard]] std::span<std::byte> memory() const { return {memory_.data(), pages() * page_bytes_}; }
  [[nodiscard]] std::byte* data(PageNumber page) const { return memory_.data() + page * page_bytes_; }
  [[nodiscard]] std::uint32_t count(PageNumber page) const { return counts_[page]; }

  /// A page with count 1, behind `after` if that one is free. Requires: free_pages() > 0.
  [[nodiscard]] PageNumber take(PageNumber after);
  void retain(PageNumber page) {
    if (++counts_[page] == 2 && watcher_ != nullptr) watcher_->page_shared(page);
  }
  /// Counts down; a page that reaches 0 is free.
  void release(PageNumber page);
  /// From now on, or no longer if null.
  void watch(PageWatcher* watcher) { watcher_ = watcher; }

 private:
  base::Bytes page_bytes_;
  std::uint32_t run_pages_;
  os::PageBuffer memory_;
  FreeRuns free_;
  std::vector<std::uint32_t> counts_;  ///< [page]
  std::vector<bool> spare_;            ///< [page] taken from free_ as the rest of a run, and nobody's yet
  std::uint32_t spare_pages_ = 0;
  PageWatcher* watcher_ = nullptr;
};

/// How many pages of each layer group.
using PageCounts = std::array<std::uint32_t, kLayerGroups>;

class KvMemory {
 public:
  /// Bytes from one page to the next in each layer group; less than what the layout says counts as what it says.
  using PageBytes = std::array<base::Bytes, kLayerGroups>;

  /// `pages` of each layer group that has layers, `run_pages` as in PagePool. Throws std::bad_alloc if the system
  /// refuses the address space.
  KvMemory(const models::KvLayout& layout, std::uint32_t pages, const PageBytes& page_bytes = {},
           std::uint32_t run_pages = kRunPages);

  [[nodiscard]] PagePool& pool(std::size_t group) { return pools_[group]; }
  [[nodiscard]] const PagePool& pool(std::size_t group) const { return pools_[group]; }
  [[nodiscard]] bool used(std::size_t group) const { return pools_[group].page_bytes() > 0; }
  [[nodiscard]] const models::KvLayout& layout() const { return *layout_; }
  /// Whether so many pages are free.
  [[nodiscard]] bool has(const PageCounts& pages) const;
  /// The first token that position `length` sees in a group.
  [[nodiscard]] std::size_t first_seen(std::size_t group, std::size_t length) const;

 private:
  const models::KvLayout* layout_;
  std::array<PagePool, kLayerGroups> pools_;
};

/// Tokens computed one after the other, counted from the span's origin. Movable; gives its pages back. Must not outlive
/// its memory.
class Span {
 public:
  explicit Span(KvMemory& memory) : memory_(&memory) {}
  Span(Span&& other) noexcept;
  Span& operator=(Span&& other) noexcept;
  ~Span() { clear(); }

  [[nodiscard]] std::size_t length() const { return length_; }
  [[nodiscard]] bool empty() const { return length_ == 0; }

  /// Pages that reserve(tokens) would take, copies of shared ones included.
  [[nodiscard]] PageCounts pages_needed(std::size_t tokens) const;
  /// Makes room for `tokens` more tokens on pages that are nobody else's. False, and nothing has changed, if there are
  /// not enough pages.
  [[nodiscard]] bool reserve(std::size_t tokens);
  /// Counts tokens that were written, and gives pages behind the window back. Requires: reserved.
  void append(std::size_t tokens);
  /// From now on pages behind the window stay, in its forks too: somebody sees them from another position.
  void keep_all() { keeps_all_ = true; }
  [[nodiscard]] bool keeps_all() const { return keeps_all_; }
  /// Whether no page was left behind by the window. Requires: not away.
  [[nodiscard]] bool has_all() const;
  /// Shares the first `length` tokens. Requires: can_cut(length).
  [[nodiscard]] Span fork(std::size_t length) const;
  /// Drops the tokens from `length` on; one that is away is here again if what is left is. Requires: can_cut(length).
  void trim(std::size_t length);
  /// Whether the first `length` tokens are all that a next token would see: pages behind a window may be gone. The last
  /// 16 tokens can always be cut off. Pages that are away count as there.
  [[nodiscard]] bool can_cut(std::size_t length) const;
  /// Drops everything.
  void clear();

  /// Appends 16 computed tokens on pages of someone else, which are then shared. Pages of the group with a window may
  /// be missing (kNoPage). Requires: length() is a multiple of 16 and nothing is reserved beyond it.
  void adopt(const std::array<PageNumber, kLayerGroups>& pages);

  /// The first page that is nobody else's, nor any behind it, in no group; behind the last page if there is none.
  [[nodiscard]] std::size_t first_own_page() const;
  /// Gives back the pages from `first` on, whose tokens are kept somewhere else: from now on they are away, and only
  /// length(), trim(), clear(), pages() and what is said of away spans may be used.
  /// Requires: not away; first ≤ the number of pages.
  void leave(std::size_t first);
  /// Takes pages for those that are away; what they hold is up to the caller. False, and nothing has changed, if there
  /// are not enough.
  [[nodiscard]] bool come_back();
  [[nodiscard]] bool away() const { return away_ != kNotAway; }
  /// Where pages are away in a group, or would be after leave(first): from this one to the last. What a window does not
  /// see any more is never away, but gone.
  [[nodiscard]] std::size_t first_away(std::size_t group) const { return away_from_[group]; }
  [[nodiscard]] std::size_t first_away(std::size_t group, std::size_t first) const;
  /// What come_back() takes; none unless away().
  [[nodiscard]] PageCounts pages_away() const;
  /// Whether it holds a page.
  [[nodiscard]] bool holds_pages() const;

  /// Tokens 0 … length() - 1 as an entry of a view, at base 0. Valid until the next change.
  [[nodiscard]] models::ViewEntry entry() const;
  /// The page numbers of each page of 16 tokens; kNoPage where it is missing.
  [[nodiscard]] const std::vector<PageNumber>& pages(std::size_t group) const { return pages_[group]; }

 private:
  void put(std::size_t group, std::size_t index, PageNumber page);
  void drop_behind_window();

  KvMemory* memory_;
  std::size_t length_ = 0;
  static constexpr std::size_t kNotAway = std::numeric_limits<std::size_t>::max();
  bool keeps_all_ = false;
  std::size_t dropped_ = 0;                               ///< Pages at the front of group 1 that were given back.
  std::size_t away_ = kNotAway;                           ///< The first page that is away.
  std::array<std::size_t, kLayerGroups> away_from_ = {};  ///< The same for each group.
  std::array<std::vector<PageNumber>, kLayerGroups> pages_;
  std::array<std::vector<std::byte*>, kLayerGroups> tables_;  ///< The same as addresses.
};

}  // namespace plait::engine
