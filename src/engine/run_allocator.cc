// SPDX-License-Identifier: Apache-2.0
#include "engine/run_allocator.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>

#include "base/check.h"

namespace plait::engine {
namespace {

std::uint32_t reserve_of(const OwnedRun& run) { return run.length - run.used; }
PageRun reserve_run(const OwnedRun& run) { return {run.first + run.used, run.length - run.used}; }
std::uint32_t descending(std::uint32_t reserve) { return std::numeric_limits<std::uint32_t>::max() - reserve; }

}  // namespace

RunAllocator::RunAllocator(std::uint32_t pages, std::uint32_t group_pages) : free_(pages), group_pages_(group_pages) {
  PLAIT_CHECK(group_pages >= 1, group_pages);
}

std::span<const OwnedRun> RunAllocator::runs(Owner owner) const {
  const auto found = owners_.find(owner);
  return found == owners_.end() ? std::span<const OwnedRun>{} : std::span<const OwnedRun>(found->second);
}

std::uint32_t RunAllocator::used_pages(Owner owner) const {
  std::uint32_t used = 0;
  for (const OwnedRun& run : runs(owner)) used += run.used;
  return used;
}

Fragmentation RunAllocator::fragmentation() const {
  Fragmentation numbers;
  numbers.free_pages = free_.free_pages();
  numbers.free_runs = static_cast<std::uint32_t>(free_.runs().size());
  numbers.reserve_pages = reserve_pages_;
  numbers.reserves = static_cast<std::uint32_t>(by_reserve_.size());
  for (const auto& [first, length] : free_.runs()) {
    numbers.free_run_longest = std::max(numbers.free_run_longest, length);
    ++numbers.free_runs_by_length[static_cast<std::size_t>(std::bit_width(length)) - 1];
  }
  return numbers;
}

// The one place where a reserve changes. The sum and the order of reserves follow.
void RunAllocator::set_reserve(Owner owner, OwnedRun& run, std::uint32_t length, std::uint32_t used) {
  const std::uint32_t before = reserve_of(run);
  run.length = length;
  run.used = used;
  const std::uint32_t after = reserve_of(run);
  if (before == after) return;
  if (before > 0) by_reserve_.erase({descending(before), owner});
  if (after > 0) by_reserve_.emplace(descending(after), owner);
  reserve_pages_ += after - before;  // wraps, and back again
}

void RunAllocator::drop_last(Owner owner, Runs& runs) {
  OwnedRun& last = runs.back();
  const PageRun whole{last.first, last.length};
  set_reserve(owner, last, last.used, last.used);
  runs.pop_back();
  free_.give_back(whole);
}

PageRun RunAllocator::steal(std::uint32_t pages) {
  const Owner victim = by_reserve_.begin()->second;
  OwnedRun& run = owners_.at(victim).back();
  const std::uint32_t stolen = std::min(pages, reserve_of(run));
  set_reserve(victim, run, run.length - stolen, run.used);
  return {run.first + run.length, stolen};
}

base::Result<std::vector<PageRun>> RunAllocator::grow(Owner owner, std::uint32_t pages, std::uint32_t group_pages) {
  if (pages > available()) {
    return base::fail(base::ErrorCode::out_of_resources,
                      fmt::format("{} pages wanted, {} of {} can be had", pages, available(), this->pages()));
  }
  std::vector<PageRun> fresh;
  if (pages == 0) return fresh;
  const std::uint32_t group = group_pages == 0 ? group_pages_ : group_pages;
  Runs& runs = owners_[owner];
  while (pages > 0) {
    if (!runs.empty() && reserve_of(runs.back()) > 0) {
      OwnedRun& last = runs.back();
      const std::uint32_t count = std::min(pages, reserve_of(last));
      append_run(fresh, {last.first + last.used, count});
      set_reserve(owner, last, last.length, last.used + count);
      pages -= count;
      continue;
    }
    // From here on the owner has no reserve, so that it cannot be its own victim.
    const std::optional<PageRun> found = free_.take_run(std::max(group, pages));
    const PageRun run = found ? *found : steal(pages);
    if (runs.empty() || runs.back().first + runs.back().length != run.first) runs.push_back({run.first, 0, 0});
    set_reserve(owner, runs.back(), runs.back().length + run.length, runs.back().used);
  }
  return fresh;
}

void RunAllocator::forget_if_empty(Owner owner) {
  const auto found = owners_.find(owner);
  if (found != owners_.end() && found->second.empty()) owners_.erase(found);
}

void RunAllocator::release(Owner owner) {
  const auto found = owners_.find(owner);
  if (found == owners_.end()) return;
  while (!found->second.empty()) drop_last(owner, found->second);
  owners_.erase(found);
}

void RunAllocator::release_reserve(Owner owner) {
  const auto found = owners_.find(owner);
  if (found == owners_.end()) return;
  OwnedRun& last = found->second.back();
  const PageRun reserve = reserve_run(last);
  set_reserve(owner, last, last.used, last.used);
  free_.give_back(reserve);
}

// Gives back the beginning of `pages` as far as it lies in one run of the owner; returns how many pages that were.
std::uint32_t RunAllocator::release_within(Owner owner, Runs& runs, PageRun pages) {
  const auto run = std::find_if(runs.begin(), runs.end(), [&](const OwnedRun& candidate) {
    return pages.first >= candidate.first && pages.first - candidate.first < candidate.used;
  });
  PLAIT_CHECK(run != runs.end(), owner, pages.first, pages.length);
  const std::uint32_t used_end = run->first + run->used;
  const PageRun part{pages.first, std::min(pages.length, used_end - pages.first)};
  const OwnedRun whole = *run;
  const std::uint32_t before = part.first - whole.first;
  if (part.end() == used_end) {
    set_reserve(owner, *run, before, before);
    free_.give_back({part.first, whole.first + whole.length - part.first});
    if (before == 0) runs.erase(run);
  } else {
    // The reserve of the run stays behind its second half.
    run->first = part.end();
    run->length = whole.first + whole.length - part.end();
    run->used = used_end - part.end();
    free_.give_back(part);
    if (before > 0) runs.insert(run, {whole.first, before, before});
  }
  return part.length;
}

void RunAllocator::release_pages(Owner owner, PageRun pages) {
  if (pages.length == 0) return;
  const auto found = owners_.find(owner);
  PLAIT_CHECK(found != owners_.end(), owner, pages.first, pages.length);
  while (pages.length > 0) {
    const std::uint32_t released = release_within(owner, found->second, pages);
    pages = {pages.first + released, pages.length - released};
  }
  // The neighbours of a run that has gone may touch now.
  Runs& runs = found->second;
  for (std::size_t i = 1; i < runs.size();) {
    OwnedRun& before = runs[i - 1];
    if (before.first + before.length == runs[i].first) {
      before = {before.first, before.length + runs[i].length, before.used + runs[i].used};
      runs.erase(runs.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  forget_if_empty(owner);
}

void RunAllocator::release_front(Owner owner, std::uint32_t pages) {
  while (pages > 0) {
    const std::span<const OwnedRun> owned = runs(owner);
    PLAIT_CHECK(!owned.empty(), owner, pages);
    const PageRun part{owned.front().first, std::min(pages, owned.front().used)};
    release_pages(owner, part);
    pages -= part.length;
  }
}

void RunAllocator::trim(Owner owner, std::uint32_t pages, std::uint32_t reserve_max) {
  if (pages == 0) return;
  const auto found = owners_.find(owner);
  PLAIT_CHECK(found != owners_.end(), owner, pages);
  Runs& runs = found->second;
  while (pages > 0 && !runs.empty() && runs.back().used <= pages) {
    pages -= runs.back().used;
    drop_last(owner, runs);
  }
  if (!runs.empty() && pages > 0) {
    OwnedRun& last = runs.back();
    const std::uint32_t used = last.used - pages;
    const std::uint32_t kept = used + std::min(last.length - used, reserve_max);
    const PageRun rest{last.first + kept, last.length - kept};
    set_reserve(owner, last, kept, used);
    free_.give_back(rest);
    pages = 0;
  }
  PLAIT_CHECK(pages == 0, owner, pages);
  forget_if_empty(owner);
}

void RunAllocator::check_invariants() const {
  std::vector<int> hands(free_.pages(), 0);
  const auto hold = [&](std::uint32_t first, std::uint32_t length) {
    for (std::uint32_t page = first; page < first + length; ++page) ++hands.at(page);
  };
  std::uint32_t free_pages = 0;
  std::uint32_t end_before = std::numeric_limits<std::uint32_t>::max();
  for (const auto& [first, length] : free_.runs()) {
    PLAIT_CHECK(length > 0 && first != end_before, first, length);
    hold(first, length);
    free_pages += length;
    end_before = first + length;
  }
  PLAIT_CHECK(free_pages == free_.free_pages(), free_pages, free_.free_pages());
  std::uint32_t reserve = 0;
  for (const auto& [owner, runs] : owners_) {
    PLAIT_CHECK(!runs.empty(), owner);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      PLAIT_CHECK(runs[i].used >= 1 && runs[i].used <= runs[i].length, owner, runs[i].used, runs[i].length);
      PLAIT_CHECK(i + 1 == runs.size() || reserve_of(runs[i]) == 0, owner, i);
      PLAIT_CHECK(i == 0 || runs[i - 1].first + runs[i - 1].length != runs[i].first, owner, i);
      hold(runs[i].first, runs[i].length);
    }
    const std::uint32_t tail = reserve_of(runs.back());
    PLAIT_CHECK(by_reserve_.contains({descending(tail), owner}) == (tail > 0), owner, tail);
    reserve += tail;
  }
  PLAIT_CHECK(reserve == reserve_pages_, reserve, reserve_pages_);
  for (std::size_t page = 0; page < hands.size(); ++page) PLAIT_CHECK(hands[page] == 1, page, hands[page]);
}

}  // namespace plait::engine
