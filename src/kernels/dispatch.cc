// SPDX-License-Identifier: Apache-2.0
#include "kernels/dispatch.h"

#include <algorithm>

#include "base/check.h"

namespace plait::kernels {

const cpu::KernelTable& kernel_table(Isa isa) {
  PLAIT_CHECK(std::ranges::find(usable_isas(), isa) != usable_isas().end(), name(isa));
  switch (isa) {
    case Isa::generic:
      return cpu::kGenericKernels;
    case Isa::avx2:
      return cpu::kAvx2Kernels;
    case Isa::avxvnni:
      return cpu::kAvxVnniKernels;
    case Isa::avx512:
      return cpu::kAvx512Kernels;
    case Isa::amx:
      return cpu::kAmxKernels;
  }
  return cpu::kGenericKernels;
}

cpu::PanelKernel panel_kernel(const cpu::KernelTable& table, tensor::Type type) {
  using enum tensor::Type;
  switch (type) {
    case f32:
      return table.f32;
    case f16:
      return table.f16;
    case bf16:
      return table.bf16;
    case q4_0:
      return table.q4_0;
    case q4_1:
      return table.q4_1;
    case q5_0:
      return table.q5_0;
    case q5_1:
      return table.q5_1;
    case q8_0:
      return table.q8_0;
    case q2_k:
      return table.q2_k;
    case q3_k:
      return table.q3_k;
    case q4_k:
      return table.q4_k;
    case q5_k:
      return table.q5_k;
    case q6_k:
      return table.q6_k;
    case iq4_nl:
      return table.iq4_nl;
    case iq4_xs:
      return table.iq4_xs;
    case mxfp4:
      return table.mxfp4;
  }
  PLAIT_CHECK(false, static_cast<std::uint32_t>(type));
}

cpu::PanelKernel panel_kernel(const cpu::KernelTable& table, RowForm form, tensor::Type type) {
  if (form == RowForm::wide) return table.int8;
  if (form == RowForm::pairs) return table.pairs;
  return panel_kernel(table, type);
}

}  // namespace plait::kernels
