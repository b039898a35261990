// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/panel_kernels.h"
#include "kernels/dispatch.h"
#include "kernels/matmul.h"

namespace plait::kernels {
namespace {

// Below this many numbers a second thread costs more than it saves: about 0.2 ns each against some 300 ns for a region.
constexpr std::size_t kAloneMax = 4096;

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

// Groups [begin, end) of all rows of the block that starts at row `first`.
void quantise_block(const cpu::KernelTable& kernels, const RowsView& rows, std::size_t first, std::size_t begin,
                    std::size_t end) {
  const std::size_t count = std::min(kRowBlock, rows.m - first);
  for (std::size_t row = 0; row < count; ++row) {
    const std::size_t at = first * rows.groups + begin * count + row;
    kernels.quantise({.x = rows.x + (first + row) * rows.x_stride + begin * kGroup,
                      .k = std::min(rows.k, end * kGroup) - begin * kGroup,
                      .a = rows.a + at * kGroup,
                      .scale = rows.scale + at,
                      .usum = rows.usum + at,
                      .minus_sum = rows.minus_sum + at,
                      .minus_first = rows.minus_first + at,
                      .minus_second = rows.minus_second + at,
                      .stride = count});
  }
}

// Groups [begin, end), counted through all blocks: shares of a block border on each other in one place of memory, while
// rows of a block lie side by side in every cache line.
void quantise_groups(const cpu::KernelTable& kernels, const RowsView& rows, std::size_t begin, std::size_t end) {
  while (begin < end) {
    const std::size_t block = begin / rows.groups;
    const std::size_t last = std::min(end, (block + 1) * rows.groups);
    const std::size_t before = block * rows.groups;
    quantise_block(kernels, rows, block * kRowBlock, begin - before, last - before);
    begin = last;
  }
}

}  // namespace

void QuantisedRows::resize(std::size_t m, std::size_t k) {
  const std::size_t groups = (k + kGroup - 1) / kGroup;
  const std::size_t numbers = m * groups;
  const std::size_t plane = aligned(4 * numbers);
  // The 64 bytes at the end: kernels may read the numbers of up to 15 rows that a block lacks.
  const std::size_t bytes = aligned(numbers * kGroup) + 5 * plane + 64;
  if (buffer_.size() < bytes) {
    buffer_ = os::PageBuffer();
    buffer_ = os::PageBuffer(bytes);
    PLAIT_CHECK(buffer_.data() != nullptr, bytes);
  }
  std::byte* at = buffer_.data();
  const auto take = [&at](std::size_t size) {
    std::byte* begin = at;
    at += size;
    return begin;
  };
  view_ = {.m = m, .k = k, .groups = groups};
  if (numbers == 0) return;
  view_.a = reinterpret_cast<std::int8_t*>(take(aligned(numbers * kGroup)));
  view_.scale = reinterpret_cast<float*>(take(plane));
  view_.usum = reinterpret_cast<float*>(take(plane));
  view_.minus_sum = reinterpret_cast<std::int32_t*>(take(plane));
  view_.minus_first = reinterpret_cast<std::int32_t*>(take(plane));
  view_.minus_second = reinterpret_cast<std::int32_t*>(take(plane));
}

void QuantisedRows::set_source(const float* x, std::size_t stride) {
  view_.x = x;
  view_.x_stride = stride;
}

void quantise_rows(Isa isa, const float* x, std::size_t m, std::size_t k, std::size_t stride, QuantisedRows& out,
                   parallel::Team& team) {
  PLAIT_ASSERT(stride >= k || m <= 1, stride, k);
  out.resize(m, k);
  out.set_source(x, stride);
  const cpu::KernelTable& kernels = kernel_table(isa);
  const RowsView& rows = out.view();
  const std::size_t groups = (m + kRowBlock - 1) / kRowBlock * rows.groups;
  if (m * k <= kAloneMax) return quantise_groups(kernels, rows, 0, groups);
  team.run([&](int member) {
    const auto [begin, end] = parallel::part(groups, member, team.size());
    quantise_groups(kernels, rows, begin, end);
  });
}

}  // namespace plait::kernels
