// SPDX-License-Identifier: Apache-2.0
//
// A copy in the tier is a slot for each page of the sequence and one number, the clean length. A page must be written
// when it has no slot, or when it holds tokens after the clean length. The partly filled last page needs no rule of
// its own: appending moves its end past the clean length.
//
// Slots that a copy gives up while an operation is in flight on them (a trim, a forgotten sequence) stay with the
// copy's owner in the tier's allocator, as doomed, and go back when the operation ends.
#include "engine/swap_manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace plait::engine {
namespace {

constexpr std::uint32_t kNoSlot = std::numeric_limits<std::uint32_t>::max();
constexpr std::chrono::seconds kNap{1};  // waits are in loops; this only bounds one sleep

}  // namespace

SwapManager::SwapManager(PageMemory memory, HostTier& tier, const SwapOptions& options)
    : memory_(memory), tier_(tier), options_(options), page_uses_(memory.pages(), 0), slot_busy_(tier.slots(), false) {
  PLAIT_CHECK(memory.page_bytes() == tier.slot_bytes(), memory.page_bytes(), tier.slot_bytes());
  PLAIT_CHECK(options.page_tokens >= 1, options.page_tokens);
}

SwapManager::~SwapManager() {
  while (!copies_.empty()) erase(copies_.begin());
  while (!operations_.empty()) {
    tier_.wait(completions_, kNap);
    take_completions();
  }
}

std::uint64_t SwapManager::pages_of(std::uint64_t tokens) const {
  return (tokens + options_.page_tokens - 1) / options_.page_tokens;
}

SwapManager::State SwapManager::state(Sequence sequence) const {
  const auto at = copies_.find(sequence);
  if (at == copies_.end()) return State::resident;
  return at->second.destination ? State::returning : at->second.state;
}

std::uint32_t SwapManager::tier_pages(Sequence sequence) const {
  const auto at = copies_.find(sequence);
  PLAIT_CHECK(at != copies_.end() && at->second.state != State::resident, sequence);
  return static_cast<std::uint32_t>(at->second.slots.size());
}

std::optional<std::uint32_t> SwapManager::copy_first_page(Sequence sequence) const {
  const auto at = copies_.find(sequence);
  return at == copies_.end() ? std::nullopt : std::optional(at->second.first_page);
}

base::Bytes SwapManager::bytes_left(Sequence sequence) const {
  const auto at = copies_.find(sequence);
  return at == copies_.end() ? 0 : at->second.pages_left * memory_.page_bytes();
}

// ---- Out

base::Result<void> SwapManager::swap_out(Sequence sequence, const Leaver& leaver) {
  const bool known = copies_.contains(sequence);
  const auto at = copies_.try_emplace(sequence).first;
  Copy& copy = at->second;
  if (!known) {
    copy.owner = next_owner_++;
    copy.first_page = leaver.first_page;
  }
  PLAIT_CHECK(copy.state == State::resident, sequence);
  PLAIT_CHECK(leaver.first_page + leaver.pages.size() == pages_of(leaver.tokens), leaver.first_page,
              leaver.pages.size(), leaver.tokens);
  PLAIT_CHECK(copy.clean_tokens <= leaver.tokens && copy.first_page <= leaver.first_page, copy.clean_tokens,
              leaver.tokens, copy.first_page);
  // What the window has left behind.
  drop_slots(copy, 0, std::min<std::size_t>(leaver.first_page - copy.first_page, copy.slots.size()));
  copy.first_page = leaver.first_page;

  PLAIT_CHECK(copy.slots.size() <= leaver.pages.size(), copy.slots.size(), leaver.pages.size());
  copy.slots.resize(leaver.pages.size(), kNoSlot);
  const auto missing = static_cast<std::uint32_t>(std::count(copy.slots.begin(), copy.slots.end(), kNoSlot));
  if (auto room = make_room(missing, leaver.priority, sequence); !room) {
    if (!known) copies_.erase(at);
    return room;
  }
  const std::vector<Move> moves = assign_slots(copy, leaver, missing);
  copy.state = State::leaving;
  copy.clean_tokens = leaver.tokens;  // holds if all writes succeed; else there will be no copy
  copy.tokens = leaver.tokens;
  copy.priority = leaver.priority;
  copy.pages_left = static_cast<std::uint32_t>(moves.size());
  ++counters_.swap_outs;
  counters_.bytes_reused += (leaver.pages.size() - moves.size()) * memory_.page_bytes();
  start(sequence, copy, moves, true);
  if (copy.operations == 0) settle(at);
  return {};
}

// Copies of resident sequences give way, those of the smallest priority first, each from its end.
base::Result<void> SwapManager::make_room(std::uint32_t slots, std::int64_t priority, Sequence sequence) {
  RunAllocator& space = tier_.space();
  if (slots <= space.available()) return {};
  std::vector<std::pair<std::int64_t, Sequence>> victims;
  std::uint64_t obtainable = space.available();
  for (const auto& [other, copy] : copies_) {
    if (other == sequence || copy.state != State::resident || copy.priority >= priority) continue;
    victims.emplace_back(copy.priority, other);
    obtainable +=
        copy.slots.size() - static_cast<std::size_t>(std::count(copy.slots.begin(), copy.slots.end(), kNoSlot));
  }
  if (slots > obtainable) {
    return base::fail(base::ErrorCode::out_of_resources,
                      fmt::format("no room to swap a sequence out: {} pages wanted, {} of {} can be had", slots,
                                  obtainable, tier_.slots()));
  }
  std::sort(victims.begin(), victims.end());
  for (const auto& [ignored, victim] : victims) {
    if (slots <= space.available()) break;
    contaminate(copies_.at(victim), slots - space.available());
  }
  return {};
}

void SwapManager::contaminate(Copy& copy, std::uint32_t slots) {
  for (std::size_t i = copy.slots.size(); i > 0 && slots > 0; --i) {
    std::uint32_t& slot = copy.slots[i - 1];
    if (slot == kNoSlot) continue;
    tier_.space().release_pages(copy.owner, {slot, 1});
    slot = kNoSlot;
    --slots;
    ++counters_.pages_contaminated;
  }
}

std::uint32_t SwapManager::reserve_after_turn(const Copy& copy, const Leaver& leaver) {
  ++turns_;
  turn_pages_ += pages_of(leaver.tokens) - std::min(pages_of(leaver.tokens), pages_of(copy.tokens));
  if (!options_.reuse) return 0;  // the copy dies when the sequence returns: there is nothing to grow
  return options_.reserve_pages.value_or(static_cast<std::uint32_t>((turn_pages_ + turns_ - 1) / turns_));
}

// Gives a slot to every page without one; what must be written, in order of pages.
std::vector<SwapManager::Move> SwapManager::assign_slots(Copy& copy, const Leaver& leaver, std::uint32_t missing) {
  const std::uint32_t reserve = reserve_after_turn(copy, leaver);
  std::vector<PageRun> fresh;
  if (missing > 0) {
    auto grown = tier_.space().grow(copy.owner, missing, missing + reserve);
    PLAIT_CHECK(grown.has_value(), missing, tier_.space().available());  // make_room() said so
    fresh = *std::move(grown);
  }
  std::vector<Move> moves;
  std::size_t run = 0;
  for (std::size_t i = 0; i < copy.slots.size(); ++i) {
    std::uint32_t& slot = copy.slots[i];
    const std::uint64_t page_end = (copy.first_page + i + 1) * options_.page_tokens;
    if (slot != kNoSlot && std::min(page_end, leaver.tokens) <= copy.clean_tokens) continue;
    if (slot == kNoSlot) {
      slot = fresh[run].first++;
      if (--fresh[run].length == 0) ++run;
    }
    moves.push_back({leaver.pages[i], slot});
  }
  return moves;
}

// ---- In

void SwapManager::swap_in(Sequence sequence, std::span<const std::uint32_t> pages) {
  const auto at = copies_.find(sequence);
  PLAIT_CHECK(at != copies_.end() && !at->second.destination, sequence);
  Copy& copy = at->second;
  PLAIT_CHECK(copy.state == State::leaving || copy.state == State::out, sequence);
  PLAIT_CHECK(pages.size() == copy.slots.size(), pages.size(), copy.slots.size());
  for (const std::uint32_t page : pages) PLAIT_CHECK(!busy(page), page, sequence);
  copy.pages_left += static_cast<std::uint32_t>(pages.size());
  ++counters_.swap_ins;
  if (copy.state == State::leaving) {
    copy.destination.emplace(pages.begin(), pages.end());
  } else {
    read_back(at, pages);
  }
}

void SwapManager::read_back(Copies::iterator at, std::span<const std::uint32_t> pages) {
  Copy& copy = at->second;
  copy.state = State::returning;
  std::vector<Move> moves(pages.size());
  for (std::size_t i = 0; i < pages.size(); ++i) moves[i] = {pages[i], copy.slots[i]};
  start(at->first, copy, moves, false);
  if (copy.operations == 0) settle(at);
}

// ---- Edits

void SwapManager::trim(Sequence sequence, std::uint64_t tokens) {
  const auto at = copies_.find(sequence);
  if (at == copies_.end()) return;
  Copy& copy = at->second;
  copy.clean_tokens = std::min(copy.clean_tokens, tokens);
  copy.tokens = std::min(copy.tokens, tokens);
  const std::uint64_t pages = pages_of(tokens);
  const auto kept = static_cast<std::size_t>(pages - std::min<std::uint64_t>(pages, copy.first_page));
  if (kept >= copy.slots.size()) return;
  if (copy.destination) {
    copy.pages_left -= static_cast<std::uint32_t>(copy.destination->size() - kept);
    copy.destination->resize(kept);
  }
  drop_slots(copy, kept, copy.slots.size());
}

void SwapManager::invalidate_from(Sequence sequence, std::uint64_t token) {
  const auto at = copies_.find(sequence);
  if (at == copies_.end()) return;
  PLAIT_CHECK(at->second.state == State::resident, sequence);
  at->second.clean_tokens = std::min(at->second.clean_tokens, token);
}

void SwapManager::forget(Sequence sequence) {
  std::erase_if(events_, [&](const Event& event) { return event.sequence == sequence; });
  const auto at = copies_.find(sequence);
  if (at != copies_.end()) erase(at);
}

void SwapManager::drop_slots(Copy& copy, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    const std::uint32_t slot = copy.slots[i];
    if (slot == kNoSlot) continue;
    if (slot_busy_[slot]) {
      doomed_.emplace(slot, copy.owner);
    } else {
      tier_.space().release_pages(copy.owner, {slot, 1});
    }
  }
  const auto begin = copy.slots.begin();
  copy.slots.erase(begin + static_cast<std::ptrdiff_t>(from), begin + static_cast<std::ptrdiff_t>(to));
}

void SwapManager::erase(Copies::iterator at) {
  drop_slots(at->second, 0, at->second.slots.size());
  tier_.space().release_reserve(at->second.owner);
  copies_.erase(at);
}

// ---- Operations

// One operation for each stretch of moves that is adjacent on both sides.
void SwapManager::start(Sequence sequence, Copy& copy, std::span<const Move> moves, bool write) {
  PageRun pages;
  PageRun slots;
  for (const Move& move : moves) {
    const bool joins = options_.join_pages && pages.length > 0 && move.page == pages.end() && move.slot == slots.end();
    if (joins) {
      ++pages.length;
      ++slots.length;
      continue;
    }
    if (pages.length > 0) start_one(sequence, copy, pages, slots, write);
    pages = {move.page, 1};
    slots = {move.slot, 1};
  }
  if (pages.length > 0) start_one(sequence, copy, pages, slots, write);
}

void SwapManager::start_one(Sequence sequence, Copy& copy, PageRun pages, PageRun slots, bool write) {
  const std::uint64_t token = next_token_++;
  operations_.emplace(token, Operation{sequence, copy.owner, pages, slots});
  for (std::uint32_t page = pages.first; page < pages.end(); ++page) ++page_uses_[page];
  for (std::uint32_t slot = slots.first; slot < slots.end(); ++slot) slot_busy_[slot] = true;
  ++copy.operations;
  const std::span<std::byte> bytes = memory_.bytes(pages.first, pages.length);
  (write ? counters_.operations_out : counters_.operations_in) += 1;
  (write ? counters_.bytes_out : counters_.bytes_in) += bytes.size();
  if (write) {
    tier_.write(bytes, slots.first, token);
  } else {
    tier_.read(bytes, slots.first, token);
  }
}

void SwapManager::take_completions() {
  // complete() may start reads, but it never polls, so the list does not grow meanwhile.
  for (const HostTier::Completion& completion : completions_) complete(completion);
  completions_.clear();
}

void SwapManager::complete(const HostTier::Completion& completion) {
  const auto found = operations_.find(completion.token);
  PLAIT_CHECK(found != operations_.end(), completion.token);
  const Operation operation = found->second;
  operations_.erase(found);
  counters_.bytes_done += operation.pages.length * memory_.page_bytes();
  for (std::uint32_t page = operation.pages.first; page < operation.pages.end(); ++page) --page_uses_[page];
  for (std::uint32_t slot = operation.slots.first; slot < operation.slots.end(); ++slot) {
    slot_busy_[slot] = false;
    if (const auto doomed = doomed_.find(slot); doomed != doomed_.end()) {
      tier_.space().release_pages(doomed->second, {slot, 1});
      doomed_.erase(doomed);
    }
  }
  const auto at = copies_.find(operation.sequence);
  if (at == copies_.end() || at->second.owner != operation.owner) return;  // forgotten meanwhile
  Copy& copy = at->second;
  copy.pages_left -= operation.pages.length;
  if (!completion.result) copy.failed = true;
  if (--copy.operations == 0) settle(at);
}

// The last operation of a copy is done.
void SwapManager::settle(Copies::iterator at) {
  Copy& copy = at->second;
  const Sequence sequence = at->first;
  if (copy.failed) {
    ++counters_.recomputes;
    events_.push_back({Event::Kind::recompute_needed, sequence});
    erase(at);
  } else if (copy.state == State::leaving && copy.destination) {
    const std::vector<std::uint32_t> pages = *std::exchange(copy.destination, std::nullopt);
    read_back(at, pages);
  } else if (copy.state == State::leaving) {
    copy.state = State::out;
    events_.push_back({Event::Kind::left, sequence});
  } else {
    copy.state = State::resident;
    events_.push_back({Event::Kind::returned, sequence});
    if (!options_.reuse) erase(at);
  }
}

// ---- Time

std::vector<SwapManager::Event> SwapManager::poll() {
  tier_.poll(completions_);
  take_completions();
  return std::exchange(events_, {});
}

std::vector<SwapManager::Event> SwapManager::wait(std::chrono::nanoseconds timeout) {
  if (events_.empty() && !operations_.empty()) tier_.wait(completions_, timeout);
  return poll();
}

void SwapManager::wait_for_any(std::chrono::nanoseconds timeout) {
  if (operations_.empty()) return;
  tier_.wait(completions_, timeout);
  take_completions();
}

void SwapManager::wait_for_pages(std::span<const PageRun> pages) {
  const auto any_busy = [&] {
    return std::any_of(pages.begin(), pages.end(), [&](PageRun run) {
      for (std::uint32_t page = run.first; page < run.end(); ++page) {
        if (busy(page)) return true;
      }
      return false;
    });
  };
  if (!any_busy()) return;
  tier_.poll(completions_);
  take_completions();
  if (any_busy()) ++counters_.waits;
  while (any_busy()) {
    tier_.wait(completions_, kNap);
    take_completions();
  }
}

void SwapManager::finish(Sequence sequence) {
  const auto moving = [&] {
    const State now = state(sequence);
    return now == State::leaving || now == State::returning;
  };
  if (moving()) ++counters_.waits;
  while (moving()) {
    tier_.wait(completions_, kNap);
    take_completions();
  }
}

}  // namespace plait::engine
