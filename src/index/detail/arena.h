// SPDX-License-Identifier: Apache-2.0
//
// Memory for nodes, which are freed only all together. Chunks of 2 MiB and more lie on borders of 2 MiB, so that a
// system with transparent huge pages backs them with one page each: a search touches a few cache lines in each of a
// few nodes that lie anywhere in hundreds of megabytes, and would otherwise miss the TLB with every node.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <new>
#include <vector>

#include "base/check.h"

namespace plait::index::detail {

/// Hands out slots of one size, aligned to cache lines. Any thread. What was put into a slot is never destroyed.
class Arena {
 public:
  /// Slots of `slot_bytes`. Requires: a multiple of 64.
  explicit Arena(std::size_t slot_bytes) : slot_bytes_(slot_bytes) {
    PLAIT_CHECK(slot_bytes % kLine == 0 && slot_bytes > 0, slot_bytes);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() {
    for (const Chunk& chunk : chunks_) ::operator delete(chunk.memory, chunk.bytes, chunk.alignment);
  }

  /// Throws std::bad_alloc.
  [[nodiscard]] void* take() {
    const std::lock_guard lock(mutex_);
    if (!returned_.empty()) {
      void* slot = returned_.back();
      returned_.pop_back();
      return slot;
    }
    if (used_ + slot_bytes_ > capacity_) grow();
    std::byte* slot = begin_ + used_;
    used_ += slot_bytes_;
    return slot;
  }
  /// Requires: `slot` came from take(), and nobody knows it any more.
  void give_back(void* slot) noexcept {
    const std::lock_guard lock(mutex_);
    try {
      returned_.push_back(slot);
    } catch (const std::bad_alloc&) {  // the slot is lost until the arena goes
    }
  }

  /// Memory held, in bytes.
  [[nodiscard]] std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const Chunk& chunk : chunks_) sum += chunk.bytes;
    return sum;
  }

 private:
  static constexpr std::size_t kLine = 64;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;
  static constexpr std::size_t kChunkMax = 8 * kHugePage;
  struct Chunk {
    void* memory;
    std::size_t bytes;
    std::align_val_t alignment;
  };

  /// A small map stays small: each chunk is as large as all before it, at least eight slots.
  void grow() {
    const std::size_t wanted = std::clamp(held_, 8 * slot_bytes_, std::max(kChunkMax, 8 * slot_bytes_));
    const bool huge = wanted >= kHugePage;
    const std::size_t bytes = huge ? (wanted + kHugePage - 1) / kHugePage * kHugePage : wanted;
    const auto alignment = std::align_val_t{huge ? kHugePage : kLine};
    chunks_.reserve(chunks_.size() + 1);
    void* memory = ::operator new(bytes, alignment);
    chunks_.push_back({memory, bytes, alignment});
    begin_ = static_cast<std::byte*>(memory);
    used_ = 0;
    capacity_ = bytes;
    held_ += bytes;
  }

  const std::size_t slot_bytes_;
  mutable std::mutex mutex_;  // guards everything below
  std::vector<Chunk> chunks_;
  std::vector<void*> returned_;
  std::byte* begin_ = nullptr;  // of the chunk in use
  std::size_t used_ = 0;
  std::size_t capacity_ = 0;
  std::size_t held_ = 0;
};

}  // namespace plait::index::detail
