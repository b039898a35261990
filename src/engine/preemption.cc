// SPDX-License-Identifier: Apache-2.0
//
// Who gives way when pages run out, and what becomes of the pages.
//
// A victim's own pages go to the host tier if that is cheaper than computing them again: twice the bytes over the
// tier's measured bandwidth against the tokens over the measured rate of prompts. Own pages are the end of its span
// that no other sequence has. What of them the cache also has leaves the cache: a victim is taken only when the cache
// has nothing left to give up, so the pages would be evicted at once, and one copy is enough. Pages before that stay
// where they are and the victim keeps its count of them, so that it comes back to the same text; if even those are
// wanted, it is forgotten and computed again.
//
// While pages are being written they are free for nobody (engine/kv_swap.h). Who needs them leaves this step out, and
// no further victim is taken as long as those on their way are enough. A step in which nobody can compute waits for the
// tier.
//
// Source: FastSwitch (arXiv 2411.18424). The rule for waiting is a reconstruction: wait for a sequence that comes back
// if that takes less than a step's time, times the share of the full batch that would be missing.
#include <algorithm>

#include "base/check.h"
#include "engine/engine_state.h"

namespace plait::engine {

using base::ErrorCode;
using base::Result;

/// Who comes first, and is preempted last: the more urgent, then the earlier arrival.
bool Engine::State::before(const Sequence& a, const Sequence& b) const {
  if (a.rank != b.rank) return a.rank < b.rank;
  return a.arrival < b.arrival;
}

/// The level at which fairness would serve it if it waited: else who is displaced could be next and displaced again.
int Engine::State::rank_of(const Sequence& sequence) const {
  if (!options.preempt_levels) return 0;
  const auto standing = fairness.standing(sequence.options.client);
  const bool changes = sequence.ticket_level != sequence.options.level;
  if (!standing || (changes && standing->waiting + standing->running <= 1)) return sequence.options.level;
  return standing->level;
}

/// Age and set_level() change ranks; within a step they stay.
void Engine::State::rank_running() {
  if (!options.preempt_levels) return;
  for (Sequence* sequence : running) sequence->rank = rank_of(*sequence);
  std::ranges::sort(running, [&](const Sequence* a, const Sequence* b) { return before(*a, *b); });
}

void Engine::State::renew_ticket(Sequence& sequence) {
  if (!sequence.ticket || sequence.running) return;  // when it waits again
  fairness.finish(*sequence.ticket);
  arrive(sequence);
}

/// Pages for all that it wants to compute now and for what of it is away.
PageCounts Engine::State::pages_to_run(const Sequence& sequence) const {
  PageCounts needed = sequence.span.pages_needed(sequence.pending());
  const PageCounts away = sequence.span.pages_away();
  for (std::size_t group = 0; group < kLayerGroups; ++group) needed[group] += away[group];
  return needed;
}

/// Whether there are these pages, those that the cache would give up included.
bool Engine::State::fits(const Sequence& sequence) {
  const PageCounts needed = pages_to_run(sequence);
  if (memory.has(needed)) return true;
  const PageCounts spare = cache.reclaimable();
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (needed[group] > memory.pool(group).free_pages() + spare[group]) return false;
  }
  return true;
}

/// Whether transfers that end by themselves bring so many pages.
bool Engine::State::enough_coming(const PageCounts& pages) const {
  if (!swap.moving()) return false;
  const PageCounts coming = swap.pages_coming();
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    if (pages[group] > memory.pool(group).free_pages() + coming[group]) return false;
  }
  return true;
}

bool Engine::State::make_pages(Sequence& sequence, std::size_t tokens) {
  while (!sequence.span.reserve(tokens)) {
    const PageCounts needed = sequence.span.pages_needed(tokens);
    if (cache.make_room(needed)) continue;
    if (enough_coming(needed)) return false;  // in a later step
    if (give_way(sequence)) continue;
    if (running.front() == &sequence || sequence.group != 0) {
      if (free_copies(sequence, needed)) continue;
      without_pages_.push_back(sequence.id);
    } else {
      preempt(sequence);
    }
    return false;
  }
  return true;
}

/// Where it computed what the cache had, its later pages there stand on copies of its earlier ones, which cannot leave
/// before them: takes its own out of the cache. False if that does not bring the pages.
bool Engine::State::free_copies(Sequence& sequence, const PageCounts& pages) {
  const std::size_t known = cache.size();
  cache.withdraw(sequence.place, sequence.span);
  return cache.size() < known && cache.make_room(pages);
}

/// Takes the pages of somebody who can get them back: of who does not run, the least recently used; else of the last
/// one of those that come after `sequence`, or of all if that is in a row group; else what sequences that are away
/// still hold.
bool Engine::State::give_way(const Sequence& sequence) {
  Sequence* victim = nullptr;
  for (const auto& [id, other] : sequences) {
    if (other->running || other->span.empty() || other->span.away() || other->group != 0) continue;
    if (other.get() == &sequence) continue;
    if (victim == nullptr || other->used_at < victim->used_at) victim = other.get();
  }
  for (auto at = running.rbegin(); victim == nullptr && at != running.rend(); ++at) {
    if (sequence.group == 0 && !before(sequence, **at)) break;  // a row group has no other way to go on
    if (!(*at)->span.empty() && (*at)->group == 0) victim = *at;
  }
  if (victim != nullptr) {
    preempt(*victim);
    return true;
  }
  for (const auto& [id, other] : sequences) {
    if (!other->span.away() || !other->span.holds_pages() || other.get() == &sequence) continue;
    clear_span(*other);
    return true;
  }
  return false;
}

/// Takes the pages of a sequence that wants nothing, the least recently used, for one that waits. False if there is
/// none, or if enough are on their way.
bool Engine::State::set_idle_aside(const Sequence& sequence) {
  if (enough_coming(pages_to_run(sequence))) return false;
  Sequence* victim = nullptr;
  for (const auto& [id, other] : sequences) {
    if (other->generation || other->span.empty() || other->span.away() || other->group != 0) continue;
    if (victim != nullptr && other->used_at >= victim->used_at) continue;
    if (own_bytes(*other) > 0) victim = other.get();
  }
  if (victim == nullptr) return false;
  preempt(*victim);
  return true;
}

/// Makes the least urgent sequence wait for the sake of one that does and is more urgent. False if there is none, or if
/// its pages would not be needed.
bool Engine::State::displace(const Sequence& sequence) {
  if (!options.preempt_levels) return false;
  const auto last = std::ranges::find(running.rbegin(), running.rend(), 0U, &Sequence::group);
  if (last == running.rend() || (*last)->rank <= rank_of(sequence)) return false;
  if (running.size() < options.rows_max && enough_coming(pages_to_run(sequence))) return false;
  preempt(**last);
  return true;
}

/// Takes its pages; if it runs, it waits again with its old arrival.
void Engine::State::preempt(Sequence& sequence) {
  if (swap.state(sequence.id.value()) == KvSwap::State::returning) {  // as soon as it is there
    swap.finish(sequence.id.value());
    take_swap_events(swap.poll());
  }
  const bool ran = sequence.running;
  stop_running(sequence);
  if (!swap_out(sequence)) clear_span(sequence);
  if (!ran) return;
  Usage& usage = sequence.generation->usage;
  if (usage.preemptions < usage.preempted_at.size()) {
    usage.preempted_at[usage.preemptions] = clock.now() - sequence.generation->asked_at;
  }
  ++usage.preemptions;
  ++counters.preemptions;
}

void Engine::State::stop_running(Sequence& sequence) {
  if (!sequence.running) return;
  sequence.running = false;
  sequence.stopped_at = counters.steps;
  std::erase(running, &sequence);
  fairness.preempt(*sequence.ticket, clock.now());
  if (sequence.ticket_level != sequence.options.level) renew_ticket(sequence);
}

bool Engine::State::worth_swapping(const Sequence& sequence) const {
  if (!swap.on() || options.swap.choice == SwapChoice::recompute) return false;
  if (options.swap.choice == SwapChoice::swap) return true;
  const std::size_t tokens = options.budget.tokens_max;
  const double prompt_seconds = budget.seconds(0, tokens);
  const auto bandwidth = swap.bytes_per_second();
  if (prompt_seconds <= 0 || !bandwidth) return true;  // to find out
  const double compute = static_cast<double>(sequence.span.length()) * prompt_seconds / static_cast<double>(tokens);
  return 2 * static_cast<double>(own_bytes(sequence)) / *bandwidth < compute;
}

/// Of pages that nobody else has, but for the cache.
base::Bytes Engine::State::own_bytes(const Sequence& sequence) const {
  base::Bytes bytes = 0;
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    const PagePool& pool = memory.pool(group);
    for (const PageNumber page : sequence.span.pages(group)) {
      if (page != kNoPage && pool.count(page) <= 2) bytes += pool.page_bytes();
    }
  }
  return bytes;
}

/// Sends its own pages to the tier. False if that is impossible or not worth it, and then it may have lost them.
bool Engine::State::swap_out(Sequence& sequence) {
  Span& span = sequence.span;
  if (span.empty() || !worth_swapping(sequence)) return false;
  span.trim(span.length());  // what was reserved for this step
  cache.withdraw(sequence.place, span);
  const std::size_t first = span.first_own_page();
  if (first == (span.length() + kPageTokens - 1) / kPageTokens) return false;
  if (!swap.leave(sequence.id.value(), span, first, -static_cast<std::int64_t>(sequence.arrival))) return false;
  sequence.away = true;
  cache.step_back(sequence.place, first);
  take_swap_events(swap.poll());
  return true;
}

/// Takes pages for a sequence that is to run and starts reading. False if it has to wait for them.
bool Engine::State::start_return(Sequence& sequence) {
  if (!sequence.span.away()) return true;  // it is on the way already
  const PageCounts needed = sequence.span.pages_away();
  while (!cache.make_room(needed)) {
    if (enough_coming(needed) || !running.empty()) return false;
    if (give_way(sequence)) continue;
    clear_span(sequence);
    return true;
  }
  PLAIT_CHECK(swap.come_back(sequence.id.value(), sequence.span), sequence.id.value());
  return true;
}

Result<void> Engine::State::bring_here(Sequence& sequence) {
  if (!sequence.away) return {};
  const PageCounts needed = sequence.span.pages_away();
  while (sequence.span.away() && !swap.come_back(sequence.id.value(), sequence.span)) {
    if (cache.make_room(needed)) continue;
    if (!enough_coming(needed)) {
      return base::fail(ErrorCode::out_of_resources, "it is swapped out and others hold the memory of keys and values");
    }
    take_swap_events(swap.wait());
  }
  swap.finish(sequence.id.value());
  take_swap_events(swap.poll());
  return {};
}

void Engine::State::trim_span(Sequence& sequence, std::size_t length) {
  const std::uint64_t id = sequence.id.value();
  if (swap.state(id) == KvSwap::State::returning) {
    swap.finish(id);
    take_swap_events(swap.poll());
  }
  Span& span = sequence.span;
  if (length >= span.length()) return;
  if (!span.can_cut(length)) {  // what a next token would see is gone with the window
    clear_span(sequence);
    return;
  }
  span.trim(length);
  sequence.away = span.away();
  swap.trim(id, length, sequence.away);
  cache.step_back(sequence.place, length / kPageTokens);
}

void Engine::State::clear_span(Sequence& sequence) {
  swap.drop(sequence.id.value(), sequence.span);
  sequence.away = false;
  sequence.place = cache.root(sequence.options.salt);
}

/// Notes what the tier has done.
void Engine::State::take_swap_events(const std::vector<KvSwap::Event>& events) {
  for (const KvSwap::Event& event : events) {
    Sequence* sequence = find(SequenceId(event.id));
    if (sequence == nullptr || !sequence->away) continue;
    if (event.lost) {
      clear_span(*sequence);
      stop_running(*sequence);  // it has a prompt again
    } else {
      sequence->away = sequence->span.away();
    }
  }
}

/// Waits for running sequences that come back, if that costs less than going on without them.
void Engine::State::wait_for_returning() {
  std::vector<SequenceId> returning;
  base::Bytes bytes = 0;
  for (const Sequence* sequence : running) {
    if (!sequence->away) continue;
    returning.push_back(sequence->id);
    bytes += swap.bytes_left(sequence->id.value());
  }
  if (returning.empty() || options.swap.wait == SwapWait::never) return;
  if (options.swap.wait == SwapWait::adaptive) {
    const auto bandwidth = swap.bytes_per_second();
    const std::size_t rows_now = running.size() - returning.size();
    const double step_seconds = budget.seconds(rows_now, 0);
    if (rows_now == 0 || !bandwidth || step_seconds <= 0) return;
    const double missing = static_cast<double>(returning.size()) / static_cast<double>(running.size());
    if (static_cast<double>(bytes) / *bandwidth >= step_seconds * missing) return;
  }
  for (const SequenceId id : returning) swap.finish(id.value());
  take_swap_events(swap.poll());
}

}  // namespace plait::engine
