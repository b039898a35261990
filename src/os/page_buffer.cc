// SPDX-License-Identifier: Apache-2.0
#include "os/page_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

namespace plait::os {
namespace {

constexpr base::Bytes kHugePage = base::Bytes{2} << 20;

std::byte* map(base::Bytes bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

// At a multiple of the huge page size, so that all of it but the end can be huge pages.
std::byte* map_aligned(base::Bytes bytes) {
  std::byte* memory = map(bytes + kHugePage);
  if (memory == nullptr) return nullptr;
  const base::Bytes past = reinterpret_cast<std::uintptr_t>(memory) % kHugePage;
  const base::Bytes before = past == 0 ? 0 : kHugePage - past;
  if (before > 0) munmap(memory, before);
  munmap(memory + before + bytes, kHugePage - before);
  return memory + before;
}

}  // namespace

PageBuffer::PageBuffer(base::Bytes bytes) {
  const auto page = static_cast<base::Bytes>(sysconf(_SC_PAGESIZE));
  if (bytes == 0 || bytes > ~base::Bytes{0} - page - kHugePage) return;
  const base::Bytes rounded = (bytes + page - 1) / page * page;
  data_ = rounded < kHugePage ? map(rounded) : map_aligned(rounded);
  if (data_ == nullptr) return;
  size_ = rounded;
  madvise(data_, size_, MADV_HUGEPAGE);  // advice only: a refusal costs speed
}

PageBuffer::~PageBuffer() {
  if (data_ != nullptr) munmap(data_, size_);
}

namespace {

constexpr std::size_t kHugeFrom = std::size_t{512} << 10;
constexpr std::align_val_t kSmallAlignment{64};

std::size_t whole_huge_pages(std::size_t bytes) { return (bytes + kHugePage - 1) / kHugePage * kHugePage; }

}  // namespace

void* allocate_huge(std::size_t count, std::size_t size) {
  if (count > (std::size_t{1} << 62) / size) throw std::bad_array_new_length();
  const std::size_t bytes = count * size;
  if (bytes < kHugeFrom) return ::operator new(bytes, kSmallAlignment);
  std::byte* memory = map_aligned(whole_huge_pages(bytes));
  if (memory == nullptr) throw std::bad_alloc();
  madvise(memory, whole_huge_pages(bytes), MADV_HUGEPAGE);  // advice only, as above
  return memory;
}

void free_huge(void* memory, std::size_t bytes) {
  if (bytes < kHugeFrom) {
    ::operator delete(memory, kSmallAlignment);
  } else {
    munmap(memory, whole_huge_pages(bytes));
  }
}

}  // namespace plait::os
