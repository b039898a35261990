// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cpu/panel_kernels.h"
#include "kernels/isa.h"
#include "kernels/rows_view.h"
#include "tensor/type.h"

namespace plait::kernels {

/// The kernels of an instruction set. Requires: `isa` is one of usable_isas().
[[nodiscard]] const cpu::KernelTable& kernel_table(Isa isa);

/// The kernel of a weight type.
[[nodiscard]] cpu::PanelKernel panel_kernel(const cpu::KernelTable& table, tensor::Type type);
/// The kernel for rows of a form: panels that were made over at load have one of their own.
[[nodiscard]] cpu::PanelKernel panel_kernel(const cpu::KernelTable& table, RowForm form, tensor::Type type);

}  // namespace plait::kernels
