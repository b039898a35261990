// SPDX-License-Identifier: Apache-2.0
//
// One entry per function of elementwise.h and logits.h for one instruction set. Only for elementwise*.cc and
// logits.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plait::kernels {

enum class Isa;  // isa.h; not included, so that units with ISA flags stay clear of inline functions of the library

struct ElementwiseTable {
  void (*rms_norm)(const float* x, const float* weight, float epsilon, std::size_t n, float* out);
  void (*rope_neox)(float* x, std::size_t heads, std::size_t dim, std::size_t rotated, const float* cos,
                    const float* sin);
  void (*rope_norm)(float* x, std::size_t heads, std::size_t dim, std::size_t rotated, const float* cos,
                    const float* sin);
  void (*silu_mul)(const float* gate, const float* up, std::size_t n, float* out);
  void (*gelu_mul)(const float* gate, const float* up, std::size_t n, float* out);
  void (*clamped_swiglu)(const float* gate, const float* up, std::size_t n, float* out);
  void (*add)(const float* a, const float* b, std::size_t n, float* out);
  void (*scale)(const float* x, float factor, std::size_t n, float* out);
  void (*soft_cap)(const float* x, float cap, std::size_t n, float* out);
  void (*softmax)(const float* x, std::size_t n, float* out);
  void (*exp)(const float* x, std::size_t n, float* out);
  void (*tanh)(const float* x, std::size_t n, float* out);
  void (*to_f16)(const float* x, std::size_t n, std::uint16_t* out);
  void (*from_f16)(const std::uint16_t* x, std::size_t n, float* out);
  /// The largest entry that is no NaN; -infinity if there is none.
  float (*largest)(const float* x, std::size_t n);
  /// sum of e^((x - offset) * factor)
  float (*sum_exp)(const float* x, float offset, float factor, std::size_t n);
  /// Writes the indices of entries that are not below `threshold`, in ascending order; returns their number.
  std::size_t (*at_least)(const float* x, float threshold, std::size_t n, std::uint32_t* indices);
};

/// The functions that `isa` uses: avxvnni those of avx2, amx those of avx512.
const ElementwiseTable& elementwise_table(Isa isa);

extern const ElementwiseTable kElementwiseGeneric;
extern const ElementwiseTable kElementwiseAvx2;
extern const ElementwiseTable kElementwiseAvx512;

}  // namespace plait::kernels
