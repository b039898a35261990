// SPDX-License-Identifier: Apache-2.0
//
// What an instruction set brings: one function per weight type that multiplies one panel of 32 outputs with some rows,
// and one that quantises a row. These headers are included by units compiled for an instruction set, so they hold no
// inline code.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/rows_view.h"

namespace plait::kernels::cpu {

struct PanelTask {
  const std::byte* panel = nullptr;  ///< See kernels/pack_format.h.
  const RowsView* rows = nullptr;
  std::size_t row_begin = 0;  ///< Multiple of 16.
  std::size_t row_end = 0;    ///< Multiple of 16, or the last row's end; at most kRowsAtOnce behind row_begin.
  float* y = nullptr;         ///< Where output 0 of the panel and row 0 go.
  std::size_t y_stride = 0;
  std::size_t outputs = 32;         ///< Outputs of the panel that exist; the others are not written.
  const std::byte* next = nullptr;  ///< The panel that will be asked for after this one, or null.
  std::size_t next_bytes = 0;
  /// Panels made bf16 where KernelTable::pair_steps is not 0: steps of 32 inputs to add to what y holds (from 0 on: to
  /// nothing). Others take all.
  std::size_t step_begin = 0;
  std::size_t step_end = SIZE_MAX;
};

using PanelKernel = void (*)(const PanelTask& task);

/// Some inputs, from the beginning of a group on, of some rows of a block of `stride` rows. In the wide form only `a`,
/// `scale` and `minus_sum` are written.
struct QuantiseTask {
  const float* x = nullptr;  ///< [rows, k] with row stride x_stride
  std::size_t x_stride = 0;
  std::size_t rows = 1;
  std::size_t k = 0;         ///< Inputs that exist; what a last group lacks counts as zero.
  std::int8_t* a = nullptr;  ///< Group g of row r at a + (g * stride + r) * 32, wide: step s at a + (s * stride + r) *
                             ///< 64; likewise below.
  float* scale = nullptr;
  float* usum = nullptr;
  std::int32_t* minus_sum = nullptr;
  std::int32_t* minus_first = nullptr;
  std::int32_t* minus_second = nullptr;
  std::uint16_t* pairs = nullptr;  ///< In pairs only this is written: step s at pairs + (s * stride + r) * 32.
  std::size_t stride = 1;
};

using QuantiseKernel = void (*)(const QuantiseTask& task);

struct KernelTable {
  PanelKernel f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, mxfp4;
  PanelKernel int8;            ///< Panels and rows of the wide form.
  PanelKernel pairs;           ///< Panels made bf16, rows in pairs.
  std::size_t pair_steps = 0;  ///< Of a long panel made bf16, steps that many rows should pass over at a time; 0: all.
  QuantiseKernel quantise;
  QuantiseKernel quantise_wide;
  QuantiseKernel round_pairs;
  void (*finish)() = nullptr;  ///< If not null: to be called by each thread after its last panel of a product.
};

extern const KernelTable kGenericKernels;
extern const KernelTable kAvx2Kernels;
extern const KernelTable kAvxVnniKernels;
extern const KernelTable kAvx512Kernels;
extern const KernelTable kAmxKernels;
/// The AMX kernels with tiles in memory and portable code: for tests of their logic on machines without AMX. Slow.
extern const KernelTable kTileStandIn;

}  // namespace plait::kernels::cpu
