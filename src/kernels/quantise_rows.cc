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

// Inputs [begin, end) of rows [first, last), which are of one block; x: [last - first, end - begin].
void quantise_in_block(const cpu::KernelTable& kernels, const RowsView& rows, const float* x, std::size_t x_stride,
                       parallel::Range which, parallel::Range inputs) {
  const bool wide = rows.form == RowForm::wide;
  const std::size_t block = which.begin / kRowBlock * kRowBlock;
  const std::size_t stride = std::min(kRowBlock, rows.m - block);
  const std::size_t group = inputs.begin / (wide ? kWideGroup : kGroup);
  const std::size_t step = wide ? kWideStep : kGroup;
  const std::size_t row = which.begin - block;
  const std::size_t at = block * rows.groups + group * stride + row;
  if (rows.form == RowForm::pairs) {
    return kernels.round_pairs({.x = x,
                                .x_stride = x_stride,
                                .rows = which.end - which.begin,
                                .k = inputs.end - inputs.begin,
                                .pairs = rows.pairs + at * kPairStep,
                                .stride = stride});
  }
  const auto plane = [at](auto* p) { return p == nullptr ? nullptr : p + at; };
  (wide ? kernels.quantise_wide : kernels.quantise)({
      .x = x,
      .x_stride = x_stride,
      .rows = which.end - which.begin,
      .k = inputs.end - inputs.begin,
      .a = rows.a + (block * rows.steps + inputs.begin / step * stride + row) * step,
      .scale = plane(rows.scale),
      .usum = plane(rows.usum),
      .minus_sum = plane(rows.minus_sum),
      .minus_first = plane(rows.minus_first),
      .minus_second = plane(rows.minus_second),
      .stride = stride,
  });
}

// Groups [begin, end) of rows.x, counted through all blocks: shares of a block border on each other in one place of
// memory, while rows of a block lie side by side in every cache line.
void quantise_groups(const cpu::KernelTable& kernels, const RowsView& rows, std::size_t begin, std::size_t end) {
  const std::size_t size = rows.form == RowForm::wide ? kWideGroup : kGroup;
  while (begin < end) {
    const std::size_t block = begin / rows.groups;
    const std::size_t last = std::min(end, (block + 1) * rows.groups);
    const std::size_t before = block * rows.groups;
    const parallel::Range inputs{(begin - before) * size, std::min(rows.k, (last - before) * size)};
    const parallel::Range which{block * kRowBlock, std::min(rows.m, (block + 1) * kRowBlock)};
    quantise_in_block(kernels, rows, rows.x + which.begin * rows.x_stride + inputs.begin, rows.x_stride, which, inputs);
    begin = last;
  }
}

}  // namespace

void QuantisedRows::resize(std::size_t m, std::size_t k, RowForm form) {
  view_ = {.m = m, .k = k, .form = form};
  if (m == 0 || form == RowForm::floats) return;
  const bool wide = form == RowForm::wide;
  const bool pairs = form == RowForm::pairs;
  const std::size_t group = wide ? kWideGroup : kGroup;
  const std::size_t step = wide ? kWideStep : kGroup;
  view_.groups = (k + group - 1) / group;
  view_.steps = (k + step - 1) / step;
  const std::size_t quants = aligned(m * view_.steps * step * (pairs ? 2 : 1));
  const std::size_t plane = aligned(4 * m * view_.groups);
  // The 64 bytes at the end: kernels may read the numbers of up to 15 rows that a block lacks.
  const std::size_t bytes = quants + (pairs ? 0 : 5 * plane + 64);
  if (buffer_.size() < bytes) {
    buffer_ = os::PageBuffer();
    buffer_ = os::PageBuffer(bytes);
    PLAIT_CHECK(buffer_.data() != nullptr, bytes);
  }
  if (pairs) {
    view_.pairs = reinterpret_cast<std::uint16_t*>(buffer_.data());
    return;
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

void quantise_part(Isa isa, const float* x, std::size_t stride, parallel::Range rows, parallel::Range inputs,
                   QuantisedRows& out) {
  const RowsView& view = out.view();
  PLAIT_ASSERT(rows.end <= view.m && inputs.end <= view.k, rows.end, inputs.end);
  if (view.form == RowForm::floats) return;
  PLAIT_ASSERT(inputs.begin % (view.form == RowForm::wide ? kWideGroup : kGroup) == 0, inputs.begin);
  const cpu::KernelTable& kernels = kernel_table(isa);
  while (rows.begin < rows.end) {
    const std::size_t end = std::min(rows.end, rows.begin / kRowBlock * kRowBlock + kRowBlock);
    quantise_in_block(kernels, view, x, stride, {rows.begin, end}, inputs);
    x += (end - rows.begin) * stride;
    rows.begin = end;
  }
}

}  // namespace plait::kernels
