// SPDX-License-Identifier: Apache-2.0
#include "kernels/gated_product.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "kernels/dispatch.h"
#include "kernels/elementwise.h"

namespace plait::kernels {
namespace {

/// Panels of a unit, at least: a wide group of the next product.
constexpr std::size_t kUnitPanels = kWideGroup / kPanel;
/// Fewer rows take all of a member's gates and then all of its ups, since their time is that of reading two streams.
constexpr std::size_t kRowsOfUnits = 16;

}  // namespace

/// Some gates and their ups, for some rows.
struct GatedProduct::Unit {
  std::size_t panel = 0;  ///< Of the gates,
  std::size_t panel_end = 0;
  std::size_t share_end = 0;  ///< the member's last one.
  parallel::Range rows = {};
  float* scratch = nullptr;  ///< [rows][gates, ups][outputs of a unit]
};

GatedProduct::GatedProduct(Isa isa, const PackedMatrix& w, const QuantisedRows& x, std::span<const float> bias,
                           GateFunction gate, RowForm form, QuantisedRows& out, os::HugeVector<float>& floats,
                           os::HugeVector<float>& scratch, int members)
    : isa_(isa), w_(w), rows_(x.view()), bias_(bias), gate_(gate), out_(out), members_(members) {
  PLAIT_CHECK(w.parts().size() == 2 && w.parts()[0].rows == w.parts()[1].rows, w.parts().size(), w.outputs());
  PLAIT_CHECK(w.inputs() == x.inputs() && w.row_form() == x.view().form, w.inputs(), x.inputs());
  PLAIT_CHECK(bias.empty() || bias.size() == w.outputs(), bias.size(), w.outputs());
  const std::size_t n = w.parts()[0].rows;
  out.resize(x.rows(), n, form);
  if (form == RowForm::floats && floats.size() < x.rows() * n) floats.resize(x.rows() * n);
  unit_panels_ = kUnitPanels;
  for (int member = 0; member < members && x.rows() < kRowsOfUnits; ++member) {
    unit_panels_ = std::max(unit_panels_, share(member).end - share(member).begin);
  }
  const std::size_t size = std::min(x.rows(), kRowsAtOnce) * scratch_stride() * static_cast<std::size_t>(members);
  if (scratch.size() < size) scratch.resize(size);
  out.set_source(floats.data(), n);
  floats_ = floats.data();
  scratch_ = scratch.data();
}

/// Panels of gates; those of their ups belong to it.
parallel::Range GatedProduct::share(int member) const {
  const std::size_t panels = (w_.parts()[0].rows + kPanel - 1) / kPanel;
  return parallel::part(panels, member, members_, out_.view().form == RowForm::wide ? kUnitPanels : 1);
}

void GatedProduct::operator()(int member) const {
  using Clock = std::chrono::steady_clock;
  const auto [begin, end] = share(member);
  const std::size_t floats = std::min(rows_.m, kRowsAtOnce) * scratch_stride();
  Unit unit{.share_end = end, .scratch = scratch_ + static_cast<std::size_t>(member) * floats};
  double* seconds = member == 0 ? seconds_ : nullptr;
  for (std::size_t row = 0; row < rows_.m; row += kRowsAtOnce) {
    unit.rows = {row, std::min(rows_.m, row + kRowsAtOnce)};
    for (unit.panel = begin; unit.panel < end; unit.panel = unit.panel_end) {
      unit.panel_end = std::min(end, unit.panel + unit_panels_);
      multiply(unit);
      const Clock::time_point start = seconds != nullptr ? Clock::now() : Clock::time_point();
      finish(unit);
      if (seconds != nullptr) *seconds += std::chrono::duration<double>(Clock::now() - start).count();
    }
  }
  if (const auto release = kernel_table(isa_).finish; release != nullptr) release();
}

/// Gates, then ups, each panel asking for the next one.
void GatedProduct::multiply(const Unit& unit) const {
  const cpu::KernelTable& kernels = kernel_table(isa_);
  const std::size_t count = unit.panel_end - unit.panel;
  const auto part_of = [&](std::size_t i) -> const PackedMatrix::Part& { return w_.parts()[i / count % 2]; };
  const auto panel_of = [&](std::size_t i) { return unit.panel + i % count + i / (2 * count) * count; };
  const auto stream = [&](std::size_t i) { return part_of(i).panels + panel_of(i) * part_of(i).panel_bytes; };
  // Kernels count rows from the first of all on.
  float* scratch = unit.scratch - unit.rows.begin * scratch_stride();
  for (std::size_t i = 0; i < 2 * count; ++i) {
    const PackedMatrix::Part& part = part_of(i);
    const cpu::PanelKernel kernel = panel_kernel(kernels, rows_.form, part.type);
    kernel({.panel = stream(i),
            .rows = &rows_,
            .row_begin = unit.rows.begin,
            .row_end = unit.rows.end,
            .y = scratch + i / count * unit_panels_ * kPanel + i % count * kPanel,
            .y_stride = scratch_stride(),
            .outputs = std::min(kPanel, part.rows - panel_of(i) * kPanel),
            .next = panel_of(i + 1) < unit.share_end ? stream(i + 1) : nullptr,
            .next_bytes = part_of(i + 1).panel_bytes,
            .step_end = rows_.steps});
  }
}

/// Bias, activation and the rows of the next product.
void GatedProduct::finish(const Unit& unit) const {
  const std::size_t n = w_.parts()[0].rows;
  const std::size_t first = unit.panel * kPanel;
  const std::size_t count = std::min(n, unit.panel_end * kPanel) - first;
  const bool quantised = out_.view().form != RowForm::floats;
  for (std::size_t row = unit.rows.begin; row < unit.rows.end; ++row) {
    float* gates = unit.scratch + (row - unit.rows.begin) * scratch_stride();
    float* ups = gates + unit_panels_ * kPanel;
    if (!bias_.empty()) {
      add(isa_, gates, bias_.data() + first, count, gates);
      add(isa_, ups, bias_.data() + n + first, count, ups);
    }
    gate_(isa_, gates, ups, count, quantised ? gates : floats_ + row * n + first);
  }
  if (quantised) quantise_part(isa_, unit.scratch, scratch_stride(), unit.rows, {first, first + count}, out_);
}

}  // namespace plait::kernels
