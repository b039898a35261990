// SPDX-License-Identifier: Apache-2.0
//
// Portable kernels. A group of the panel is unpacked once to 16-bit integers [input][output] and used for a block of up
// to 16 rows; plain loops over the 32 outputs, which compilers vectorise as far as they are allowed to.
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/panel_kernels.h"
#include "kernels/pack_decode.h"
#include "tensor/half.h"

namespace plait::kernels::cpu {
namespace {

using Unpacked = std::int16_t[kGroup][kPanel];

template <PanelFormat F>
void unpack(const std::byte* planes, Unpacked& w) {
  const auto* base = reinterpret_cast<const std::uint8_t*>(planes);
  const std::uint8_t* high = base + F.base_bytes();
  for (std::size_t r = 0; r < 8; ++r) {
    const std::size_t pair_shift = 2 * (r % 4);
    for (std::size_t t = 0; t < 2; ++t) {
      for (std::size_t at = 0; at < 64; ++at) {
        int q = 0;
        if constexpr (F.base_bits == 8) q = base[64 * (8 * t + r) + at];
        if constexpr (F.base_bits == 4) q = (base[64 * r + at] >> (4 * t)) & 15;
        if constexpr (F.base_bits == 2) q = (base[64 * (2 * t + r / 4) + at] >> pair_shift) & 3;
        if constexpr (F.high_bits == 1) q |= ((high[64 * t + at] >> r) & 1) << F.base_bits;
        if constexpr (F.high_bits == 2) q |= ((high[64 * (2 * t + r / 4) + at] >> pair_shift) & 3) << F.base_bits;
        w[4 * r + at % 4][16 * t + at / 4] = static_cast<std::int16_t>(weight_of<F>(q));
      }
    }
  }
}

template <PanelFormat F>
void scales_to_floats(const std::byte* from, float (&to)[kPanel]) {
  for (std::size_t c = 0; c < kPanel; ++c) {
    std::uint16_t bits;
    std::memcpy(&bits, from + 2 * c, 2);
    to[c] = scale_of<F>(bits);
  }
}

void dot(const Unpacked& w, const std::int8_t* a, std::size_t begin, std::size_t end, std::int32_t (&c)[kPanel]) {
  for (std::size_t i = begin; i < end; ++i) {
    for (std::size_t o = 0; o < kPanel; ++o) c[o] += static_cast<std::int32_t>(a[i]) * w[i][o];
  }
}

struct GroupScales {  // of the 32 outputs of a panel
  float d[kPanel];    // weights' scale; with two sub-scales without them
  float min[kPanel];  // what usum is multiplied with; with two sub-scales -dmin
  std::int32_t sub[2][kPanel];
  std::int32_t sub_min[2][kPanel];
};

template <PanelFormat F>
void group_scales(const std::byte* scales, const float (&d)[kPanel], const float (&min)[kPanel], GroupScales& out) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(scales);
  for (std::size_t o = 0; o < kPanel; ++o) {
    if constexpr (F.sub_scales == 0) {
      out.d[o] = d[o];
      out.min[o] = min[o];
    } else if constexpr (F.scales_in_header()) {
      out.d[o] = d[o] * static_cast<float>(static_cast<std::int8_t>(bytes[o]));
    } else if constexpr (F.sub_scales == 1) {
      out.d[o] = d[o] * static_cast<float>(bytes[o]);
      out.min[o] = -(min[o] * static_cast<float>(bytes[32 + o]));
    } else {
      out.d[o] = d[o];
      out.min[o] = -min[o];
      for (std::size_t half = 0; half < 2; ++half) {
        out.sub[half][o] = static_cast<std::int8_t>(bytes[32 * half + o]);
        if constexpr (F.has_min) out.sub_min[half][o] = bytes[64 + 2 * o + half];
      }
    }
  }
}

struct RowOfGroup {
  const std::int8_t* a;
  float scale, usum;
  std::int32_t first, second;  // sums of the halves
};

template <PanelFormat F>
void add_group(const Unpacked& w, const GroupScales& s, const RowOfGroup& row, float (&acc)[kPanel]) {
  std::int32_t c[kPanel] = {};
  if constexpr (F.sub_scales == 2) {
    std::int32_t second[kPanel] = {};
    dot(w, row.a, 0, 16, c);
    dot(w, row.a, 16, 32, second);
    for (std::size_t o = 0; o < kPanel; ++o) c[o] = c[o] * s.sub[0][o] + second[o] * s.sub[1][o];
  } else {
    dot(w, row.a, 0, 32, c);
  }
  for (std::size_t o = 0; o < kPanel; ++o) acc[o] = std::fma(static_cast<float>(c[o]), row.scale * s.d[o], acc[o]);
  if constexpr (F.has_min && F.sub_scales == 2) {
    for (std::size_t o = 0; o < kPanel; ++o) {
      const std::int32_t sum = s.sub_min[0][o] * row.first + s.sub_min[1][o] * row.second;
      acc[o] = std::fma(static_cast<float>(sum), row.scale * s.min[o], acc[o]);
    }
  } else if constexpr (F.has_min) {
    for (std::size_t o = 0; o < kPanel; ++o) acc[o] = std::fma(row.usum, s.min[o], acc[o]);
  }
}

template <PanelFormat F>
void block_of_rows(const PanelTask& task, std::size_t first, std::size_t count) {
  const RowsView& rows = *task.rows;
  float acc[kRowBlock][kPanel] = {};
  const std::byte* at = task.panel;
  std::size_t group = 0;
  while (group < rows.groups) {
    float d[kPanel], min[kPanel] = {};
    scales_to_floats<F>(at, d);
    if constexpr (F.has_min) scales_to_floats<F>(at + 64, min);
    const std::byte* header = at;
    at += F.header_bytes();
    for (std::size_t i = 0; i < F.groups; ++i, ++group) {
      GroupScales scales;
      Unpacked w;
      group_scales<F>(F.scales_in_header() ? header + 64 + 32 * i : at, d, min, scales);
      unpack<F>(at + F.scales_bytes(), w);
      for (std::size_t r = 0; r < count; ++r) {
        const std::size_t index = first * rows.groups + group * count + r;
        add_group<F>(w, scales,
                     {rows.a + index * kGroup, rows.scale[index], rows.usum[index], -rows.minus_first[index],
                      -rows.minus_second[index]},
                     acc[r]);
      }
      at += F.group_bytes();
    }
  }
  for (std::size_t r = 0; r < count; ++r) {
    std::memcpy(task.y + (first + r) * task.y_stride, acc[r], task.outputs * sizeof(float));
  }
}

template <PanelFormat F>
void multiply(const PanelTask& task) {
  for (std::size_t first = task.row_begin; first < task.row_end; first += kRowBlock) {
    block_of_rows<F>(task, first, task.row_end - first < kRowBlock ? task.row_end - first : kRowBlock);
  }
}

void add_wide_group(const std::byte* group, std::size_t steps, const RowsView& rows, std::size_t first,
                    std::size_t count, std::size_t g, float (&acc)[kRowBlock][kPanel]) {
  float d[kPanel];
  std::memcpy(d, group, sizeof(d));
  const auto* w = reinterpret_cast<const std::uint8_t*>(group + kWideHeaderBytes);
  for (std::size_t r = 0; r < count; ++r) {
    std::int32_t c[kPanel] = {};
    for (std::size_t i = 0; i < steps * kWideStep; ++i) {
      const std::size_t step = g * (kWideGroup / kWideStep) + i / kWideStep;
      const std::int32_t a = rows.a[(first * rows.steps + step * count + r) * kWideStep + i % kWideStep];
      for (std::size_t o = 0; o < kPanel; ++o) c[o] += a * (w[i / 4 * 128 + 4 * o + i % 4] - 128);
    }
    const float scale = rows.scale[first * rows.groups + g * count + r];
    for (std::size_t o = 0; o < kPanel; ++o) acc[r][o] = std::fma(static_cast<float>(c[o]), scale * d[o], acc[r][o]);
  }
}

void multiply_wide(const PanelTask& task) {
  const RowsView& rows = *task.rows;
  for (std::size_t first = task.row_begin; first < task.row_end; first += kRowBlock) {
    const std::size_t count = task.row_end - first < kRowBlock ? task.row_end - first : kRowBlock;
    float acc[kRowBlock][kPanel] = {};
    const std::byte* at = task.panel;
    for (std::size_t g = 0, left = rows.steps; g < rows.groups; ++g) {
      const std::size_t steps = left < 2 ? left : 2;
      add_wide_group(at, steps, rows, first, count, g, acc);
      at += kWideHeaderBytes + steps * kWideStepBytes;
      left -= steps;
    }
    for (std::size_t r = 0; r < count; ++r) {
      std::memcpy(task.y + (first + r) * task.y_stride, acc[r], task.outputs * sizeof(float));
    }
  }
}

float flushed(float x) { return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0F, x) : x; }

float brain(const std::byte* p) {
  tensor::bf16 bits;
  std::memcpy(&bits, p, 2);
  return flushed(tensor::bf16_to_f32(bits));
}

// acc += the products of one step, 32 inputs deep; x: its 32 bf16.
void add_pairs_step(const std::byte* step, const std::uint16_t* x, float (&acc)[kPanel]) {
  float even[kPanel] = {}, odd[kPanel] = {};
  for (std::size_t i = 0; i < kPairStep / 2; ++i) {
    const float x0 = flushed(tensor::bf16_to_f32(x[2 * i]));
    const float x1 = flushed(tensor::bf16_to_f32(x[2 * i + 1]));
    for (std::size_t o = 0; o < kPanel; ++o) {
      const std::byte* w = step + o / 16 * kPairTileBytes + 64 * i + o % 16 * 4;
      even[o] = flushed(std::fma(x0, brain(w), even[o]));
      odd[o] = flushed(std::fma(x1, brain(w + 2), odd[o]));
    }
  }
  for (std::size_t o = 0; o < kPanel; ++o) acc[o] = flushed(acc[o] + flushed(even[o] + odd[o]));
}

void multiply_pairs(const PanelTask& task) {
  const RowsView& rows = *task.rows;
  for (std::size_t first = task.row_begin; first < task.row_end; first += kRowBlock) {
    const std::size_t count = task.row_end - first < kRowBlock ? task.row_end - first : kRowBlock;
    float acc[kRowBlock][kPanel] = {};
    for (std::size_t step = 0; step < rows.steps; ++step) {
      const std::uint16_t* x = rows.pairs + (first * rows.steps + step * count) * kPairStep;
      for (std::size_t r = 0; r < count; ++r) {
        add_pairs_step(task.panel + step * kPairStepBytes, x + r * kPairStep, acc[r]);
      }
    }
    for (std::size_t r = 0; r < count; ++r) {
      std::memcpy(task.y + (first + r) * task.y_stride, acc[r], task.outputs * sizeof(float));
    }
  }
}

float load(const std::byte* p, float /*type*/) {
  float value;
  std::memcpy(&value, p, 4);
  return value;
}

struct Half {};
struct Brain {};

float load(const std::byte* p, Half /*type*/) {
  tensor::f16 bits;
  std::memcpy(&bits, p, 2);
  return tensor::f16_to_f32(bits);
}

float load(const std::byte* p, Brain /*type*/) {
  tensor::bf16 bits;
  std::memcpy(&bits, p, 2);
  return tensor::bf16_to_f32(bits);
}

template <class T, std::size_t Size>
void multiply_plain(const PanelTask& task) {
  const RowsView& rows = *task.rows;
  for (std::size_t first = task.row_begin; first < task.row_end; first += kRowBlock) {
    const std::size_t count = task.row_end - first < kRowBlock ? task.row_end - first : kRowBlock;
    float acc[kRowBlock][kPanel] = {};
    for (std::size_t k = 0; k < rows.k; ++k) {
      float w[kPanel];
      for (std::size_t o = 0; o < kPanel; ++o) w[o] = load(task.panel + (k * kPanel + o) * Size, T{});
      for (std::size_t r = 0; r < count; ++r) {
        const float x = rows.x[(first + r) * rows.x_stride + k];
        for (std::size_t o = 0; o < kPanel; ++o) acc[r][o] = std::fma(x, w[o], acc[r][o]);
      }
    }
    for (std::size_t r = 0; r < count; ++r) {
      std::memcpy(task.y + (first + r) * task.y_stride, acc[r], task.outputs * sizeof(float));
    }
  }
}

std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

struct Scale {
  float scale;
  float factor;  // 0: all quants are 0
};

Scale scale_of_group(const float* x, std::size_t n) {
  std::uint32_t largest_bits = 0;  // of |x|: ordered like the numbers, with infinity and NaN on top
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t bits = bits_of(x[i]) & 0x7fffffffU;
    if (bits > largest_bits) largest_bits = bits;
  }
  float largest;
  std::memcpy(&largest, &largest_bits, 4);
  if (largest_bits >= 0x7f800000U) return {std::nanf(""), 0};
  if (largest < 0x1p-100F) return {0, 0};
  return {largest / 127.0F, 127.0F / largest};
}

std::int8_t quantise(float x, float factor) {
  constexpr float kRound =
      0x1.8p23F;  // adding and subtracting it rounds |v| < 2^22 to the nearest integer, ties to even
  return factor == 0 ? std::int8_t{0} : static_cast<std::int8_t>(static_cast<int>((x * factor + kRound) - kRound));
}

void quantise_group(const float* x, const QuantiseTask& task, std::size_t at) {
  const auto [scale, factor] = scale_of_group(x, kGroup);
  std::int32_t sums[2] = {0, 0};
  std::int8_t* a = task.a + at * kGroup;
  for (std::size_t i = 0; i < kGroup; ++i) sums[i / 16] += a[i] = quantise(x[i], factor);
  task.scale[at] = scale;
  task.usum[at] = scale * static_cast<float>(sums[0] + sums[1]);
  task.minus_sum[at] = -(sums[0] + sums[1]);
  task.minus_first[at] = -sums[0];
  task.minus_second[at] = -sums[1];
}

void quantise_rows(const QuantiseTask& task) {
  const std::size_t whole = task.k / kGroup;
  for (std::size_t row = 0; row < task.rows; ++row) {
    const float* x = task.x + row * task.x_stride;
    for (std::size_t g = 0; g < whole; ++g) quantise_group(x + g * kGroup, task, g * task.stride + row);
    if (task.k % kGroup == 0) continue;
    float tail[kGroup] = {};
    std::memcpy(tail, x + whole * kGroup, task.k % kGroup * sizeof(float));
    quantise_group(tail, task, whole * task.stride + row);
  }
}

void quantise_wide_row(const QuantiseTask& task, std::size_t row) {
  for (std::size_t g = 0; g * kWideGroup < task.k; ++g) {
    const float* x = task.x + row * task.x_stride + g * kWideGroup;
    const std::size_t n = task.k - g * kWideGroup < kWideGroup ? task.k - g * kWideGroup : kWideGroup;
    const auto [scale, factor] = scale_of_group(x, n);
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < (n + kWideStep - 1) / kWideStep * kWideStep; ++i) {
      const std::int8_t q = i < n ? quantise(x[i], factor) : std::int8_t{0};
      task.a[((g * 2 + i / kWideStep) * task.stride + row) * kWideStep + i % kWideStep] = q;
      sum += q;
    }
    task.scale[g * task.stride + row] = scale;
    task.minus_sum[g * task.stride + row] = -128 * sum;
  }
}

void quantise_wide(const QuantiseTask& task) {
  for (std::size_t row = 0; row < task.rows; ++row) quantise_wide_row(task, row);
}

void round_pairs(const QuantiseTask& task) {
  const std::size_t whole = (task.k + kPairStep - 1) / kPairStep * kPairStep;
  for (std::size_t row = 0; row < task.rows; ++row) {
    const float* x = task.x + row * task.x_stride;
    tensor::bf16* pairs = task.pairs + row * kPairStep;
    for (std::size_t k = 0; k < whole; ++k) {
      pairs[k / kPairStep * task.stride * kPairStep + k % kPairStep] =
          k < task.k ? tensor::f32_to_bf16(x[k]) : tensor::bf16{0};
    }
  }
}

}  // namespace

constinit const KernelTable kGenericKernels{
    .f32 = multiply_plain<float, 4>,
    .f16 = multiply_plain<Half, 2>,
    .bf16 = multiply_plain<Brain, 2>,
    .q4_0 = multiply<kQ4_0>,
    .q4_1 = multiply<kQ4_1>,
    .q5_0 = multiply<kQ5_0>,
    .q5_1 = multiply<kQ5_1>,
    .q8_0 = multiply<kQ8_0>,
    .q2_k = multiply<kQ2K>,
    .q3_k = multiply<kQ3K>,
    .q4_k = multiply<kQ4K>,
    .q5_k = multiply<kQ5K>,
    .q6_k = multiply<kQ6K>,
    .iq4_nl = multiply<kIq4Nl>,
    .iq4_xs = multiply<kIq4Xs>,
    .mxfp4 = multiply<kMxfp4>,
    .int8 = multiply_wide,
    .pairs = multiply_pairs,
    .quantise = quantise_rows,
    .quantise_wide = quantise_wide,
    .round_pairs = round_pairs,
};

}  // namespace plait::kernels::cpu
