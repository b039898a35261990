// SPDX-License-Identifier: Apache-2.0
//
// What the tests of products share: random weights and rows, and the ways to a product that must agree.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "kernels/cpu/panel_kernels.h"
#include "kernels/matmul.h"
#include "tensor/half.h"

namespace plait::kernels {

using tensor::Type;

/// Where the 16-bit scale and minimum of a block are; -1: none.
struct ScalePlaces {
  int d, min;
};

inline ScalePlaces scale_places(Type type) {
  using enum Type;
  switch (type) {
    case q4_1:
    case q5_1:
    case q4_k:
    case q5_k:
      return {0, 2};
    case q2_k:
      return {80, 82};
    case q3_k:
      return {108, -1};
    case q6_k:
      return {208, -1};
    default:
      return {0, -1};
  }
}

/// A matrix of random blocks: every quant and sub-scale, small finite scales.
struct Weights_ {
  std::vector<std::byte> bytes;
  tensor::MatrixView view;
};

inline Weights_ random_weights(Type type, std::size_t rows, std::size_t columns, std::uint64_t seed) {
  const tensor::TypeInfo& info = tensor::info(type);
  Weights_ w;
  w.bytes.resize(rows * tensor::row_bytes(type, columns));
  for (std::size_t i = 0; i < w.bytes.size(); ++i) w.bytes[i] = static_cast<std::byte>(base::random_u64(seed, i));
  const auto value = [&](std::size_t i) { return static_cast<float>(base::random_unit(seed ^ 1, i) - 0.5); };
  const std::size_t blocks = w.bytes.size() / info.block_bytes;
  for (std::size_t b = 0; b < blocks; ++b) {
    std::byte* block = w.bytes.data() + b * info.block_bytes;
    const float v = value(b);
    if (type == Type::f32) {
      std::memcpy(block, &v, 4);
    } else if (type == Type::bf16) {
      const tensor::bf16 bits = tensor::f32_to_bf16(v);
      std::memcpy(block, &bits, 2);
    } else if (type == Type::mxfp4) {
      *block = static_cast<std::byte>(115 + base::random_u64(seed ^ 1, b) % 8);
    } else {
      const auto [d, min] = scale_places(type);
      const tensor::f16 d_bits = tensor::f32_to_f16(v * 0.02F);
      const tensor::f16 min_bits = tensor::f32_to_f16(value(b + blocks) * 0.1F);
      std::memcpy(block + d, &d_bits, 2);
      if (min >= 0) std::memcpy(block + min, &min_bits, 2);
    }
  }
  w.view = {type, rows, columns, w.bytes};
  return w;
}

inline std::vector<float> random_rows(std::size_t count, std::uint64_t seed) {
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double u = base::random_unit(seed, i) - 0.5;
    x[i] = static_cast<float>(u * u * u * 40);
  }
  return x;
}

inline std::vector<float> reference(std::span<const tensor::MatrixView> parts, const std::vector<float>& x,
                                    std::size_t m, Weights weights = Weights::exact) {
  std::size_t n = 0;
  for (const auto& part : parts) n += part.rows;
  std::vector<float> y(m * n);
  std::size_t first = 0;
  for (const auto& part : parts) {
    matmul_reference(part, x.data(), m, part.columns, y.data() + first, n, weights);
    first += part.rows;
  }
  return y;
}

/// Product by the production path; y's rows lie 3 numbers apart, and what is between must not be written.
inline std::vector<float> product(Isa isa, const PackedMatrix& w, const std::vector<float>& x, std::size_t m,
                                  parallel::Team& team) {
  QuantisedRows rows;
  quantise_rows(isa, x.data(), m, w.inputs(), w.inputs(), w.row_form(), rows, team);
  const std::size_t stride = w.outputs() + 3;
  std::vector<float> padded(m * stride, 12345.0F);
  matmul(isa, w, rows, padded.data(), stride, team);
  std::vector<float> y;
  for (std::size_t row = 0; row < m; ++row) {
    const auto begin = padded.begin() + static_cast<std::ptrdiff_t>(row * stride);
    y.insert(y.end(), begin, begin + static_cast<std::ptrdiff_t>(w.outputs()));
    for (std::size_t i = w.outputs(); i < stride; ++i) PLAIT_CHECK(padded[row * stride + i] == 12345.0F, row, i);
  }
  return y;
}

/// Index of the first number with other bits (any NaN equals any NaN), or the size.
inline std::size_t first_difference(const std::vector<float>& a, const std::vector<float>& b) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i >= a.size() || i >= b.size()) return i;
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i])) return i;
  }
  return a.size();
}

inline std::size_t columns_for(Type type, std::size_t groups) {
  const std::size_t block = tensor::info(type).block_elements;
  return block == 1 ? groups * 32 - 5 : std::max(block, groups * 32 / block * block);
}

/// All panels of a part with all rows, y [rows, part.rows], by one kernel.
inline void run_panels(cpu::PanelKernel kernel, const PackedMatrix::Part& part, const QuantisedRows& rows, float* y) {
  for (std::size_t panel = 0; panel * kPanel < part.rows; ++panel) {
    kernel({.panel = part.panels + panel * part.panel_bytes,
            .rows = &rows.view(),
            .row_begin = 0,
            .row_end = rows.rows(),
            .y = y + panel * kPanel,
            .y_stride = part.rows,
            .outputs = std::min(kPanel, part.rows - panel * kPanel)});
  }
}

/// Compares products of 1 … m_max rows with the reference: all of them with one thread, every m_step-th with more.
/// Returns the first that differs, or nothing.
inline std::string difference_by_isa_width_or_threads(Type type, Weights form, std::size_t m_max, std::size_t m_step,
                                                      int threads_max) {
  const std::size_t columns = columns_for(type, 24);
  const auto w = random_weights(type, 77, columns, 3);
  const auto x = random_rows(m_max * columns, 4);
  const auto expected = reference({&w.view, 1}, x, m_max, form);
  for (int threads = 1; threads <= threads_max; ++threads) {
    parallel::Team team(threads);
    const auto packed = PackedMatrix::pack({&w.view, 1}, team, form).value();
    for (const Isa isa : usable_isas()) {
      for (std::size_t m = 1; m <= m_max; m += threads == 1 ? 1 : m_step) {
        const std::vector<float> some(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(m * columns));
        const auto y = product(isa, packed, some, m, team);
        const std::vector<float> want(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(m * 77));
        const std::size_t at = first_difference(y, want);
        if (at == y.size()) continue;
        return fmt::format("{} m={} threads={} row {} output {}: {} not {}", name(isa), m, threads, at / 77, at % 77,
                           y[at], want[at]);
      }
    }
  }
  return {};
}

}  // namespace plait::kernels
