// SPDX-License-Identifier: Apache-2.0
//
// A persistent fork-join team of threads: the caller is member 0, the others wait between regions, spinning first, then
// parked.
//
//   parallel::Team team(os::usable_cores());
//   team.run([&](int member) {
//     const auto [begin, end] = parallel::part(rows, member, team.size());
//     for (auto row = begin; row < end; ++row) work(row);
//   });
//
// A thread that is not running, because something else has its core, does not hold up the others for more than its
// share: whoever is done with his own share takes over those that nobody has begun. So a share belongs to a member, not
// to a thread.
//
// Invariants
//   T1  A region's function runs exactly once for every member, and run() returns after the last one. run_in_turn() is
//       several regions, each begun by whoever ended the one before.
//   T2  What happened before run() is visible to every member; what members did is visible to the caller after run().
//   T3  Between regions no thread touches the caller's function object.
//   T4  A member that throws never blocks the others: whoever waits in barrier() is released, and run() rethrows the
//       exception of the lowest member that threw.
//   T5  A thread takes over another's share only after its own, hence after every barrier() of the region, hence when
//       all members have begun or one has failed: barriers need every thread, shares without barriers do not.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/check.h"

namespace plait::parallel {

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
  friend bool operator==(const Range&, const Range&) = default;
};

/// Member's share of [0, n): contiguous, in member order, together everything, every border but n a multiple of
/// `granule`, sizes differing by at most one granule. Requires: 0 ≤ member < members, granule ≥ 1.
[[nodiscard]] constexpr Range part(std::size_t n, int member, int members, std::size_t granule = 1) {
  const std::size_t pieces = (n + granule - 1) / granule;
  const auto border = [&](int i) {
    const std::size_t at = pieces * static_cast<std::size_t>(i) / static_cast<std::size_t>(members) * granule;
    return at < n ? at : n;
  };
  return {border(member), border(member + 1)};
}

struct TeamOptions {
  /// Longest time in µs that a thread polls before it parks. A decode step's regions follow each other within
  /// microseconds; waking a parked thread costs 5 to 50 µs. A thread that finds its core taken away while it polls
  /// parks at once and polls for half as long from then on; every full time of polling undisturbed gives an eighth
  /// back.
  int spin_us_max = 200;
  /// The system's numbers of cores to bind workers to, member m to cores[m % cores.size()] (see cores_of_members());
  /// member 0 is the caller and stays where it is. Empty: the system chooses, better where others want the cores too.
  std::vector<int> cores = {};
};

class Team {
 public:
  /// Starts threads - 1 workers. Requires: threads >= 1. Throws std::system_error when the machine refuses a thread.
  explicit Team(int threads, const TeamOptions& options = {});
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  [[nodiscard]] int size() const { return size_; }

  /// Calls f(member) once for each member 0 ≤ member < size(), in parallel, and returns when all are done. No
  /// allocation. Which thread runs a member's share is open, and one may run several, one after the other: members wait
  /// for each other with barrier() only. Called from inside a region of this team it runs f for every member in turn
  /// on the calling thread (then f must not use barrier()). Not to be called by two unrelated threads at a time.
  /// Rethrows the exception of the lowest member that threw.
  template <class F>
  void run(F&& f) {
    const Phase only = phase(f);
    run_erased(&only, 1);
  }

  /// run(first), then run(next), …, each when the one before is done, at the price of a barrier: the last member to be
  /// done with one begins the next. Unlike in a region with barrier(), a thread that is not running holds up nobody.
  /// After an exception the functions behind the one that threw are not called.
  template <class F, class... Next>
  void run_in_turn(F&& first, Next&&... next) {
    const Phase phases[] = {phase(first), phase(next)...};
    run_erased(phases, static_cast<int>(std::size(phases)));
  }

  /// run() with every member's share on a thread of its own, member 0's on the caller's: waits until all threads run.
  /// For what belongs to threads, such as touching memory first.
  template <class F>
  void run_on_own_threads(F&& f) {
    if (size_ == 1 || inside()) return run(f);
    run([&](int member) {
      barrier();  // by T5 nobody can take over a share now
      f(member);
    });
  }

  /// Calls f(Range) for every chunk of `granule` items of [0, n), the last one shorter, each exactly once, in parallel;
  /// returns when all are done. Every thread first works through the chunks of part(n, member, size(), granule) in
  /// ascending order, then through what is left of the others', so a thread that is slow or not running holds up the
  /// rest by one chunk at most. The chunks do not depend on the team's size; results must not depend on who computes
  /// which. From inside a region, for a team of one or for a single chunk: on the calling thread, in order. No
  /// allocation. Threads and exceptions as in run(); after an exception the other threads go on with their chunks.
  /// Requires: granule ≥ 1.
  template <class F>
  void for_chunks(std::size_t n, std::size_t granule, F&& f) {
    PLAIT_ASSERT(granule >= 1, granule);
    const auto chunk = [&](std::size_t begin, std::size_t end) { f(Range{begin, end < n ? end : n}); };
    if (size_ == 1 || n <= granule || inside()) {
      for (std::size_t begin = 0; begin < n; begin += granule) chunk(begin, begin + granule);
      return;
    }
    // relaxed throughout: chunks are independent, and run() orders everything else
    for (Share& share : shares_) share.handed_out.store(0, std::memory_order_relaxed);
    run([&](int member) {
      for (int i = member; i < member + size_; ++i) {
        const int owner = i % size_;
        const Range all = part(n, owner, size_, granule);
        std::atomic<std::size_t>& handed_out = shares_[static_cast<std::size_t>(owner)].handed_out;
        for (std::size_t begin = 0;
             (begin = all.begin + handed_out.fetch_add(granule, std::memory_order_relaxed)) < all.end;) {
          chunk(begin, begin + granule);
        }
      }
    });
  }

  /// Returns when every member of the running region has called it. What was written before it is visible after it to
  /// all. Requires: called by all members, inside run(), not nested.
  void barrier();

 private:
  using Call = void (*)(void* function, int member);
  struct Phase {  // what a region does
    Call call;
    void* function;
  };
  template <class F>
  static Phase phase(F& f) {
    return {[](void* function, int member) { (*static_cast<F*>(function))(member); },
            const_cast<void*>(static_cast<const void*>(std::addressof(f)))};
  }
  struct alignas(64) Line {  // one cache line each, so that waiting threads do not disturb working ones
    std::atomic<std::uint32_t> value{0};
  };
  struct alignas(64) Share {
    std::atomic<std::uint32_t> begun{0};     // the last region in which a thread has begun this member's share
    std::atomic<std::size_t> handed_out{0};  // items of this member's part in for_chunks(), as far as handed out
  };

  void run_erased(const Phase* phases, int count);
  void begin_region();
  void call_member(int member) noexcept;
  void take_shares(std::uint32_t epoch, int first);
  void start_workers(const std::vector<int>& cores);
  void work(int member);
  bool inside() const;
  template <class Done>
  std::uint32_t wait_until(const std::atomic<std::uint32_t>& word, Done done) const;
  void wake(std::atomic<std::uint32_t>& word) const;
  void advance(std::atomic<std::uint32_t>& word) const;

  const int size_;
  const std::int64_t spin_ns_max_;
  Phase phase_now_ = {};           // written before epoch_ moves, read by who has begun a share after
  const Phase* phases_ = nullptr;  // those behind it, until phases_end_; same, read by the last to be done
  const Phase* phases_end_ = nullptr;
  std::atomic<bool> stop_{false};  // set before epoch_ moves for the last time
  Line epoch_;                     // one more for each region
  Line remaining_;                 // shares of the region that are not done
  Line arrived_;                   // members waiting in barrier()
  Line phase_;                     // one more for each passed barrier
  mutable Line parked_;            // threads asleep or about to be
  std::atomic<bool> failed_{false};
  std::vector<Share> shares_;               // [member]
  std::vector<std::exception_ptr> errors_;  // [member]
  std::vector<std::jthread> workers_;
};

}  // namespace plait::parallel
