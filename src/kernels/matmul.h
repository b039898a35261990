// SPDX-License-Identifier: Apache-2.0
//
// Linear layers: y = W x with quantised weights and rows of activations that are quantised on the fly.
//
//   PLAIT_TRY(const auto w, PackedMatrix::pack(parts, team));           // once, at load
//   QuantisedRows rows;                                                // reused
//   quantise_rows(isa, x, m, w.inputs(), w.inputs(), w.row_form(), rows, team);   // once per input and form of rows
//   matmul(isa, w, rows, y, w.outputs(), team);
//
// The arithmetic, for every instruction set, number of rows and number of threads, bit for bit:
//   Rows. Per group of 32 inputs: largest = max|x|; if largest is below 2^-100, scale = 0 and a = 0; if it is not a
//   finite
//     number, scale = NaN and a = 0; else scale = largest / 127, r = 127 / largest, a = round_to_nearest_even(x * r),
//     which lies in [-127, 127]. Each quotient and product is rounded to float. usum = scale * float(sum of a).
//   Products, formats with blocks (weight q of a group of 32 is an integer, the format's offset already subtracted; for
//   IQ4_NL, IQ4_XS and MXFP4 the value of its index in tensor/codebook.h):
//     acc = 0; for each group of 32 inputs in ascending order:
//       one scale per 32:      c = sum of a * q                                    (exact)
//       one scale per 16:      c = s0 * (sum over the first 16) + s1 * (sum over the second 16)   (exact)
//       acc = fma(float(c), scale * d, acc)       d: the weights' scale of this group, for K formats and IQ4_XS d * s
//         (exact), for MXFP4 2^(e - 128), e the block's byte (below 2^-126 a subnormal float, as it is)
//       formats with a minimum:
//         one per 32 (Q4_1, Q5_1, Q4_K, Q5_K):    acc = fma(usum, min, acc)        min = m, for K formats -(dmin * m)
//         one per 16 (Q2_K):                      acc = fma(float(m0 * h0 + m1 * h1), scale * -dmin, acc)   h: half
//         sums of a
//   Products, formats without blocks (F32, F16, BF16): rows are not quantised; acc = fma(x, w, acc) in ascending order.
//   Products of weights made int8 at load (Weights::int8): rows and weights are both quantised as rows are above, in
//     groups of 128 inputs; acc = 0; for each group: acc = fma(float(sum of a * q), scale of a * scale of q, acc).
//   Products of weights made bf16 at load (Weights::bf16): rows and weights are rounded to bf16, to nearest even; acc =
//     0; for each 32 inputs (the last ones filled up with zeros): even = odd = 0; for each two neighbours in ascending
//     order: even = fma(x[2i], w[2i], even), odd = fma(x[2i + 1], w[2i + 1], odd); then acc = acc + (even + odd). All
//     numbers below 2^-126, read or computed, count as zeros of their sign. This is what Intel defines for TDPBF16PS.
// Every fma is one rounding, every other operation is rounded by itself. A quantised row with a number that is not
// finite gives NaN in every output; no row touches another one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "kernels/isa.h"
#include "kernels/rows_view.h"
#include "kernels/weight_memory.h"
#include "os/page_buffer.h"
#include "parallel/team.h"
#include "tensor/matrix_view.h"

namespace plait::kernels {

/// How pack() stores the weights.
enum class Weights {
  exact,  ///< In their own type: the production path.
  int8,   ///< Requantised to 8 bits in groups of 128: other numbers than the file's, and many rows at once are faster.
  bf16,   ///< Rounded to bf16, and so are activations: two bytes a weight; long prompts gain with AMX.
  f32,    ///< Expanded to floats, so that activations are not quantised either: the oracle. Four bytes per weight.
};

/// "exact", "int8", "bf16", "f32".
[[nodiscard]] std::string_view name(Weights weights);

/// The weights of one linear layer, or of several that share their input (q, k, v; gate, up) stacked on top of each
/// other, in the order in which the kernels read them. Immutable; any number of threads may use it.
class PackedMatrix {
 public:
  /// One stacked matrix in packed form: panels of 32 outputs, each one contiguous stream.
  struct Part {
    tensor::Type type;         ///< As packed; if made int8 or bf16, as in the file.
    std::size_t first_output;  ///< Its rows are outputs [first_output, first_output + rows).
    std::size_t rows;
    std::size_t panel_bytes;  ///< Multiple of 64.
    const std::byte* panels;  ///< [ceil(rows / 32)][panel_bytes], 64-byte aligned; missing rows of the last are zero.
  };

  PackedMatrix() = default;  ///< No outputs, no inputs.

  /// Copies `parts` (their bytes may go afterwards) with all members of the team; some 1 ns per weight and thread.
  /// `memory`: where to put them, for models of many matrices; null: a mapping of its own.
  /// Errors: invalid_argument when there is no part, a part has no rows or columns, columns differ or are no whole
  /// number of blocks, or `bytes` is not rows * row_bytes; out_of_resources.
  [[nodiscard]] static base::Result<PackedMatrix> pack(std::span<const tensor::MatrixView> parts, parallel::Team& team,
                                                       Weights weights = Weights::exact,
                                                       WeightMemory* memory = nullptr);

  [[nodiscard]] std::size_t outputs() const { return outputs_; }
  [[nodiscard]] std::size_t inputs() const { return inputs_; }
  [[nodiscard]] base::Bytes bytes() const { return bytes_; }            ///< Memory held.
  [[nodiscard]] base::Bytes file_bytes() const { return file_bytes_; }  ///< What the parts took in the file.
  [[nodiscard]] std::span<const Part> parts() const { return parts_; }
  [[nodiscard]] RowForm row_form() const { return row_form_; }  ///< What matmul() wants to be given.

  /// Row `row` of the stacked matrix as floats, [inputs]: unless it was made int8 or bf16, the bits of
  /// tensor::dequantise. For embeddings.
  /// Requires: row < outputs(), out.size() == inputs().
  void dequantise_row(std::size_t row, std::span<float> out) const;

 private:
  std::size_t outputs_ = 0;
  std::size_t inputs_ = 0;
  base::Bytes file_bytes_ = 0;
  base::Bytes bytes_ = 0;
  RowForm row_form_ = RowForm::floats;
  std::vector<Part> parts_;
  std::shared_ptr<const os::PageBuffer> owner_;
};

/// Rows of activations as the kernels read them. Reusable: grows to the largest size seen, then never allocates.
class QuantisedRows {
 public:
  [[nodiscard]] std::size_t rows() const { return view_.m; }
  [[nodiscard]] std::size_t inputs() const { return view_.k; }
  [[nodiscard]] const RowsView& view() const { return view_; }

  /// Makes room for [m, k] and sets the view; contents are undefined. For quantise_rows().
  void resize(std::size_t m, std::size_t k, RowForm form);
  void set_source(const float* x, std::size_t stride);

 private:
  RowsView view_;
  os::PageBuffer buffer_;
};

/// Quantises x, [m, k] with row stride `stride` (in floats), into `out`. `x` must stay unchanged as long as `out` is
/// used with weights of type F32, F16 or BF16, which read the floats themselves.
void quantise_rows(Isa isa, const float* x, std::size_t m, std::size_t k, std::size_t stride, RowForm form,
                   QuantisedRows& out, parallel::Team& team);

/// What quantise_rows() does, for rows `rows` of `out`, which has its size, form and source already, and their inputs
/// `inputs`, whose borders are borders of groups: for rows that are made piece by piece. x: [rows, inputs] with row
/// stride `stride`. Different parts may be quantised at the same time; rows of a block (see RowsView) share cache
/// lines.
void quantise_part(Isa isa, const float* x, std::size_t stride, parallel::Range rows, parallel::Range inputs,
                   QuantisedRows& out);

/// y[row, output] = sum of w[output, i] * x[row, i], y [m, outputs] with row stride y_stride (in floats).
/// Requires: w.inputs() == x.inputs(), x in w.row_form(), y_stride >= w.outputs(). No allocation in the steady state.
/// One region of the team.
void matmul(Isa isa, const PackedMatrix& w, const QuantisedRows& x, float* y, std::size_t y_stride,
            parallel::Team& team);

/// A member's share of matmul() as a function, for regions that have other things to do before or after:
///   team.run_in_turn(prepare_rows, Product(isa, w, rows, y, w.outputs(), {}, team.size()));
/// `bias`: [outputs], added to the sums, or empty. x has its size and form when the product is made; its contents and
/// everything else are looked at in the region.
class Product {
 public:
  Product(Isa isa, const PackedMatrix& w, const QuantisedRows& x, float* y, std::size_t y_stride,
          std::span<const float> bias, int members);
  void operator()(int member) const;

 private:
  Isa isa_;
  const PackedMatrix& w_;
  const RowsView& rows_;
  float* y_;
  std::size_t y_stride_;
  std::span<const float> bias_;
  std::size_t members_;
};

/// Rows [first, first + rows) of a batch and the weights that they go through: one expert's share.
struct RowGroup {
  const PackedMatrix* w = nullptr;
  std::size_t first = 0;
  std::size_t rows = 0;
};

/// y = W x for the rows of every group, each with its group's weights, which are read once: a row's bits are those of
/// matmul(). x: row stride x_stride, y: row stride y_stride. `scratch` grows to the largest call and stays, one call at
/// a time. Requires: groups ascending and disjoint. One region of the team.
void matmul_grouped(Isa isa, std::span<const RowGroup> groups, const float* x, std::size_t x_stride, float* y,
                    std::size_t y_stride, std::vector<QuantisedRows>& scratch, parallel::Team& team);

/// The definition above in scalar code, from blocks as they are in the file: one part, y [m, rows] with row stride
/// y_stride. `weights`: not f32. The oracle of the kernels' tests; slow.
void matmul_reference(const tensor::MatrixView& w, const float* x, std::size_t m, std::size_t x_stride, float* y,
                      std::size_t y_stride, Weights weights = Weights::exact);

}  // namespace plait::kernels
