// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "store/file_layer.h"

namespace plait::store {

/// Parts of a file whose size does not change meanwhile, read ahead in pieces of 256 KiB. Not thread-safe.
class FileWindow {
 public:
  static constexpr std::size_t kPieceBytes = std::size_t{256} << 10;

  /// Reads `file`, which must outlive it; it ends at `size`.
  FileWindow(File& file, base::Bytes size) : file_(file), size_(size) {}

  [[nodiscard]] base::Bytes size() const { return size_; }
  /// The bytes [offset, offset + count), valid until the next call. Errors: io, also when the file has become shorter.
  /// Requires: offset + count <= size().
  [[nodiscard]] base::Result<std::span<const std::byte>> at(base::Bytes offset, std::size_t count);
  /// From `offset` to the end of the piece that is in memory: at least one byte. Requires: offset < size().
  [[nodiscard]] base::Result<std::span<const std::byte>> some(base::Bytes offset);

 private:
  File& file_;
  const base::Bytes size_;
  base::Bytes begin_ = 0;
  std::vector<std::byte> piece_;
};

}  // namespace plait::store
