// SPDX-License-Identifier: Apache-2.0
//
// Data beside those who work on it. A page of memory lies near to the core that touches it first, so each member of a
// team that is bound to cores touches its own share; the algorithms of algorithms.h use the same shares.
//
//   parallel::Team team(threads, {.cores = parallel::cores_of_members(parallel::targets(), threads)});
//   PLAIT_TRY(auto a, parallel::PlacedVector<double>::zeros(n, team));
//   parallel::transform(team, a, a, [](double x) { return x + 1; });
//
// On a machine with one memory node all this changes nothing, apart from binding threads, which only helps where nobody
// else wants the cores.
#pragma once

#include <cstddef>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/page_buffer.h"
#include "parallel/algorithms.h"
#include "parallel/team.h"

namespace plait::parallel {

/// A place to run and to keep data: cores with the same nearest memory.
struct Target {
  int memory_node = 0;
  std::vector<int> cores = {};  ///< The system's numbers, ascending, not empty.
  friend bool operator==(const Target&, const Target&) = default;
};

/// The machine's targets in ascending order of their nodes, with the cores that the calling thread may use. Any thread.
[[nodiscard]] std::vector<Target> targets();

/// A core for each member: neighbouring members, whose shares are neighbours, on one target, the targets filled evenly
/// in proportion to their cores. For TeamOptions::cores. Requires: targets not empty, threads ≥ 1.
[[nodiscard]] std::vector<int> cores_of_members(std::span<const Target> targets, int threads);

/// Zeros of T in memory of whole pages, each touched first by the member whose share<T> it is. Shares end at multiples
/// of 64 KiB; where the system gives huge pages of 2 MiB, the one that a border falls into belongs to who is first.
/// A contiguous range of fixed length; move-only.
template <class T>
class PlacedVector {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_default_constructible_v<T>);

 public:
  using value_type = T;
  PlacedVector() = default;

  /// n zeros. Errors: out_of_resources. Threads: as Team::run(); inside a region the calling thread touches everything.
  static base::Result<PlacedVector> zeros(std::size_t n, Team& team) {
    PlacedVector vector;
    if (n == 0) return vector;
    if (n <= std::numeric_limits<std::size_t>::max() / sizeof(T)) vector.memory_ = os::PageBuffer(n * sizeof(T));
    if (vector.memory_.data() == nullptr) {
      return base::fail(base::ErrorCode::out_of_resources, "no memory for a vector of " + std::to_string(n));
    }
    vector.size_ = n;
    team.run_on_own_threads([&](int member) {
      const Range own = share<T>(n, member, team.size());
      std::memset(static_cast<void*>(vector.data() + own.begin), 0, (own.end - own.begin) * sizeof(T));
    });
    return vector;
  }

  PlacedVector(PlacedVector&& other) noexcept
      : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}
  PlacedVector& operator=(PlacedVector&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    return *this;
  }
  PlacedVector(const PlacedVector&) = delete;
  PlacedVector& operator=(const PlacedVector&) = delete;
  ~PlacedVector() = default;

  [[nodiscard]] T* data() { return reinterpret_cast<T*>(memory_.data()); }  ///< Page-aligned; null when empty.
  [[nodiscard]] const T* data() const { return reinterpret_cast<const T*>(memory_.data()); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T* begin() { return data(); }
  [[nodiscard]] T* end() { return data() + size_; }
  [[nodiscard]] const T* begin() const { return data(); }
  [[nodiscard]] const T* end() const { return data() + size_; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }

 private:
  os::PageBuffer memory_;
  std::size_t size_ = 0;
};

}  // namespace plait::parallel
