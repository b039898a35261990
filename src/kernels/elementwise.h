// SPDX-License-Identifier: Apache-2.0
//
// What a forward pass does between its matrix products, one row or a run of floats at a time.
//
// Same bits: every function gives the same bits for every Isa (except in the payload of a NaN), since all of them run
// the same operations in sixteen lanes and add lanes in one fixed tree. vector_generic.inc has them.
// Pointers need no alignment; an output may be the same array as an input, or else must not overlap it.
// Threads: all functions are pure; callers split the work.
#pragma once

#include <cstddef>

#include "kernels/isa.h"
#include "tensor/half.h"

namespace plait::kernels {

/// out[i] = x[i] / sqrt(mean(x^2) + epsilon) * weight[i], n elements. `weight` null: all ones.
void rms_norm(Isa isa, const float* x, const float* weight, float epsilon, std::size_t n, float* out);

/// rms_norm of each of `heads` adjacent vectors [heads, dim] with one weight [dim], in place (query and key norms).
void rms_norm_heads(Isa isa, float* x, std::size_t heads, std::size_t dim, const float* weight, float epsilon);

/// Rotates the leading `rotated` dims of each head of x [heads, dim] in place: pairs (i, i + rotated / 2) turn by the
/// angle whose cosine and sine are cos[i], sin[i], both [rotated / 2]; the other dims stay.
/// Requires: rotated even and at most dim.
void rope_neox(Isa isa, float* x, std::size_t heads, std::size_t dim, std::size_t rotated, const float* cos,
               const float* sin);

/// The same with pairs (2i, 2i + 1).
void rope_norm(Isa isa, float* x, std::size_t heads, std::size_t dim, std::size_t rotated, const float* cos,
               const float* sin);

/// out[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + e^-x).
void silu_mul(Isa isa, const float* gate, const float* up, std::size_t n, float* out);

/// out[i] = gelu(gate[i]) * up[i] with the tanh form of gelu.
void gelu_mul(Isa isa, const float* gate, const float* up, std::size_t n, float* out);

/// out[i] = g / (1 + e^(-1.702 g)) * (u + 1), g = gate[i] but at most 7, u = up[i] but from -7 to 7: gpt-oss.
void clamped_swiglu(Isa isa, const float* gate, const float* up, std::size_t n, float* out);
/// out[i] = a[i] + b[i]
void add(Isa isa, const float* a, const float* b, std::size_t n, float* out);

/// out[i] = x[i] * factor
void scale(Isa isa, const float* x, float factor, std::size_t n, float* out);

/// out[i] = cap * tanh(x[i] / cap). Requires: cap > 0.
void soft_cap(Isa isa, const float* x, float cap, std::size_t n, float* out);

/// out[i] = e^(x[i] - max) / sum. Entries of -infinity become 0. Requires: n > 0 and some finite entry.
void softmax(Isa isa, const float* x, std::size_t n, float* out);

/// e^x to 1.1 ulp, subnormal results included; e^0 is exactly 1.
void exp(Isa isa, const float* x, std::size_t n, float* out);

/// tanh x to 2 ulp.
void tanh(Isa isa, const float* x, std::size_t n, float* out);

/// Rounds to nearest even. Too large becomes infinity.
void to_f16(Isa isa, const float* x, std::size_t n, tensor::f16* out);

/// The exact values.
void from_f16(Isa isa, const tensor::f16* x, std::size_t n, float* out);

}  // namespace plait::kernels
