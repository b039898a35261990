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
// Invariants
//   T1  A region's function runs exactly once for every member, and run() returns after the last one.
//   T2  What happened before run() is visible to every member; what members did is visible to the caller after run().
//   T3  Between regions no member touches the caller's function object.
//   T4  A member that throws never blocks the others: whoever waits in barrier() is released, and run() rethrows the
//   exception
//       of the lowest member that threw.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace plait::parallel {

struct TeamOptions {
  /// Polls of an idle member before it parks; one poll is a pause instruction, 20 to 40 ns. A decode step's regions
  /// follow each other within microseconds, waking a parked thread costs 5 to 50 of them.
  int polls_max = 5000;
};

class Team {
 public:
  /// Starts threads - 1 workers. Requires: threads >= 1. Throws std::system_error when the machine refuses a thread.
  explicit Team(int threads, TeamOptions options = {});
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  [[nodiscard]] int size() const { return size_; }

  /// Calls f(member) once for each member 0 ≤ member < size(), in parallel, and returns when all are done. No
  /// allocation. Called from inside a region of this team it runs f for every member in turn on the calling thread
  /// (then f must not use barrier()). Not to be called by two unrelated threads at a time. Rethrows the exception of
  /// the lowest member that threw.
  template <class F>
  void run(F&& f) {
    using Function = std::remove_reference_t<F>;
    run_erased([](void* function, int member) { (*static_cast<Function*>(function))(member); },
               const_cast<void*>(static_cast<const void*>(std::addressof(f))));
  }

  /// Returns when every member of the running region has called it. What was written before it is visible after it to
  /// all. Requires: called by all members, inside run(), not nested.
  void barrier();

 private:
  using Call = void (*)(void* function, int member);
  struct alignas(64) Line {  // one cache line each, so that waiting members do not disturb working ones
    std::atomic<std::uint32_t> value{0};
  };

  void run_erased(Call call, void* function);
  void call_member(Call call, void* function, int member) noexcept;
  void work(int member);
  bool inside() const;
  std::uint32_t wait_for_change(const std::atomic<std::uint32_t>& word, std::uint32_t old) const;
  void advance(std::atomic<std::uint32_t>& word);

  const int size_;
  const int polls_max_;
  Call call_ = nullptr;       // written by the caller before epoch_ moves, read by workers after
  void* function_ = nullptr;  // same
  bool stop_ = false;         // same
  Line epoch_;                // one more for each region
  Line remaining_;            // workers that have not finished the region
  Line finished_;             // one more when a region's last worker is done
  Line arrived_;              // members waiting in barrier()
  Line phase_;                // one more for each passed barrier
  mutable Line parked_;       // threads asleep or about to be
  std::atomic<bool> failed_{false};
  std::vector<std::exception_ptr> errors_;  // [member]
  std::vector<std::jthread> workers_;
};

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

}  // namespace plait::parallel
