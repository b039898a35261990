// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/panel_kernels.h"
#include "kernels/dispatch.h"
#include "kernels/matmul.h"

namespace plait::kernels {
namespace {

// Below this many numbers a second thread costs more than it saves: about 0.2 ns each against 1 to 2 µs for a region.
constexpr std::size_t kAloneMax = 8192;

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

// Wide groups [begin, end) of all rows of the block that starts at row `first`.
void quantise_wide_block(const cpu::KernelTable& kernels, const RowsView& rows, std::size_t first, std::size_t begin,
                         std::size_t end) {
  const std::size_t count = std::min(kRowBlock, rows.m - first);
  const std::size_t step = begin * (kWideGroup / kWideStep);
  for (std::size_t row = 0; row < count; ++row) {
    const std::size_t at = first * rows.groups + begin * count + row;
    kernels.quantise_wide({.x = rows.x + (first + row) * rows.x_stride + begin * kWideGroup,
                           .k = std::min(rows.k, end * kWideGroup) - begin * kWideGroup,
                           .a = rows.a + (first * rows.steps + step * count + row) * kWideStep,
                           .scale = rows.scale + at,
                           .minus_sum = rows.minus_sum + at,
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
    const auto quantise = rows.form == RowForm::wide ? quantise_wide_block : quantise_block;
    quantise(kernels, rows, block * kRowBlock, begin - before, last - before);
    begin = last;
  }
}

}  // namespace

void QuantisedRows::resize(std::size_t m, std::size_t k, RowForm form) {
  view_ = {.m = m, .k = k, .form = form};
  if (m == 0 || form == RowForm::floats) return;
  const bool wide = form == RowForm::wide;
  const std::size_t group = wide ? kWideGroup : kGroup;
  const std::size_t step = wide ? kWideStep : kGroup;
  view_.groups = (k + group - 1) / group;
  view_.steps = (k + step - 1) / step;
  const std::size_t quants = aligned(m * view_.steps * step);
  const std::size_t plane = aligned(4 * m * view_.groups);
  // The 64 bytes at the end: kernels may read the numbers of up to 15 rows that a block lacks.
  const std::size_t bytes = quants + 5 * plane + 64;
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
  view_.a = reinterpret_cast<std::int8_t*>(take(quants));
  view_.scale = reinterpret_cast<float*>(take(plane));
  view_.minus_sum = reinterpret_cast<std::int32_t*>(take(plane));
  if (wide) return;
  view_.usum = reinterpret_cast<float*>(take(plane));
  view_.minus_first = reinterpret_cast<std::int32_t*>(take(plane));
  view_.minus_second = reinterpret_cast<std::int32_t*>(take(plane));
}

void QuantisedRows::set_source(const float* x, std::size_t stride) {
  view_.x = x;
  view_.x_stride = stride;
}

void quantise_rows(Isa isa, const float* x, std::size_t m, std::size_t k, std::size_t stride, RowForm form,
                   QuantisedRows& out, parallel::Team& team) {
  PLAIT_ASSERT(stride >= k || m <= 1, stride, k);
  out.resize(m, k, form);
  out.set_source(x, stride);
  if (form == RowForm::floats) return;
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
