// SPDX-License-Identifier: Apache-2.0
//
// The definition in kernels/matmul.h, one output at a time, from blocks as they are in the file.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/matmul.h"
#include "kernels/pack_decode.h"
#include "kernels/pack_format.h"
#include "tensor/dequantise.h"
#include "tensor/half.h"

namespace plait::kernels {
namespace {

struct Group {
  std::vector<int> a;
  float scale = 0;
};

Group quantise(std::span<const float> x) {
  const GroupScale by = group_scale(x);
  Group group{.a = {}, .scale = by.scale};
  for (const float v : x) group.a.push_back(quantised(v, by));
  return group;
}

std::vector<Group> quantise(std::span<const float> x, std::size_t group) {
  std::vector<Group> groups;
  for (std::size_t k = 0; k < x.size(); k += group)
    groups.push_back(quantise(x.subspan(k, std::min(group, x.size() - k))));
  return groups;
}

template <PanelFormat F>
int dot(const Group& group, const std::uint8_t* q, std::size_t begin, std::size_t end) {
  int sum = 0;
  for (std::size_t i = begin; i < end; ++i) sum += group.a[i] * weight_of<F>(q[i]);
  return sum;
}

int sum(const Group& group, std::size_t begin, std::size_t end) {
  int result = 0;
  for (std::size_t i = begin; i < end; ++i) result += group.a[i];
  return result;
}

template <PanelFormat F>
float add_group(const DecodedBlock& block, std::size_t g, const Group& group, float acc) {
  const float d = scale_of<F>(block.d);
  const float min = tensor::f16_to_f32(block.min);
  const std::uint8_t* q = block.q + 32 * g;
  const float usum = group.scale * static_cast<float>(sum(group, 0, 32));
  if constexpr (F.sub_scales == 2) {
    const int c = block.scales[2 * g] * dot<F>(group, q, 0, 16) + block.scales[2 * g + 1] * dot<F>(group, q, 16, 32);
    acc = std::fma(static_cast<float>(c), group.scale * d, acc);
    if constexpr (!F.has_min) return acc;
    const int mins = block.mins[2 * g] * sum(group, 0, 16) + block.mins[2 * g + 1] * sum(group, 16, 32);
    return std::fma(static_cast<float>(mins), group.scale * -min, acc);
  } else {
    const float s = F.sub_scales == 1 ? static_cast<float>(block.scales[g]) : 1.0F;
    acc = std::fma(static_cast<float>(dot<F>(group, q, 0, 32)), group.scale * (d * s), acc);
    if constexpr (!F.has_min) return acc;
    return std::fma(usum, F.sub_scales == 1 ? -(min * static_cast<float>(block.mins[g])) : min, acc);
  }
}

float plain_weight(const tensor::MatrixView& w, std::size_t index) {
  if (w.type == tensor::Type::f32) {
    float value;
    std::memcpy(&value, w.bytes.data() + 4 * index, 4);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, w.bytes.data() + 2 * index, 2);
  return w.type == tensor::Type::f16 ? tensor::f16_to_f32(bits) : tensor::bf16_to_f32(bits);
}

template <PanelFormat F>
float multiply_row(const tensor::MatrixView& w, std::size_t output, const std::vector<Group>& groups) {
  const std::size_t block_bytes = tensor::info(w.type).block_bytes;
  const std::byte* at = w.bytes.data() + output * tensor::row_bytes(w.type, w.columns);
  float acc = 0;
  for (std::size_t group = 0; group < groups.size(); at += block_bytes) {
    DecodedBlock block;
    decode_block(w.type, at, block);
    for (std::size_t g = 0; g < F.groups; ++g, ++group) acc = add_group<F>(block, g, groups[group], acc);
  }
  return acc;
}

float multiply_wide_row(const std::vector<Group>& weights, const std::vector<Group>& inputs) {
  float acc = 0;
  for (std::size_t g = 0; g < inputs.size(); ++g) {
    int c = 0;
    for (std::size_t i = 0; i < inputs[g].a.size(); ++i) c += inputs[g].a[i] * weights[g].a[i];
    acc = std::fma(static_cast<float>(c), inputs[g].scale * weights[g].scale, acc);
  }
  return acc;
}

void matmul_wide_reference(const tensor::MatrixView& w, const float* x, std::size_t m, std::size_t x_stride, float* y,
                           std::size_t y_stride) {
  const std::size_t row_bytes = tensor::row_bytes(w.type, w.columns);
  std::vector<float> weights(w.columns);
  for (std::size_t output = 0; output < w.rows; ++output) {
    tensor::dequantise(w.type, w.bytes.subspan(output * row_bytes, row_bytes), weights);
    const std::vector<Group> quants = quantise(weights, kWideGroup);
    for (std::size_t row = 0; row < m; ++row) {
      y[row * y_stride + output] =
          multiply_wide_row(quants, quantise(std::span(x + row * x_stride, w.columns), kWideGroup));
    }
  }
}

float flushed(float x) { return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0F, x) : x; }

// Rounded to bf16 and filled up with zeros to whole steps.
std::vector<float> rounded(std::span<const float> x) {
  std::vector<float> out((x.size() + kPairStep - 1) / kPairStep * kPairStep);
  for (std::size_t k = 0; k < x.size(); ++k) out[k] = flushed(tensor::bf16_to_f32(tensor::f32_to_bf16(x[k])));
  return out;
}

float multiply_pairs_row(const std::vector<float>& weights, const std::vector<float>& inputs) {
  float acc = 0;
  for (std::size_t step = 0; step < inputs.size(); step += kPairStep) {
    float even = 0, odd = 0;
    for (std::size_t k = step; k < step + kPairStep; k += 2) {
      even = flushed(std::fma(inputs[k], weights[k], even));
      odd = flushed(std::fma(inputs[k + 1], weights[k + 1], odd));
    }
    acc = flushed(acc + flushed(even + odd));
  }
  return acc;
}

void matmul_pairs_reference(const tensor::MatrixView& w, const float* x, std::size_t m, std::size_t x_stride, float* y,
                            std::size_t y_stride) {
  const std::size_t row_bytes = tensor::row_bytes(w.type, w.columns);
  std::vector<float> row(w.columns);
  std::vector<std::vector<float>> inputs;
  for (std::size_t r = 0; r < m; ++r) inputs.push_back(rounded({x + r * x_stride, w.columns}));
  for (std::size_t output = 0; output < w.rows; ++output) {
    tensor::dequantise(w.type, w.bytes.subspan(output * row_bytes, row_bytes), row);
    const std::vector<float> weights = rounded(row);
    for (std::size_t r = 0; r < m; ++r) y[r * y_stride + output] = multiply_pairs_row(weights, inputs[r]);
  }
}

}  // namespace

void matmul_reference(const tensor::MatrixView& w, const float* x, std::size_t m, std::size_t x_stride, float* y,
                      std::size_t y_stride, Weights weights) {
  if (weights == Weights::bf16) return matmul_pairs_reference(w, x, m, x_stride, y, y_stride);
  if (weights == Weights::int8) return matmul_wide_reference(w, x, m, x_stride, y, y_stride);
  const bool blocks = tensor::info(w.type).block_elements > 1;
  for (std::size_t row = 0; row < m; ++row) {
    const float* in = x + row * x_stride;
    const std::vector<Group> groups = blocks ? quantise(std::span(in, w.columns), kGroup) : std::vector<Group>{};
    for (std::size_t output = 0; output < w.rows; ++output) {
      float& out = y[row * y_stride + output];
      if (blocks) {
        out = with_format(w.type, [&]<PanelFormat F>() { return multiply_row<F>(w, output, groups); });
        continue;
      }
      out = 0;
      for (std::size_t k = 0; k < w.columns; ++k) out = std::fma(in[k], plain_weight(w, output * w.columns + k), out);
    }
  }
}

}  // namespace plait::kernels
