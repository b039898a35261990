// SPDX-License-Identifier: Apache-2.0
#include "parallel/team.h"

#include "base/check.h"
#include "os/cpu.h"

namespace plait::parallel {
namespace {

/// Thrown by barrier() when another member has thrown; never leaves the team.
struct Abandoned {};

thread_local const Team* current_team = nullptr;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

Team::Team(int threads, TeamOptions options)
    : size_(threads),
      // More members than cores: the one we wait for may need this very core, so give it back soon.
      polls_max_(threads > os::usable_cores() ? options.polls_max / 100 : options.polls_max) {
  PLAIT_CHECK(threads >= 1, threads);
  const auto count = static_cast<std::size_t>(threads);
  errors_.resize(count);
  workers_.reserve(count - 1);
  try {
    for (int member = 1; member < threads; ++member) {
      workers_.emplace_back([this, member] { work(member); });
    }
  } catch (...) {  // the threads that did start must not be waited for in vain
    stop_ = true;
    advance(epoch_.value);
    throw;
  }
}

Team::~Team() {
  stop_ = true;
  advance(epoch_.value);
}

bool Team::inside() const { return current_team == this; }

// Spins, then parks. seq_cst on `parked_` and on the word in advance(): either the advancing side sees the parked one
// and wakes it, or the parking side sees the new value and does not sleep.
std::uint32_t Team::wait_for_change(const std::atomic<std::uint32_t>& word, std::uint32_t old) const {
  for (int poll = 0; poll < polls_max_; ++poll) {
    // acquire: what the advancing side wrote before is visible to who sees the new value
    if (const std::uint32_t now = word.load(std::memory_order_acquire); now != old) return now;
    pause();
  }
  parked_.value.fetch_add(1, std::memory_order_seq_cst);
  std::uint32_t now = word.load(std::memory_order_seq_cst);
  while (now == old) {
    word.wait(old, std::memory_order_seq_cst);
    now = word.load(std::memory_order_seq_cst);
  }
  parked_.value.fetch_sub(1, std::memory_order_relaxed);  // relaxed: a late decrement only causes a needless wake
  return now;
}

void Team::advance(std::atomic<std::uint32_t>& word) {
  word.fetch_add(1, std::memory_order_seq_cst);
  if (parked_.value.load(std::memory_order_seq_cst) != 0) word.notify_all();
}

void Team::call_member(Call call, void* function, int member) noexcept {
  try {
    call(function, member);
  } catch (const Abandoned&) {
  } catch (...) {
    errors_[static_cast<std::size_t>(member)] = std::current_exception();
    failed_.store(true, std::memory_order_seq_cst);
    advance(phase_.value);  // releases members that wait in barrier()
  }
}

void Team::work(int member) {
  current_team = this;
  std::uint32_t epoch = 0;
  while (true) {
    epoch = wait_for_change(epoch_.value, epoch);
    if (stop_) return;
    call_member(call_, function_, member);
    // acq_rel: the last one to finish passes on what all others wrote
    if (remaining_.value.fetch_sub(1, std::memory_order_acq_rel) == 1) advance(finished_.value);
  }
}

void Team::run_erased(Call call, void* function) {
  if (size_ == 1 || inside()) {
    const Team* outer = current_team;
    current_team = this;
    struct Restore {
      const Team* outer;
      ~Restore() { current_team = outer; }
    } restore{outer};
    for (int member = 0; member < size_; ++member) call(function, member);
    return;
  }
  const Team* outer = current_team;
  current_team = this;
  call_ = call;
  function_ = function;
  arrived_.value.store(0, std::memory_order_relaxed);                                        // published by epoch_
  failed_.store(false, std::memory_order_relaxed);                                           // same
  remaining_.value.store(static_cast<std::uint32_t>(size_ - 1), std::memory_order_relaxed);  // same
  const std::uint32_t finished = finished_.value.load(std::memory_order_relaxed);  // only moves inside a region
  advance(epoch_.value);
  call_member(call, function, 0);
  wait_for_change(finished_.value, finished);
  current_team = outer;
  if (!failed_.load(std::memory_order_relaxed)) return;  // ordered by finished_
  std::exception_ptr first;
  for (auto& error : errors_) {
    if (error && !first) first = error;
    error = nullptr;
  }
  std::rethrow_exception(first);
}

void Team::barrier() {
  PLAIT_ASSERT(inside());
  if (size_ == 1) return;
  const std::uint32_t phase = phase_.value.load(std::memory_order_acquire);
  if (failed_.load(std::memory_order_seq_cst)) throw Abandoned{};
  // acq_rel: the last to arrive has seen what all others wrote, and passes it on through phase_
  if (arrived_.value.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<std::uint32_t>(size_)) {
    arrived_.value.store(0, std::memory_order_relaxed);
    advance(phase_.value);
  } else {
    wait_for_change(phase_.value, phase);
  }
  if (failed_.load(std::memory_order_seq_cst)) throw Abandoned{};
}

}  // namespace plait::parallel
