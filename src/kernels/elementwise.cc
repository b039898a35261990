// SPDX-License-Identifier: Apache-2.0
#include "kernels/elementwise.h"

#include "kernels/elementwise_table.h"

namespace plait::kernels {

const ElementwiseTable& elementwise_table(Isa isa) {
  switch (isa) {
    case Isa::avx512:
    case Isa::amx:
      return kElementwiseAvx512;
    case Isa::avx2:
    case Isa::avxvnni:
      return kElementwiseAvx2;
    case Isa::generic:
      break;
  }
  return kElementwiseGeneric;
}

void rms_norm(Isa isa, const float* x, const float* weight, float epsilon, std::size_t n, float* out) {
  elementwise_table(isa).rms_norm(x, weight, epsilon, n, out);
}

void rms_norm_heads(Isa isa, float* x, std::size_t heads, std::size_t dim, const float* weight, float epsilon) {
  for (std::size_t head = 0; head < heads; ++head, x += dim) rms_norm(isa, x, weight, epsilon, dim, x);
}

void rope_neox(Isa isa, float* x, std::size_t heads, std::size_t dim, std::size_t rotated, const float* cos,
               const float* sin) {
  elementwise_table(isa).rope_neox(x, heads, dim, rotated, cos, sin);
}

void rope_norm(Isa isa, float* x, std::size_t heads, std::size_t dim, std::size_t rotated, const float* cos,
               const float* sin) {
  elementwise_table(isa).rope_norm(x, heads, dim, rotated, cos, sin);
}

void silu_mul(Isa isa, const float* gate, const float* up, std::size_t n, float* out) {
  elementwise_table(isa).silu_mul(gate, up, n, out);
}

void gelu_mul(Isa isa, const float* gate, const float* up, std::size_t n, float* out) {
  elementwise_table(isa).gelu_mul(gate, up, n, out);
}

void clamped_swiglu(Isa isa, const float* gate, const float* up, std::size_t n, float* out) {
  elementwise_table(isa).clamped_swiglu(gate, up, n, out);
}

void add(Isa isa, const float* a, const float* b, std::size_t n, float* out) {
  elementwise_table(isa).add(a, b, n, out);
}

void scale(Isa isa, const float* x, float factor, std::size_t n, float* out) {
  elementwise_table(isa).scale(x, factor, n, out);
}

void soft_cap(Isa isa, const float* x, float cap, std::size_t n, float* out) {
  elementwise_table(isa).soft_cap(x, cap, n, out);
}

void softmax(Isa isa, const float* x, std::size_t n, float* out) { elementwise_table(isa).softmax(x, n, out); }

void exp(Isa isa, const float* x, std::size_t n, float* out) { elementwise_table(isa).exp(x, n, out); }

void tanh(Isa isa, const float* x, std::size_t n, float* out) { elementwise_table(isa).tanh(x, n, out); }

void to_f16(Isa isa, const float* x, std::size_t n, tensor::f16* out) { elementwise_table(isa).to_f16(x, n, out); }

void from_f16(Isa isa, const tensor::f16* x, std::size_t n, float* out) { elementwise_table(isa).from_f16(x, n, out); }

}  // namespace plait::kernels
