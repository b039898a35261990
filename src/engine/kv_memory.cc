// SPDX-License-Identifier: Apache-2.0
#include "engine/kv_memory.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/check.h"

namespace plait::engine {
namespace {

std::size_t pages_for(std::size_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

/// Where a span begins when all that is left is set aside for others: in the middle of the longest stretch, so that its
/// owner and whoever begins there both have neighbours for a while.
PageNumber middle_of_spare(const std::vector<bool>& spare) {
  auto longest = spare.end();
  std::ptrdiff_t length = 0;
  for (auto first = std::find(spare.begin(), spare.end(), true); first != spare.end();) {
    const auto last = std::find(first, spare.end(), false);
    if (last - first > length) {
      longest = first;
      length = last - first;
    }
    first = std::find(last, spare.end(), true);
  }
  return static_cast<PageNumber>(longest - spare.begin() + length / 2);
}

}  // namespace

PagePool::PagePool(base::Bytes page_bytes, std::uint32_t pages, std::uint32_t run_pages)
    : page_bytes_(page_bytes),
      run_pages_(run_pages),
      memory_(page_bytes == 0 ? os::PageBuffer() : os::PageBuffer(page_bytes * pages)),
      free_(pages),
      counts_(pages),
      spare_(pages) {
  PLAIT_CHECK(run_pages >= 1, run_pages);
  if (page_bytes > 0 && memory_.data() == nullptr) throw std::bad_alloc();
}

PageNumber PagePool::take(PageNumber after) {
  PLAIT_CHECK(free_pages() > 0);
  PageNumber page = kNoPage;
  if (after != kNoPage && after + 1 < pages() && spare_[after + 1]) {
    page = after + 1;
  } else if (const auto run = free_.take_run(run_pages_)) {
    page = run->first;
    for (PageNumber other = run->first; other < run->end(); ++other) spare_[other] = true;
    spare_pages_ += run->length;
  } else {
    page = middle_of_spare(spare_);
  }
  spare_[page] = false;
  --spare_pages_;
  counts_[page] = 1;
  return page;
}

void PagePool::release(PageNumber page) {
  PLAIT_CHECK(counts_[page] > 0, page);
  if (--counts_[page] > 0) {
    if (counts_[page] == 1 && watcher_ != nullptr) watcher_->page_alone(page);
    return;
  }
  PageRun run{page, 1};
  while (run.end() < pages() && spare_[run.end()]) {  // the rest of its run has nobody to wait for
    spare_[run.end()] = false;
    --spare_pages_;
    ++run.length;
  }
  free_.give_back(run);
}

KvMemory::KvMemory(const models::KvLayout& layout, std::uint32_t pages, const PageBytes& page_bytes,
                   std::uint32_t run_pages)
    : layout_(&layout),
      pools_{
          PagePool(layout.page_bytes(0) == 0 ? 0 : std::max(page_bytes[0], layout.page_bytes(0)), pages, run_pages),
          PagePool(layout.page_bytes(1) == 0 ? 0 : std::max(page_bytes[1], layout.page_bytes(1)), pages, run_pages)} {}

bool KvMemory::has(const PageCounts& pages) const {
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (pages[group] > pools_[group].free_pages()) return false;
  }
  return true;
}

std::size_t KvMemory::first_seen(std::size_t group, std::size_t length) const {
  const std::size_t window = layout_->window(group);
  return window != 0 && length + 1 > window ? length + 1 - window : 0;
}

Span::Span(Span&& other) noexcept
    : memory_(other.memory_),
      length_(std::exchange(other.length_, 0)),
      keeps_all_(std::exchange(other.keeps_all_, false)),
      dropped_(std::exchange(other.dropped_, 0)),
      away_(std::exchange(other.away_, kNotAway)),
      away_from_(other.away_from_),
      pages_(std::move(other.pages_)),
      tables_(std::move(other.tables_)) {
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    other.pages_[group].clear();
    other.tables_[group].clear();
  }
}

Span& Span::operator=(Span&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(length_, other.length_);
  std::swap(keeps_all_, other.keeps_all_);
  std::swap(dropped_, other.dropped_);
  std::swap(away_, other.away_);
  std::swap(away_from_, other.away_from_);
  std::swap(pages_, other.pages_);
  std::swap(tables_, other.tables_);
  return *this;
}

PageCounts Span::pages_needed(std::size_t tokens) const {
  PageCounts needed = {};
  if (tokens == 0) return needed;
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (!memory_->used(group)) continue;
    for (std::size_t page = length_ / kPageTokens; page < pages_for(length_ + tokens); ++page) {
      const bool there = page < pages_[group].size();
      const bool away = there && pages_[group][page] == kNoPage;  // come_back() takes it
      const bool own = there && (away || memory_->pool(group).count(pages_[group][page]) == 1);
      needed[group] += own ? 0 : 1;
    }
  }
  return needed;
}

bool Span::reserve(std::size_t tokens) {
  if (!memory_->has(pages_needed(tokens))) return false;
  for (std::size_t group = 0; group < kLayerGroups && tokens > 0; ++group) {
    if (!memory_->used(group)) continue;
    PagePool& pool = memory_->pool(group);
    std::vector<PageNumber>& pages = pages_[group];
    for (std::size_t page = length_ / kPageTokens; page < pages_for(length_ + tokens); ++page) {
      const PageNumber before = page > 0 ? pages[page - 1] : kNoPage;
      if (page == pages.size()) {
        put(group, page, pool.take(before));
      } else if (pool.count(pages[page]) > 1) {
        const PageNumber shared = pages[page];
        put(group, page, pool.take(before));
        std::memcpy(pool.data(pages[page]), pool.data(shared), pool.page_bytes());
        pool.release(shared);
      }
    }
  }
  return true;
}

void Span::put(std::size_t group, std::size_t index, PageNumber page) {
  if (index == pages_[group].size()) {
    pages_[group].push_back(page);
    tables_[group].push_back(nullptr);
  }
  pages_[group][index] = page;
  tables_[group][index] = page == kNoPage ? nullptr : memory_->pool(group).data(page);
}

void Span::append(std::size_t tokens) {
  length_ += tokens;
  drop_behind_window();
}

void Span::drop_behind_window() {
  if (!memory_->used(1) || keeps_all_) return;
  // The last few tokens may be cut off again, so one page more stays.
  const std::size_t seen = memory_->first_seen(1, length_);
  const std::size_t end = seen < kPageTokens ? 0 : seen / kPageTokens - 1;
  for (; dropped_ < end; ++dropped_) {
    const PageNumber page = pages_[1][dropped_];
    if (page != kNoPage) memory_->pool(1).release(page);
    put(1, dropped_, kNoPage);
  }
}

bool Span::has_all() const { return std::ranges::find(pages_[1], kNoPage) == pages_[1].end(); }

bool Span::can_cut(std::size_t length) const {
  if (length > length_) return false;
  if (!memory_->used(1)) return true;
  for (std::size_t page = memory_->first_seen(1, length) / kPageTokens; page < pages_for(length); ++page) {
    if (pages_[1][page] == kNoPage && !(away() && page >= away_from_[1])) return false;
  }
  return true;
}

Span Span::fork(std::size_t length) const {
  PLAIT_CHECK(can_cut(length) && !away(), length, length_);
  Span copy(*memory_);
  copy.length_ = length;
  copy.keeps_all_ = keeps_all_;
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (!memory_->used(group)) continue;
    const auto count = static_cast<std::ptrdiff_t>(pages_for(length));
    copy.pages_[group].assign(pages_[group].begin(), pages_[group].begin() + count);
    copy.tables_[group].assign(tables_[group].begin(), tables_[group].begin() + count);
    for (const PageNumber page : copy.pages_[group]) {
      if (page != kNoPage) memory_->pool(group).retain(page);
    }
  }
  copy.dropped_ = std::min(dropped_, copy.pages_[1].size());
  copy.drop_behind_window();
  return copy;
}

void Span::trim(std::size_t length) {
  PLAIT_CHECK(can_cut(length), length, length_);
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    std::vector<PageNumber>& pages = pages_[group];
    while (pages.size() > pages_for(length)) {
      if (pages.back() != kNoPage) memory_->pool(group).release(pages.back());
      pages.pop_back();
      tables_[group].pop_back();
    }
  }
  length_ = length;
  dropped_ = std::min(dropped_, pages_[1].size());
  if (away_ >= pages_for(length)) away_ = kNotAway;
}

void Span::clear() {
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    for (const PageNumber page : pages_[group]) {
      if (page != kNoPage) memory_->pool(group).release(page);
    }
    pages_[group].clear();
    tables_[group].clear();
  }
  length_ = dropped_ = 0;
  away_ = kNotAway;
}

std::size_t Span::first_own_page() const {
  std::size_t first = 0;
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    for (std::size_t page = pages_[group].size(); page > first; --page) {
      const PageNumber number = pages_[group][page - 1];
      if (number != kNoPage && memory_->pool(group).count(number) > 1) first = page;
    }
  }
  return first;
}

void Span::leave(std::size_t first) {
  PLAIT_CHECK(!away() && first <= pages_for(length_), first, length_);
  trim(length_);  // what was reserved and not written
  if (first == pages_for(length_)) return;
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    away_from_[group] = first_away(group, first);
    for (std::size_t page = first; page < pages_[group].size(); ++page) {
      if (pages_[group][page] != kNoPage) memory_->pool(group).release(pages_[group][page]);
      put(group, page, kNoPage);
    }
  }
  away_ = first;
}

std::size_t Span::first_away(std::size_t group, std::size_t first) const {
  std::size_t page = pages_[group].size();
  while (page > first && pages_[group][page - 1] != kNoPage) --page;
  return page;
}

PageCounts Span::pages_away() const {
  PageCounts counts = {};
  for (std::size_t group = 0; group < kLayerGroups && away(); ++group) {
    if (memory_->used(group)) counts[group] = static_cast<std::uint32_t>(pages_[group].size() - away_from_[group]);
  }
  return counts;
}

bool Span::holds_pages() const {
  return std::ranges::any_of(pages_, [](const std::vector<PageNumber>& pages) {
    return std::ranges::any_of(pages, [](PageNumber page) { return page != kNoPage; });
  });
}

bool Span::come_back() {
  if (!memory_->has(pages_away())) return false;
  for (std::size_t group = 0; group < kLayerGroups && away(); ++group) {
    for (std::size_t page = away_from_[group]; page < pages_[group].size(); ++page) {
      const PageNumber before = page > 0 ? pages_[group][page - 1] : kNoPage;
      put(group, page, memory_->pool(group).take(before));
    }
  }
  away_ = kNotAway;
  return true;
}

void Span::adopt(const std::array<PageNumber, kLayerGroups>& pages) {
  PLAIT_CHECK(length_ % kPageTokens == 0, length_);
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (!memory_->used(group)) continue;
    PLAIT_CHECK(pages_[group].size() == length_ / kPageTokens, pages_[group].size(), length_);
    put(group, pages_[group].size(), pages[group]);
    if (pages[group] != kNoPage) memory_->pool(group).retain(pages[group]);
  }
  append(kPageTokens);
}

models::ViewEntry Span::entry() const {
  models::ViewEntry entry{.last = length_};
  for (std::size_t group = 0; group < kLayerGroups; ++group) entry.pages[group] = tables_[group].data();
  return entry;
}

}  // namespace plait::engine
