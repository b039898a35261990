// SPDX-License-Identifier: Apache-2.0
#include "engine/free_runs.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "base/check.h"

namespace plait::engine {

void append_run(std::vector<PageRun>& runs, PageRun run) {
  if (!runs.empty() && runs.back().end() == run.first) {
    runs.back().length += run.length;
  } else {
    runs.push_back(run);
  }
}

FreeRuns::FreeRuns(std::uint32_t pages) : pages_(pages) {
  PLAIT_CHECK(pages < std::numeric_limits<std::uint32_t>::max(), pages);
  if (pages > 0) insert({0, pages});
}

std::optional<PageRun> FreeRuns::take_run(std::uint32_t wanted) {
  PLAIT_CHECK(wanted >= 1, wanted);
  if (by_length_.empty()) return std::nullopt;
  const auto fit = by_length_.lower_bound({wanted, 0});
  // Of several longest runs the first, as with best fit.
  const auto chosen = fit != by_length_.end() ? fit : by_length_.lower_bound({by_length_.rbegin()->first, 0});
  const PageRun whole{chosen->second, chosen->first};
  const PageRun taken{whole.first, std::min(wanted, whole.length)};
  erase(whole);
  if (taken.length < whole.length) insert({taken.end(), whole.length - taken.length});
  return taken;
}

std::optional<std::vector<PageRun>> FreeRuns::take(std::uint32_t pages, std::uint32_t group) {
  if (pages > free_pages_) return std::nullopt;
  std::vector<PageRun> taken;
  while (pages > 0) {
    const PageRun run = *take_run(std::max(group, pages));
    pages -= std::min(pages, run.length);
    append_run(taken, run);
  }
  return taken;
}

void FreeRuns::give_back(PageRun run) {
  PLAIT_CHECK(run.length <= pages_ && run.first <= pages_ - run.length, run.first, run.length, pages_);
  if (run.length == 0) return;
  // Both neighbours are looked at before anything changes, so that a double free changes nothing.
  const auto after = by_start_.lower_bound(run.first);
  const PageRun next = after == by_start_.end() ? PageRun{pages_, 0} : PageRun{after->first, after->second};
  PLAIT_CHECK(run.end() <= next.first, run.first, run.length, next.first);
  const PageRun previous =
      after == by_start_.begin() ? PageRun{} : PageRun{std::prev(after)->first, std::prev(after)->second};
  PLAIT_CHECK(previous.end() <= run.first, run.first, run.length, previous.first, previous.length);
  if (next.length > 0 && next.first == run.end()) {
    erase(next);
    run.length += next.length;
  }
  if (previous.length > 0 && previous.end() == run.first) {
    erase(previous);
    run = {previous.first, previous.length + run.length};
  }
  insert(run);
}

void FreeRuns::insert(PageRun run) {
  by_start_.emplace(run.first, run.length);
  by_length_.emplace(run.length, run.first);
  free_pages_ += run.length;
}

void FreeRuns::erase(PageRun run) {
  by_start_.erase(run.first);
  by_length_.erase({run.length, run.first});
  free_pages_ -= run.length;
}

}  // namespace plait::engine
