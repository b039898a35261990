// SPDX-License-Identifier: Apache-2.0
#include "store/group_commit.h"

#include <utility>

#include "base/check.h"

namespace plait::store {

using base::Result;

GroupCommit::GroupCommit(Flush flush, base::Bytes waiting_bytes_max)
    : flush_(std::move(flush)), waiting_bytes_max_(waiting_bytes_max) {}

Result<std::uint64_t> GroupCommit::append(std::span<const std::byte> head, std::span<const std::byte> body) {
  Lock lock(mutex_);
  // A piece larger than the limit goes into an empty buffer.
  while (!poisoned_ && !waiting_.empty() && waiting_.size() + head.size() + body.size() > waiting_bytes_max_) {
    PLAIT_TRY_VOID(commit(lock, appended_));
  }
  if (poisoned_) return std::unexpected(*poisoned_);
  waiting_.insert(waiting_.end(), head.begin(), head.end());
  waiting_.insert(waiting_.end(), body.begin(), body.end());
  return appended_++;
}

Result<void> GroupCommit::commit() {
  Lock lock(mutex_);
  return commit(lock, appended_);
}

Result<void> GroupCommit::commit_through(std::uint64_t number) {
  Lock lock(mutex_);
  PLAIT_CHECK(number < appended_, number, appended_);
  return commit(lock, number + 1);
}

Result<void> GroupCommit::commit(Lock& lock, std::uint64_t pieces) {
  while (durable_ < pieces) {
    if (poisoned_) return std::unexpected(*poisoned_);
    if (flushing_) {
      flushed_.wait(lock);
    } else {
      PLAIT_TRY_VOID(flush_waiting(lock));
    }
  }
  return {};
}

Result<void> GroupCommit::flush_waiting(Lock& lock) {
  flushing_ = true;
  // flight_ still holds the group of a flush that failed and may be retried: what waits goes behind it.
  if (flight_.empty()) {
    flight_.swap(waiting_);
  } else {
    flight_.insert(flight_.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
  }
  const std::uint64_t goal = appended_;
  const std::uint64_t pieces = goal - durable_;
  lock.unlock();
  auto flushed = flush_(flight_, pieces);
  lock.lock();
  flushing_ = false;
  flushed_.notify_all();
  if (!flushed) {
    if (!flushed.error().may_retry) poisoned_ = flushed.error().error;
    return std::unexpected(std::move(flushed).error().error);
  }
  durable_ = goal;
  flight_.clear();
  return {};
}

}  // namespace plait::store
