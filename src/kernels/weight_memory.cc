// SPDX-License-Identifier: Apache-2.0
#include "kernels/weight_memory.h"

namespace plait::kernels {

WeightMemory::Slice WeightMemory::take(base::Bytes bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (bytes > block_ / 2) {  // its own mapping: nothing of the current block is given up
    auto owner = std::make_shared<const os::PageBuffer>(bytes);
    std::byte* data = owner->data();
    return {std::move(owner), data};
  }
  if (!current_ || used_ + bytes > current_->size()) {
    current_ = std::make_shared<const os::PageBuffer>(block_);
    used_ = 0;
    if (current_->data() == nullptr) {
      current_ = nullptr;
      return {};
    }
  }
  std::byte* data = current_->data() + used_;
  used_ += bytes;
  return {current_, data};
}

}  // namespace plait::kernels
