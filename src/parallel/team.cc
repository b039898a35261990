// SPDX-License-Identifier: Apache-2.0
#include "parallel/team.h"

#include <algorithm>
#include <chrono>
#include <span>

#include "os/cpu.h"
#include "os/topology.h"

namespace plait::parallel {
namespace {

/// Thrown by barrier() when another member has thrown; never leaves the team.
struct Abandoned {};

thread_local const Team* current_team = nullptr;

using Clock = std::chrono::steady_clock;

/// Polls between two looks at the clock: a microsecond at most (a pause is 20 to 60 ns).
constexpr int kPolls = 16;
/// A gap between two looks that no interrupt explains: the thread was not running.
constexpr std::chrono::microseconds kStolen{100};
constexpr std::int64_t kSpinMinNs = 1000;

/// How long this thread polls before it parks, learned from what happened to it while it polled.
class SpinBudget {
 public:
  [[nodiscard]] std::int64_t nanoseconds(std::int64_t most) const { return std::min(budget_ns_, most); }
  void core_was_stolen(std::int64_t most) { budget_ns_ = std::max(nanoseconds(most) / 2, kSpinMinNs); }
  void core_was_ours(std::int64_t most) { budget_ns_ = std::min(budget_ns_, most) + nanoseconds(most) / 8 + 1; }

 private:
  std::int64_t budget_ns_ = std::int64_t{1} << 40;
};
thread_local SpinBudget spin_budget;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

Team::Team(int threads, const TeamOptions& options)
    : size_(threads),
      // More members than cores: the one we wait for may need this very core, so give it back soon.
      spin_ns_max_(std::int64_t{1000} * options.spin_us_max / (threads > os::usable_cores() ? 100 : 1)) {
  PLAIT_CHECK(threads >= 1, threads);
  const auto count = static_cast<std::size_t>(threads);
  shares_ = std::vector<Share>(count);
  errors_.resize(count);
  start_workers(options.cores);
}

void Team::start_workers(const std::vector<int>& cores) {
  workers_.reserve(static_cast<std::size_t>(size_ - 1));
  try {
    for (int member = 1; member < size_; ++member) {
      const int core = cores.empty() ? -1 : cores[static_cast<std::size_t>(member) % cores.size()];
      workers_.emplace_back([this, member, core] {
        if (core >= 0) os::bind_this_thread(std::span(&core, 1));  // a refusal costs speed only
        work(member);
      });
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

// Spins, then parks, until done(word). seq_cst on `parked_` and on the word, here and where it is changed: either the
// changing side sees the parked one and wakes it, or the parking side sees the new value and does not sleep.
template <class Done>
std::uint32_t Team::wait_until(const std::atomic<std::uint32_t>& word, Done done) const {
  Clock::time_point start;
  Clock::time_point last;
  const std::chrono::nanoseconds budget(spin_budget.nanoseconds(spin_ns_max_));
  for (bool first = true; budget.count() > 0; first = false) {
    for (int poll = 0; poll < kPolls; ++poll) {
      // acquire: what the changing side wrote before is visible to who sees the new value
      if (const std::uint32_t now = word.load(std::memory_order_acquire); done(now)) return now;
      pause();
    }
    const Clock::time_point at = Clock::now();
    if (first) start = last = at;
    if (at - last > kStolen) {  // somebody else wants this core, perhaps the very thread we wait for
      spin_budget.core_was_stolen(spin_ns_max_);
      break;
    }
    if (at - start >= budget) {
      spin_budget.core_was_ours(spin_ns_max_);
      break;
    }
    last = at;
  }
  parked_.value.fetch_add(1, std::memory_order_seq_cst);
  std::uint32_t now = word.load(std::memory_order_seq_cst);
  while (!done(now)) {
    word.wait(now, std::memory_order_seq_cst);
    now = word.load(std::memory_order_seq_cst);
  }
  parked_.value.fetch_sub(1, std::memory_order_relaxed);  // relaxed: a late decrement only causes a needless wake
  return now;
}

// After a seq_cst change of the word.
void Team::wake(std::atomic<std::uint32_t>& word) const {
  if (parked_.value.load(std::memory_order_seq_cst) != 0) word.notify_all();
}

void Team::advance(std::atomic<std::uint32_t>& word) const {
  word.fetch_add(1, std::memory_order_seq_cst);
  wake(word);
}

void Team::call_member(int member) noexcept {
  try {
    phase_now_.call(phase_now_.function, member);
  } catch (const Abandoned&) {
  } catch (...) {
    errors_[static_cast<std::size_t>(member)] = std::current_exception();
    failed_.store(true, std::memory_order_seq_cst);
    advance(phase_.value);  // releases members that wait in barrier()
  }
}

// The thread's own share first, then those that nobody has begun. All shares stand at epoch - 1 when a region begins
// and none of them does when it ends, so a thread that comes late finds nothing, and one that finds something knows
// that the region waits for it: phase_now_ stays as it is. Whoever ends a region that another one follows begins that.
void Team::take_shares(std::uint32_t epoch, int first) {
  for (int i = first; i < first + size_; ++i) {
    const int member = i % size_;
    std::atomic<std::uint32_t>& begun = shares_[static_cast<std::size_t>(member)].begun;
    // relaxed: epoch_ and remaining_ order what the share reads and writes
    std::uint32_t before = epoch - 1;
    if (begun.load(std::memory_order_relaxed) != before) continue;
    if (!begun.compare_exchange_strong(before, epoch, std::memory_order_relaxed)) continue;
    call_member(member);
    const bool last = phases_ == phases_end_;  // not to be looked at once the caller may have gone on
    // seq_cst as wait_until() asks; also passes on what this share wrote
    if (remaining_.value.fetch_sub(1, std::memory_order_seq_cst) != 1) continue;
    if (last) {
      wake(remaining_.value);
    } else {
      begin_region();
    }
    return;  // the region is over
  }
}

void Team::work(int member) {
  current_team = this;
  std::uint32_t epoch = 0;
  while (true) {
    epoch = wait_until(epoch_.value, [epoch](std::uint32_t now) { return now != epoch; });
    if (stop_) return;
    take_shares(epoch, member);
  }
}

// Nobody else is in a region now.
void Team::begin_region() {
  phase_now_ = failed_.load(std::memory_order_relaxed) ? Phase{[](void*, int) {}, nullptr} : *phases_;
  ++phases_;
  arrived_.value.store(0, std::memory_order_relaxed);                                    // published by epoch_
  remaining_.value.store(static_cast<std::uint32_t>(size_), std::memory_order_relaxed);  // same
  advance(epoch_.value);
}

void Team::run_erased(const Phase* phases, int count) {
  const Team* outer = current_team;
  if (size_ == 1 || inside()) {
    current_team = this;
    struct Restore {
      const Team* outer;
      ~Restore() { current_team = outer; }
    } restore{outer};
    for (const Phase& phase : std::span(phases, static_cast<std::size_t>(count))) {
      for (int member = 0; member < size_; ++member) phase.call(phase.function, member);
    }
    return;
  }
  current_team = this;
  phases_ = phases;
  phases_end_ = phases + count;
  failed_.store(false, std::memory_order_relaxed);                         // published by epoch_
  std::uint32_t epoch = epoch_.value.load(std::memory_order_relaxed) + 1;  // nobody else changes it now
  begin_region();
  take_shares(epoch, 0);
  for (const std::uint32_t last = epoch + static_cast<std::uint32_t>(count) - 1; epoch != last; take_shares(epoch, 0)) {
    epoch = wait_until(epoch_.value, [epoch](std::uint32_t now) { return now != epoch; });
  }
  wait_until(remaining_.value, [](std::uint32_t now) { return now == 0; });
  current_team = outer;
  if (!failed_.load(std::memory_order_relaxed)) return;  // ordered by remaining_
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
    wait_until(phase_.value, [phase](std::uint32_t now) { return now != phase; });
  }
  if (failed_.load(std::memory_order_seq_cst)) throw Abandoned{};
}

}  // namespace plait::parallel
