// SPDX-License-Identifier: Apache-2.0
#include "engine/kv_swap.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/check.h"

namespace plait::engine {
namespace {

constexpr std::chrono::seconds kNap{1};               // one sleep at most; a step begins anew after it
constexpr std::chrono::milliseconds kTurn{1};         // while both tiers are busy
constexpr double kMemoryBytes = 256.0 * 1024 * 1024;  // so much of the past counts as the present does

}  // namespace

KvSwap::KvSwap(KvMemory& memory, const KvSwapOptions& options, const base::Clock& clock)
    : memory_(memory), clock_(clock), wait_out_(options.wait_out), tiers_(options.tiers) {
  SwapOptions each = options.manager;
  each.page_tokens = kPageTokens;
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (!memory.used(group) || tiers_[group] == nullptr) continue;
    PagePool& pool = memory.pool(group);
    const PageMemory pages(pool.memory(), pool.page_bytes());
    managers_[group] = std::make_unique<SwapManager>(pages, *tiers_[group], each);
    on_ = true;
  }
  for (std::size_t group = 0; group < kLayerGroups && on_; ++group) {
    PLAIT_CHECK(!memory.used(group) || managers_[group] != nullptr, group);
  }
}

KvSwap::~KvSwap() {
  managers_ = {};  // waits
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    for (const PageNumber page : held_[group]) memory_.pool(group).release(page);
  }
}

bool KvSwap::leave(Id id, Span& span, std::size_t first, std::int64_t priority) {
  span.trim(span.length());  // what was reserved and not written
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (managers_[group] == nullptr) continue;
    SwapManager& manager = *managers_[group];
    const std::size_t from = span.first_away(group, first);
    if (const auto copied = manager.copy_first_page(id); copied && *copied > from) manager.forget(id);
    const auto begun = manager.swap_out(id, {.pages = std::span(span.pages(group)).subspan(from),
                                             .first_page = static_cast<std::uint32_t>(from),
                                             .tokens = span.length(),
                                             .priority = priority});
    if (begun) continue;
    drop(id, span);
    return false;
  }
  hold_busy(span);
  span.leave(first);
  measure();
  if (wait_out_) finish(id);
  return true;
}

bool KvSwap::come_back(Id id, Span& span) {
  std::array<std::size_t, kLayerGroups> from = {};
  for (std::size_t group = 0; group < kLayerGroups; ++group) from[group] = span.first_away(group);
  if (!span.come_back()) return false;
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (managers_[group] == nullptr) continue;
    managers_[group]->swap_in(id, std::span(span.pages(group)).subspan(from[group]));
  }
  measure();
  return true;
}

void KvSwap::drop(Id id, Span& span) {
  hold_busy(span);
  for (const auto& manager : managers_) {
    if (manager != nullptr) manager->forget(id);
  }
  span.clear();
}

void KvSwap::trim(Id id, std::uint64_t tokens, bool away) {
  for (const auto& manager : managers_) {
    if (manager == nullptr) continue;
    if (away || manager->state(id) == State::resident) {
      manager->trim(id, tokens);
    } else {
      manager->forget(id);  // what is left was never away
    }
  }
}

void KvSwap::finish(Id id) {
  for (const auto& manager : managers_) {
    if (manager != nullptr) manager->finish(id);
  }
  std::vector<Event> events = collect();
  events_.insert(events_.end(), events.begin(), events.end());
}

std::vector<KvSwap::Event> KvSwap::poll() {
  std::vector<Event> events = std::exchange(events_, {});
  const std::vector<Event> more = collect();
  events.insert(events.end(), more.begin(), more.end());
  return events;
}

std::vector<KvSwap::Event> KvSwap::wait() {
  std::size_t waiting = 0;
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    waiting += managers_[group] != nullptr && tiers_[group]->in_flight() > 0 ? 1 : 0;
  }
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (managers_[group] == nullptr || tiers_[group]->in_flight() == 0) continue;
    managers_[group]->wait_for_any(waiting == 1 ? std::chrono::nanoseconds(kNap) : std::chrono::nanoseconds(kTurn));
  }
  return poll();
}

/// A group that fails has no copy any more and looks resident, so losses come first, and rule out a return.
std::vector<KvSwap::Event> KvSwap::collect() {
  std::vector<Event> events;
  std::vector<Id> returned;
  const auto is_told = [&](Id id) { return std::ranges::find(events, id, &Event::id) != events.end(); };
  for (const auto& manager : managers_) {
    if (manager == nullptr) continue;
    for (const SwapManager::Event& event : manager->poll()) {
      if (event.kind == SwapManager::Event::Kind::returned) returned.push_back(event.sequence);
      if (event.kind != SwapManager::Event::Kind::recompute_needed || is_told(event.sequence)) continue;
      events.push_back({.lost = true, .id = event.sequence});
    }
  }
  for (const Event& event : events) {
    for (const auto& manager : managers_) {
      if (manager != nullptr) manager->forget(event.id);
    }
  }
  for (const Id id : returned) {
    if (state(id) == State::resident && !is_told(id)) events.push_back({.lost = false, .id = id});
  }
  measure();
  release_idle();
  return events;
}

KvSwap::State KvSwap::state(Id id) const {
  static_assert(State::resident < State::leaving && State::leaving < State::out && State::out < State::returning);
  State latest = State::resident;
  for (const auto& manager : managers_) {
    if (manager != nullptr) latest = std::max(latest, manager->state(id));
  }
  return latest;
}

bool KvSwap::moving() const {
  return std::ranges::any_of(tiers_, [](const HostTier* tier) { return tier != nullptr && tier->in_flight() > 0; });
}

/// Pages of the span that are read or written get a second holder until that is over.
void KvSwap::hold_busy(const Span& span) {
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (managers_[group] == nullptr) continue;
    for (const PageNumber page : span.pages(group)) {
      if (page == kNoPage || !busy(group, page)) continue;
      memory_.pool(group).retain(page);
      held_[group].push_back(page);
    }
  }
}

void KvSwap::release_idle() {
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    std::erase_if(held_[group], [&](PageNumber page) {
      if (busy(group, page)) return false;
      memory_.pool(group).release(page);
      return true;
    });
  }
}

PageCounts KvSwap::pages_coming() const {
  PageCounts counts = {};
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    counts[group] = static_cast<std::uint32_t>(held_[group].size());
  }
  return counts;
}

void KvSwap::count_pages(std::size_t group, std::vector<std::uint32_t>& counts) const {
  for (const PageNumber page : held_[group]) ++counts[page];
}

base::Bytes KvSwap::bytes_left(Id id) const {
  base::Bytes bytes = 0;
  for (const auto& manager : managers_) bytes += manager == nullptr ? 0 : manager->bytes_left(id);
  return bytes;
}

/// Called once in a step or more often. A transfer that ended somewhere in between tells only how slow the tier is at
/// most: it counts if that is faster than what was thought.
void KvSwap::measure() {
  base::Bytes done = 0;
  for (const auto& manager : managers_) done += manager == nullptr ? 0 : manager->counters().bytes_done;
  const double now = clock_.now();
  const bool moves = moving();
  if (was_moving_) {
    const auto bytes = static_cast<double>(done - bytes_done_);
    const double seconds = now - measured_at_;
    if (moves || seconds_ == 0 || bytes * seconds_ > bytes_ * seconds) {
      bytes_ += bytes;
      seconds_ += seconds;
    }
    if (bytes_ > kMemoryBytes) {
      bytes_ /= 2;
      seconds_ /= 2;
    }
  }
  was_moving_ = moves;
  measured_at_ = now;
  bytes_done_ = done;
}

std::optional<double> KvSwap::bytes_per_second() const {
  if (bytes_ <= 0 || seconds_ <= 0) return std::nullopt;
  return bytes_ / seconds_;
}

SwapCounters KvSwap::counters() const {
  SwapCounters sum;
  for (const auto& manager : managers_) {
    if (manager == nullptr) continue;
    const SwapCounters& one = manager->counters();
    sum.swap_outs += one.swap_outs;
    sum.swap_ins += one.swap_ins;
    sum.operations_out += one.operations_out;
    sum.operations_in += one.operations_in;
    sum.bytes_out += one.bytes_out;
    sum.bytes_in += one.bytes_in;
    sum.bytes_done += one.bytes_done;
    sum.bytes_reused += one.bytes_reused;
    sum.pages_contaminated += one.pages_contaminated;
    sum.waits += one.waits;
    sum.recomputes += one.recomputes;
  }
  return sum;
}

}  // namespace plait::engine
