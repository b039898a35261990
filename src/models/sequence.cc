// SPDX-License-Identifier: Apache-2.0
#include "models/sequence.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "models/model.h"

namespace plait::models {

Sequence::Sequence(const Model& model) : layout_(&model.kv_layout()) {}

void Sequence::trim(std::size_t length) {
  PLAIT_CHECK(length <= length_, length, length_);
  length_ = length;
}

base::Bytes Sequence::bytes() const {
  base::Bytes sum = 0;
  for (const os::PageBuffer& memory : memory_) sum += memory.size();
  return sum;
}

ViewEntry Sequence::reserve(std::size_t tokens) {
  const std::size_t needed = (length_ + tokens + kPageTokens - 1) / kPageTokens;
  ViewEntry entry{.last = length_};
  for (std::size_t group = 0; group < kLayerGroups; ++group) {
    std::vector<std::byte*>& pages = pages_[group];
    const base::Bytes bytes = layout_->page_bytes(group);
    if (pages.size() < needed && bytes > 0) {
      const std::size_t more = std::max(needed - pages.size(), pages.size() / 2);
      os::PageBuffer memory(more * bytes);
      if (memory.data() == nullptr) throw std::bad_alloc();
      for (std::size_t i = 0; i < more; ++i) pages.push_back(memory.data() + i * bytes);
      memory_.push_back(std::move(memory));
    }
    entry.pages[group] = pages.data();
  }
  return entry;
}

}  // namespace plait::models
