// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "base/units.h"
#include "os/page_buffer.h"

namespace plait::kernels {

/// Where the packed matrices of a model live: a few large blocks on huge pages instead of one mapping for each matrix.
/// Layers of small models are below a huge page's 2 MiB, and reading 66 MB of them through 4 KiB pages took 2 to 6
/// times as long in a virtual machine. Blocks live as long as any slice of them. Not for use by two threads at a time.
class WeightMemory {
 public:
  /// `block`: bytes asked from the system at a time; what the last block has left over is never touched.
  explicit WeightMemory(base::Bytes block = base::Bytes{64} << 20) : block_(block) {}

  struct Slice {
    std::shared_ptr<const os::PageBuffer> owner;
    std::byte* data = nullptr;  ///< 64-byte aligned, zeroed; null when the system has no memory.
  };
  [[nodiscard]] Slice take(base::Bytes bytes);

 private:
  base::Bytes block_;
  std::shared_ptr<const os::PageBuffer> current_;
  base::Bytes used_ = 0;
};

}  // namespace plait::kernels
