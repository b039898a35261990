// SPDX-License-Identifier: Apache-2.0
#include "os/page_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

namespace plait::os {

PageBuffer::PageBuffer(base::Bytes bytes) {
  const auto page = static_cast<base::Bytes>(sysconf(_SC_PAGESIZE));
  if (bytes == 0 || bytes > ~base::Bytes{0} - page) return;
  const base::Bytes rounded = (bytes + page - 1) / page * page;
  void* memory = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  madvise(memory, rounded, MADV_HUGEPAGE);  // advice only: a refusal costs speed
  data_ = static_cast<std::byte*>(memory);
  size_ = rounded;
}

PageBuffer::~PageBuffer() {
  if (data_ != nullptr) munmap(data_, size_);
}

}  // namespace plait::os
