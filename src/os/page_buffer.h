// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/units.h"

namespace plait::os {

/// Zeroed memory of whole pages from the system, with advice to use huge ones; from 2 MiB on it starts at a multiple of
/// that. Move-only; gives the memory back on destruction.
class PageBuffer {
 public:
  PageBuffer() = default;
  /// size() == bytes rounded up to pages. When the system refuses, data() is null and size() 0; check it.
  explicit PageBuffer(base::Bytes bytes);
  PageBuffer(PageBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PageBuffer& operator=(PageBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  PageBuffer(const PageBuffer&) = delete;
  PageBuffer& operator=(const PageBuffer&) = delete;
  ~PageBuffer();

  [[nodiscard]] std::byte* data() const { return data_; }  ///< Page-aligned.
  [[nodiscard]] base::Bytes size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  base::Bytes size_ = 0;
};

/// Throws std::bad_alloc. For HugeAllocator.
[[nodiscard]] void* allocate_huge(std::size_t count, std::size_t size);
void free_huge(void* memory, std::size_t bytes);

/// For vectors whose rows are visited across: from 512 KiB on the memory is whole huge pages (rounded up to 2 MiB),
/// below that ordinary memory at a multiple of 64. Each row of an output panel lies on a small page of its own, which
/// costs where address translation is slow.
template <class T>
struct HugeAllocator {
  using value_type = T;
  HugeAllocator() = default;
  template <class U>
  HugeAllocator(const HugeAllocator<U>& /*other*/) {}  // NOLINT: allocators convert implicitly
  [[nodiscard]] T* allocate(std::size_t count) { return static_cast<T*>(allocate_huge(count, sizeof(T))); }
  void deallocate(T* p, std::size_t count) { free_huge(p, count * sizeof(T)); }
  friend bool operator==(const HugeAllocator&, const HugeAllocator&) { return true; }
};

template <class T>
using HugeVector = std::vector<T, HugeAllocator<T>>;

}  // namespace plait::os
