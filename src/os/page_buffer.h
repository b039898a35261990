// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>

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

}  // namespace plait::os
