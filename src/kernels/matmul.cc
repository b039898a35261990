// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul.h"

#include <algorithm>
#include <atomic>

#include "base/check.h"
#include "kernels/dispatch.h"

namespace plait::kernels {
namespace {

// Rows that pass over a panel before the next panel: their quants, 256 * 1.5 KiB for an input of 1,536, stay in the
// level-2 cache beside two panels.
constexpr std::size_t kRowsAtOnce = 256;

// A span of panels across the stacked parts, by bytes.
struct Work {
  const PackedMatrix& w;
  const RowsView& rows;
  const cpu::KernelTable& kernels;
  float* y;
  std::size_t y_stride;
};

std::size_t panel_count(const PackedMatrix::Part& part) { return (part.rows + kPanel - 1) / kPanel; }

// Panels [begin, end), counted through all parts, with rows [row_begin, row_end).
void multiply_panels(const Work& work, std::size_t begin, std::size_t end, std::size_t row_begin, std::size_t row_end) {
  std::size_t first = 0;  // panel of the part
  for (const PackedMatrix::Part& part : work.w.parts()) {
    const std::size_t count = panel_count(part);
    const cpu::PanelKernel kernel = panel_kernel(work.kernels, part.type);
    for (std::size_t panel = std::max(begin, first); panel < std::min(end, first + count); ++panel) {
      const std::size_t index = panel - first;
      const std::byte* stream = part.panels + index * part.panel_bytes;
      const bool last = panel + 1 == std::min(end, first + count);
      kernel({.panel = stream,
              .rows = &work.rows,
              .row_begin = row_begin,
              .row_end = row_end,
              .y = work.y + part.first_output + index * kPanel,
              .y_stride = work.y_stride,
              .outputs = std::min(kPanel, part.rows - index * kPanel),
              .next = last ? nullptr : stream + part.panel_bytes,
              .next_bytes = part.panel_bytes});
    }
    first += count;
  }
}

// The first panel at or after `byte` of the packed stream: cuts the work by what is read, not by panels.
std::size_t panel_at(const PackedMatrix& w, std::size_t byte) {
  std::size_t first = 0;
  for (const PackedMatrix::Part& part : w.parts()) {
    const std::size_t count = panel_count(part);
    if (byte < count * part.panel_bytes) return first + (byte + part.panel_bytes / 2) / part.panel_bytes;
    byte -= count * part.panel_bytes;
    first += count;
  }
  return first;
}

std::size_t stream_bytes(const PackedMatrix& w) {
  std::size_t bytes = 0;
  for (const PackedMatrix::Part& part : w.parts()) bytes += panel_count(part) * part.panel_bytes;
  return bytes;
}

}  // namespace

void matmul(Isa isa, const PackedMatrix& w, const QuantisedRows& x, float* y, std::size_t y_stride,
            parallel::Team& team) {
  PLAIT_CHECK(w.inputs() == x.inputs(), w.inputs(), x.inputs());
  PLAIT_ASSERT(y_stride >= w.outputs() || x.rows() <= 1, y_stride, w.outputs());
  const Work work{w, x.view(), kernel_table(isa), y, y_stride};
  const std::size_t bytes = stream_bytes(w);
  const std::size_t rows = x.rows();
  team.run([&](int member) {
    const auto members = static_cast<std::size_t>(team.size());
    const auto self = static_cast<std::size_t>(member);
    const std::size_t begin = panel_at(w, bytes / members * self);
    const std::size_t end = self + 1 == members ? panel_at(w, bytes) : panel_at(w, bytes / members * (self + 1));
    for (std::size_t row = 0; row < rows; row += kRowsAtOnce) {
      multiply_panels(work, begin, end, row, std::min(rows, row + kRowsAtOnce));
    }
    if (work.kernels.finish != nullptr) work.kernels.finish();
  });
}

}  // namespace plait::kernels
