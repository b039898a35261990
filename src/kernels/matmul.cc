// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul.h"

#include <algorithm>
#include <atomic>

#include "base/check.h"
#include "kernels/dispatch.h"
#include "kernels/elementwise.h"

namespace plait::kernels {
namespace {

// Reading a panel costs about as much as computing this many rows with it.
constexpr std::size_t kRowsPerRead = 4;

// Rows of bf16 and panels beyond so many steps no longer stay in the level-2 cache together; fewer rows read the
// panels only once.
constexpr std::size_t kPairStepsMax = 32;
constexpr std::size_t kPairRowsMin = 32;

// A span of panels across the stacked parts, by bytes.
struct Work {
  const PackedMatrix& w;
  const RowsView& rows;
  const cpu::KernelTable& kernels;
  float* y;
  std::size_t y_stride;
};

std::size_t panel_count(const PackedMatrix::Part& part) { return (part.rows + kPanel - 1) / kPanel; }

struct Range {
  std::size_t begin, end;
};

// Panels [begin, end), counted through all parts, with some rows, and of panels made bf16 some steps.
void multiply_panels(const Work& work, std::size_t begin, std::size_t end, Range rows, Range steps) {
  std::size_t first = 0;  // panel of the part
  for (const PackedMatrix::Part& part : work.w.parts()) {
    const std::size_t count = panel_count(part);
    const cpu::PanelKernel kernel = panel_kernel(work.kernels, work.rows.form, part.type);
    for (std::size_t panel = std::max(begin, first); panel < std::min(end, first + count); ++panel) {
      const std::size_t index = panel - first;
      const std::byte* stream = part.panels + index * part.panel_bytes;
      const bool last = panel + 1 == std::min(end, first + count);
      kernel({.panel = stream,
              .rows = &work.rows,
              .row_begin = rows.begin,
              .row_end = rows.end,
              .y = work.y + part.first_output + index * kPanel,
              .y_stride = work.y_stride,
              .outputs = std::min(kPanel, part.rows - index * kPanel),
              .next = last ? nullptr : stream + part.panel_bytes,
              .next_bytes = part.panel_bytes,
              .step_begin = steps.begin,
              .step_end = steps.end});
    }
    first += count;
  }
}

// Panels [begin, end) with all rows.
void multiply_share(const Work& work, std::size_t begin, std::size_t end) {
  const std::size_t steps = work.rows.form == RowForm::pairs ? work.rows.steps : 1;
  for (std::size_t row = 0; row < work.rows.m; row += kRowsAtOnce) {
    const Range rows{row, std::min(work.rows.m, row + kRowsAtOnce)};
    const bool in_pieces =
        steps > kPairStepsMax && rows.end - rows.begin > kPairRowsMin && work.kernels.pair_steps != 0;
    const std::size_t piece = in_pieces ? work.kernels.pair_steps : steps;
    for (std::size_t step = 0; step < steps; step += piece) {
      multiply_panels(work, begin, end, rows, {step, std::min(steps, step + piece)});
    }
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

// The first output of a panel, counted through all parts; behind the last one all outputs.
std::size_t first_output(const PackedMatrix& w, std::size_t panel) {
  for (const PackedMatrix::Part& part : w.parts()) {
    if (panel < panel_count(part)) return part.first_output + panel * kPanel;
    panel -= panel_count(part);
  }
  return w.outputs();
}

std::size_t group_cost(const RowGroup& group) { return stream_bytes(*group.w) * (group.rows + kRowsPerRead); }

}  // namespace

Product::Product(Isa isa, const PackedMatrix& w, const QuantisedRows& x, float* y, std::size_t y_stride,
                 std::span<const float> bias, int members)
    : isa_(isa),
      w_(w),
      rows_(x.view()),
      y_(y),
      y_stride_(y_stride),
      bias_(bias),
      members_(static_cast<std::size_t>(members)) {
  PLAIT_CHECK(w.inputs() == x.inputs() && w.row_form() == x.view().form, w.inputs(), x.inputs());
  PLAIT_CHECK(bias.empty() || bias.size() == w.outputs(), bias.size(), w.outputs());
  PLAIT_ASSERT(y_stride >= w.outputs() || x.rows() <= 1, y_stride, w.outputs());
}

void Product::operator()(int member) const {
  const Work work{w_, rows_, kernel_table(isa_), y_, y_stride_};
  const auto self = static_cast<std::size_t>(member);
  const std::size_t bytes = stream_bytes(w_);
  const std::size_t begin = panel_at(w_, bytes / members_ * self);
  const std::size_t end = self + 1 == members_ ? panel_at(w_, bytes) : panel_at(w_, bytes / members_ * (self + 1));
  multiply_share(work, begin, end);
  if (work.kernels.finish != nullptr) work.kernels.finish();
  if (bias_.empty()) return;
  const std::size_t first = first_output(w_, begin);
  const std::size_t count = first_output(w_, end) - first;
  for (std::size_t row = 0; row < rows_.m; ++row) {
    float* outputs = y_ + row * y_stride_ + first;
    add(isa_, outputs, bias_.data() + first, count, outputs);
  }
}

void matmul(Isa isa, const PackedMatrix& w, const QuantisedRows& x, float* y, std::size_t y_stride,
            parallel::Team& team) {
  team.run(Product(isa, w, x, y, y_stride, {}, team.size()));
}

void matmul_grouped(Isa isa, std::span<const RowGroup> groups, const float* x, std::size_t x_stride, float* y,
                    std::size_t y_stride, std::vector<QuantisedRows>& scratch, parallel::Team& team) {
  if (groups.empty()) return;
  if (scratch.size() < groups.size()) scratch.resize(groups.size());
  const cpu::KernelTable& kernels = kernel_table(isa);
  const std::size_t rows = groups.back().first + groups.back().rows;
  std::size_t total = 0;
  for (const RowGroup& group : groups) total += group_cost(group);
  team.run([&](int member) {
    const auto members = static_cast<std::size_t>(team.size());
    const auto self = static_cast<std::size_t>(member);
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const RowGroup& group = groups[i];
      if (group.first * members / rows != self) continue;
      quantise_rows(isa, x + group.first * x_stride, group.rows, group.w->inputs(), x_stride, group.w->row_form(),
                    scratch[i], team);
    }
    team.barrier();
    const std::size_t begin = total / members * self;
    const std::size_t end = self + 1 == members ? total : total / members * (self + 1);
    std::size_t first = 0;  // cost of the groups before
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const RowGroup& group = groups[i];
      const std::size_t cost = group_cost(group);
      const auto panel = [&](std::size_t at) {  // the border of shares at cost `at`
        return panel_at(*group.w, std::min(at - std::min(at, first), cost) / (group.rows + kRowsPerRead));
      };
      multiply_share({*group.w, scratch[i].view(), kernels, y + group.first * y_stride, y_stride}, panel(begin),
                     panel(end));
      first += cost;
    }
    if (kernels.finish != nullptr) kernels.finish();
  });
}

}  // namespace plait::kernels
