// SPDX-License-Identifier: Apache-2.0
//
// Many threads, one flush: who asks first flushes for everybody who is waiting by then (group commit: D. Gawlick and
// D. Kinkade, "Varieties of concurrency control in IMS/VS Fast Path", 1985).
//
// Invariants, under the lock:
//   1. durable_ <= appended_; the pieces [durable_, appended_) are in flight_ followed by waiting_, in order.
//   2. At most one thread flushes (flushing_), outside the lock; flight_ is its own until it is done.
//   3. Once poisoned_ is set, nothing is flushed any more.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace plait::store {

/// Collects pieces and hands them in order to one flush at a time. Threads: append() and the commits from any thread.
class GroupCommit {
 public:
  /// Why a flush failed.
  struct Failure {
    base::Error error;
    /// The same pieces may be flushed again: nothing was lost and nothing of them became visible.
    bool may_retry = false;

    /// Of a write that failed: what found no room may be tried again.
    static Failure after_write(base::Error error) {
      const bool full = error.code == base::ErrorCode::out_of_resources;
      return {.error = std::move(error), .may_retry = full};
    }
  };
  /// Makes a group durable: whole pieces, `pieces` of them, which it may fill in before it writes them. Calls never
  /// overlap, and each one sees what the one before it did.
  using Flush = std::function<std::expected<void, Failure>(std::span<std::byte> group, std::uint64_t pieces)>;

  /// `waiting_bytes_max`: append() commits first when more than this would wait.
  GroupCommit(Flush flush, base::Bytes waiting_bytes_max);
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;
  /// Drops what was not committed. Requires: no thread is in a call.
  ~GroupCommit() = default;

  /// Adds one piece, `head` followed by `body`, and returns its number: 0, 1, ... in the order of the pieces. Copies
  /// both. Errors: those of a commit that had to make room, and the error that poisoned; then nothing was added.
  [[nodiscard]] base::Result<std::uint64_t> append(std::span<const std::byte> head, std::span<const std::byte> body);
  /// Every piece that was appended before is durable.
  [[nodiscard]] base::Result<void> commit();
  /// Every piece up to and with `number` is durable. A flush that may be retried gives its error to the call that made
  /// it, and its pieces wait for the next commit. After one that may not, every later call returns its error, except
  /// for pieces that were durable before. Requires: append() returned `number` or more.
  [[nodiscard]] base::Result<void> commit_through(std::uint64_t number);

 private:
  using Lock = std::unique_lock<std::mutex>;
  base::Result<void> commit(Lock& lock, std::uint64_t pieces);
  base::Result<void> flush_waiting(Lock& lock);

  const Flush flush_;
  const base::Bytes waiting_bytes_max_;
  std::mutex mutex_;  // guards all below; see 2 for flight_
  std::condition_variable flushed_;
  std::vector<std::byte> waiting_;
  std::vector<std::byte> flight_;
  std::uint64_t appended_ = 0;
  std::uint64_t durable_ = 0;
  bool flushing_ = false;
  std::optional<base::Error> poisoned_;
};

}  // namespace plait::store
