// SPDX-License-Identifier: Apache-2.0
//
// The first half of a feed-forward layer: activation(gate) * up, gates and ups being two matrices that read the same
// rows. A member multiplies the panels of some gates and those of their ups, and goes on with these outputs while they
// are in its caches: they get their bias and their activation and are quantised as the rows of the next product. So
// gates and ups are never written to memory, and nobody waits between the product and what comes behind it.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "os/page_buffer.h"

namespace plait::kernels {

/// silu_mul(), gelu_mul() or another one of elementwise.h.
using GateFunction = void (*)(Isa isa, const float* gate, const float* up, std::size_t n, float* out);

/// A member's share of it as a function, like Product.
class GatedProduct {
 public:
  /// `w`: two matrices of n outputs each, first gates, then ups, with biases [2 n] or none. x: its rows; has its size
  /// and form now and its contents in the region. The results go to `out`, which gets room for [m, n] in the form
  /// `form` now: its floats to `floats`, [m, n], if the form is floats, and nowhere else. The bits are those of
  /// matmul(), add(), `gate` and quantise_rows(). `scratch` grows to the largest call and stays, one call at a time.
  GatedProduct(Isa isa, const PackedMatrix& w, const QuantisedRows& x, std::span<const float> bias, GateFunction gate,
               RowForm form, QuantisedRows& out, os::HugeVector<float>& floats, os::HugeVector<float>& scratch,
               int members);
  void operator()(int member) const;

  /// From now on adds the seconds that member 0 spends behind the product to `seconds`.
  void measure(double* seconds) { seconds_ = seconds; }

 private:
  struct Unit;
  [[nodiscard]] parallel::Range share(int member) const;
  [[nodiscard]] std::size_t scratch_stride() const { return 2 * unit_panels_ * kPanel; }
  void multiply(const Unit& unit) const;
  void finish(const Unit& unit) const;

  Isa isa_;
  const PackedMatrix& w_;
  const RowsView& rows_;
  std::span<const float> bias_;
  GateFunction gate_;
  QuantisedRows& out_;
  float* floats_;
  float* scratch_;
  int members_;
  std::size_t unit_panels_ = 0;  ///< Of gates, and as many of ups, that are multiplied before their activation.
  double* seconds_ = nullptr;
};

}  // namespace plait::kernels
