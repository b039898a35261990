// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "kernels/matmul.h"
#include "kernels/pack_decode.h"
#include "kernels/pack_format.h"
#include "tensor/dequantise.h"
#include "tensor/half.h"

namespace plait::kernels {
namespace {

using base::ErrorCode;
using tensor::Type;

bool has_blocks(Type type) { return tensor::info(type).block_elements > 1; }

std::size_t panel_bytes(Type type, std::size_t columns) {
  const tensor::TypeInfo& info = tensor::info(type);
  if (!has_blocks(type)) return columns * kPanel * info.block_bytes;
  return columns / info.block_elements * with_format(type, []<PanelFormat F>() { return F.block_bytes(); });
}

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

std::size_t wide_panel_bytes(std::size_t columns) {
  return round_up(columns, kWideStep) / kWideStep * kWideStepBytes +
         round_up(columns, kWideGroup) / kWideGroup * kWideHeaderBytes;
}

// Four neighbouring quants of an output as one word: byte b is input 4 r + b.
std::uint32_t four(const std::uint8_t* q) {
  std::uint32_t word;
  std::memcpy(&word, q, 4);
  return word;
}

void store(std::byte* out, std::uint32_t word) { std::memcpy(out, &word, 4); }

// q: [32 outputs], each pointing at the group's 32 quants.
template <PanelFormat F>
void write_planes(const std::array<const std::uint8_t*, kPanel>& q, std::byte* out) {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::uint32_t kOnes = 0x01010101;
  for (std::size_t c = 0; c < 16; ++c) {
    std::uint32_t pairs[2][2] = {};
    std::uint32_t high_bits[2] = {};
    std::uint32_t high_pairs[2][2] = {};
    for (std::size_t r = 0; r < 8; ++r) {
      const std::uint32_t words[2] = {four(q[c] + 4 * r), four(q[16 + c] + 4 * r)};
      if constexpr (F.base_bits == 4)
        store(out + 64 * r + 4 * c, (words[0] & 0x0f * kOnes) | (words[1] & 0x0f * kOnes) << 4);
      for (std::size_t t = 0; t < 2; ++t) {
        const std::size_t shift = 2 * (r % 4);
        if constexpr (F.base_bits == 8) store(out + 64 * (8 * t + r) + 4 * c, words[t]);
        if constexpr (F.base_bits == 2) pairs[t][r / 4] |= (words[t] & 3 * kOnes) << shift;
        if constexpr (F.high_bits == 1) high_bits[t] |= ((words[t] >> F.base_bits) & kOnes) << r;
        if constexpr (F.high_bits == 2) high_pairs[t][r / 4] |= ((words[t] >> F.base_bits) & 3 * kOnes) << shift;
      }
    }
    std::byte* high = out + F.base_bytes();
    for (std::size_t t = 0; t < 2; ++t) {
      for (std::size_t half = 0; half < 2; ++half) {
        if constexpr (F.base_bits == 2) store(out + 64 * (2 * t + half) + 4 * c, pairs[t][half]);
        if constexpr (F.high_bits == 2) store(high + 64 * (2 * t + half) + 4 * c, high_pairs[t][half]);
      }
      if constexpr (F.high_bits == 1) store(high + 64 * t + 4 * c, high_bits[t]);
    }
  }
}

template <PanelFormat F>
void write_scales(const std::array<DecodedBlock, kPanel>& blocks, std::size_t group, std::byte* out) {
  for (std::size_t c = 0; c < kPanel; ++c) {
    const DecodedBlock& block = blocks[c];
    if constexpr (F.scales_in_header()) {
      out[c] = static_cast<std::byte>(block.scales[group]);
    } else if constexpr (F.sub_scales == 1) {
      out[c] = static_cast<std::byte>(block.scales[group]);
      out[32 + c] = static_cast<std::byte>(block.mins[group]);
    } else if constexpr (F.sub_scales == 2) {
      out[c] = static_cast<std::byte>(block.scales[2 * group]);
      out[32 + c] = static_cast<std::byte>(block.scales[2 * group + 1]);
      if constexpr (F.has_min) {
        out[64 + 2 * c] = static_cast<std::byte>(block.mins[2 * group]);
        out[65 + 2 * c] = static_cast<std::byte>(block.mins[2 * group + 1]);
      }
    }
  }
}

// Rows [first, first + 32) of `view`, as far as they exist.
template <PanelFormat F>
void pack_panel(const tensor::MatrixView& view, std::size_t first, std::byte* out) {
  const tensor::TypeInfo& info = tensor::info(view.type);
  const std::size_t row_bytes = tensor::row_bytes(view.type, view.columns);
  const std::size_t rows = std::min(kPanel, view.rows - first);
  std::array<DecodedBlock, kPanel> blocks{};
  for (std::size_t block = 0; block < view.columns / info.block_elements; ++block) {
    const std::byte* source = view.bytes.data() + first * row_bytes + block * info.block_bytes;
    for (std::size_t c = 0; c < rows; ++c) decode_block(view.type, source + c * row_bytes, blocks[c]);
    for (std::size_t c = 0; c < kPanel; ++c) {
      std::memcpy(out + 2 * c, &blocks[c].d, 2);
      if constexpr (F.has_min) std::memcpy(out + 64 + 2 * c, &blocks[c].min, 2);
    }
    std::byte* header = out;
    out += F.header_bytes();
    for (std::size_t group = 0; group < F.groups; ++group) {
      write_scales<F>(blocks, group, F.scales_in_header() ? header + 64 + 32 * group : out);
      std::array<const std::uint8_t*, kPanel> q{};
      for (std::size_t c = 0; c < kPanel; ++c) q[c] = blocks[c].q + 32 * group;
      write_planes<F>(q, out + F.scales_bytes());
      out += F.group_bytes();
    }
  }
}

void pack_plain_panel(const tensor::MatrixView& view, std::size_t first, std::byte* out) {
  const std::size_t size = tensor::info(view.type).block_bytes;
  const std::size_t rows = std::min(kPanel, view.rows - first);
  for (std::size_t c = 0; c < rows; ++c) {
    const std::byte* source = view.bytes.data() + (first + c) * view.columns * size;
    for (std::size_t k = 0; k < view.columns; ++k) std::memcpy(out + (k * kPanel + c) * size, source + k * size, size);
  }
}

// As floats, whatever the type was.
void pack_expanded_panel(const tensor::MatrixView& view, std::size_t first, std::byte* out) {
  const std::size_t row_bytes = tensor::row_bytes(view.type, view.columns);
  const std::size_t rows = std::min(kPanel, view.rows - first);
  std::vector<float> row(view.columns);
  for (std::size_t c = 0; c < rows; ++c) {
    tensor::dequantise(view.type, view.bytes.subspan((first + c) * row_bytes, row_bytes), row);
    for (std::size_t k = 0; k < view.columns; ++k) std::memcpy(out + (k * kPanel + c) * 4, &row[k], 4);
  }
}

// Requantises outputs [first, first + 32) to 8 bits: for each wide group d f32[32], then its steps of 64 inputs. A step
// is 16 rows of 128 bytes, each the 32 outputs x 4 inputs: output c's inputs 4 r … 4 r + 3 at 128 r + 4 c, plus 128.
void pack_wide_panel(const tensor::MatrixView& view, std::size_t first, std::byte* out) {
  const std::size_t row_bytes = tensor::row_bytes(view.type, view.columns);
  const std::size_t rows = std::min(kPanel, view.rows - first);
  std::vector<float> row(round_up(view.columns, kWideStep));
  std::memset(out, 0x80, wide_panel_bytes(view.columns));  // quants of zero, also of outputs that are not there
  for (std::size_t c = 0; c < kPanel; ++c) {
    if (c < rows) {
      tensor::dequantise(view.type, view.bytes.subspan((first + c) * row_bytes, row_bytes),
                         std::span(row).first(view.columns));
    } else {
      std::ranges::fill(row, 0.0F);
    }
    std::byte* at = out;
    for (std::size_t k = 0; k < row.size(); k += kWideGroup) {
      const std::span<const float> group = std::span(row).subspan(k, std::min(kWideGroup, row.size() - k));
      const GroupScale scale = group_scale(group);
      std::memcpy(at + 4 * c, &scale.scale, 4);
      at += kWideHeaderBytes;
      for (std::size_t i = 0; i < group.size(); ++i) {
        const std::byte q{static_cast<std::uint8_t>(quantised(group[i], scale) + 128)};
        at[i / kWideStep * kWideStepBytes + i % kWideStep / 4 * 128 + 4 * c + i % 4] = q;
      }
      at += group.size() / kWideStep * kWideStepBytes;
    }
  }
}

void dequantise_wide_row(const std::byte* panel, std::size_t c, std::span<float> out) {
  for (std::size_t k = 0; k < out.size(); ++k) {
    const std::size_t in_group = k % kWideGroup;
    const std::byte* group = panel + k / kWideGroup * (kWideHeaderBytes + kWideGroup / kWideStep * kWideStepBytes);
    float scale;
    std::memcpy(&scale, group + 4 * c, 4);
    const std::byte* step = group + kWideHeaderBytes + in_group / kWideStep * kWideStepBytes;
    const int q = std::to_integer<int>(step[in_group % kWideStep / 4 * 128 + 4 * c + in_group % 4]) - 128;
    out[k] = scale * static_cast<float>(q);
  }
}

std::size_t pairs_panel_bytes(std::size_t columns) { return round_up(columns, kPairStep) / kPairStep * kPairStepBytes; }

// Where weight (c, k) of a panel made bf16 is: steps of 32 inputs, each two tiles of 16 outputs with rows of 16 pairs.
constexpr std::size_t pairs_place(std::size_t c, std::size_t k) {
  return k / kPairStep * kPairStepBytes + c / 16 * kPairTileBytes + k % kPairStep / 2 * 64 + c % 16 * 4 + k % 2 * 2;
}

// Rounds outputs [first, first + 32) to bf16. What the matrix lacks stays zero.
void pack_pairs_panel(const tensor::MatrixView& view, std::size_t first, std::byte* out) {
  const std::size_t row_bytes = tensor::row_bytes(view.type, view.columns);
  const std::size_t rows = std::min(kPanel, view.rows - first);
  std::vector<float> row(view.columns);
  for (std::size_t c = 0; c < rows; ++c) {
    tensor::dequantise(view.type, view.bytes.subspan((first + c) * row_bytes, row_bytes), row);
    for (std::size_t k = 0; k < row.size(); ++k) {
      const tensor::bf16 bits = tensor::f32_to_bf16(row[k]);
      std::memcpy(out + pairs_place(c, k), &bits, 2);
    }
  }
}

void dequantise_pairs_row(const std::byte* panel, std::size_t c, std::span<float> out) {
  for (std::size_t k = 0; k < out.size(); ++k) {
    tensor::bf16 bits;
    std::memcpy(&bits, panel + pairs_place(c, k), 2);
    out[k] = tensor::bf16_to_f32(bits);
  }
}

base::Result<void> check_parts(std::span<const tensor::MatrixView> parts) {
  if (parts.empty()) return base::fail(ErrorCode::invalid_argument, "a packed matrix needs at least one part");
  for (const tensor::MatrixView& view : parts) {
    const tensor::TypeInfo& info = tensor::info(view.type);
    if (view.rows == 0 || view.columns == 0 || view.columns != parts.front().columns) {
      return base::fail(ErrorCode::invalid_argument, fmt::format("a part of {} x {} cannot be stacked with {} columns",
                                                                 view.rows, view.columns, parts.front().columns));
    }
    if (view.columns % info.block_elements != 0 ||
        view.bytes.size() / view.rows != tensor::row_bytes(view.type, view.columns) ||
        view.bytes.size() % view.rows != 0) {
      return base::fail(ErrorCode::invalid_argument,
                        fmt::format("{} bytes are not {} x {} weights of type {}", view.bytes.size(), view.rows,
                                    view.columns, info.name));
    }
  }
  return {};
}

// The stored quant of output c, input i of a group.
template <PanelFormat F>
int stored_quant(const std::byte* planes, std::size_t c, std::size_t i) {
  const std::size_t t = c / 16, r = i / 4, at = 4 * (c % 16) + i % 4;
  const auto byte = [&](const std::byte* plane, std::size_t row) { return static_cast<int>(plane[64 * row + at]); };
  int q = 0;
  if constexpr (F.base_bits == 8) q = byte(planes, 8 * t + r);
  if constexpr (F.base_bits == 4) q = (byte(planes, r) >> (4 * t)) & 15;
  if constexpr (F.base_bits == 2) q = (byte(planes, 2 * t + r / 4) >> (2 * (r % 4))) & 3;
  const std::byte* high = planes + F.base_bytes();
  if constexpr (F.high_bits == 1) q |= ((byte(high, t) >> r) & 1) << F.base_bits;
  if constexpr (F.high_bits == 2) q |= ((byte(high, 2 * t + r / 4) >> (2 * (r % 4))) & 3) << F.base_bits;
  return q;
}

std::uint16_t word_at(const std::byte* p) {
  std::uint16_t bits;
  std::memcpy(&bits, p, 2);
  return bits;
}

template <PanelFormat F>
void dequantise_panel_row(const std::byte* panel, std::size_t c, std::span<float> out) {
  std::size_t k = 0;
  while (k < out.size()) {
    const float d = scale_of<F>(word_at(panel + 2 * c));
    const float min = F.has_min ? tensor::f16_to_f32(word_at(panel + 64 + 2 * c)) : 0.0F;
    const std::byte* header = panel;
    panel += F.header_bytes();
    for (std::size_t group = 0; group < F.groups; ++group) {
      for (std::size_t i = 0; i < kGroup; ++i, ++k) {
        const auto q = static_cast<float>(weight_of<F>(stored_quant<F>(panel + F.scales_bytes(), c, i)));
        const std::size_t half = i / 16;
        if constexpr (F.sub_scales == 0) {
          out[k] = F.has_min ? d * q + min : d * q;
        } else if constexpr (F.scales_in_header()) {
          out[k] = d * static_cast<float>(static_cast<std::int8_t>(header[64 + 32 * group + c])) * q;
        } else if constexpr (F.sub_scales == 1) {
          out[k] = d * static_cast<float>(panel[c]) * q - min * static_cast<float>(panel[32 + c]);
        } else {
          const float value = d * static_cast<float>(static_cast<std::int8_t>(panel[32 * half + c])) * q;
          out[k] = F.has_min ? value - min * static_cast<float>(panel[64 + 2 * c + half]) : value;
        }
      }
      panel += F.group_bytes();
    }
  }
}

}  // namespace

std::string_view name(Weights weights) {
  switch (weights) {
    case Weights::exact:
      return "exact";
    case Weights::int8:
      return "int8";
    case Weights::bf16:
      return "bf16";
    case Weights::f32:
      return "f32";
  }
  return {};
}

base::Result<PackedMatrix> PackedMatrix::pack(std::span<const tensor::MatrixView> parts, parallel::Team& team,
                                              Weights weights, WeightMemory* memory) {
  PLAIT_TRY_VOID(check_parts(parts));
  PackedMatrix packed;
  packed.inputs_ = parts.front().columns;
  const bool wide = weights == Weights::int8;
  const bool pairs = weights == Weights::bf16;
  if (wide) packed.row_form_ = RowForm::wide;
  if (pairs) packed.row_form_ = RowForm::pairs;
  std::vector<std::size_t> first_panel{0};  // of each part, then the end
  std::size_t bytes = 0;
  for (const tensor::MatrixView& view : parts) {
    const Type type = weights == Weights::f32 ? Type::f32 : view.type;
    const std::size_t panels = (view.rows + kPanel - 1) / kPanel;
    const std::size_t size = wide    ? wide_panel_bytes(view.columns)
                             : pairs ? pairs_panel_bytes(view.columns)
                                     : panel_bytes(type, view.columns);
    packed.parts_.push_back({type, packed.outputs_, view.rows, size, nullptr});
    if (!wide && !pairs && has_blocks(type)) packed.row_form_ = RowForm::groups;
    packed.outputs_ += view.rows;
    packed.file_bytes_ += view.bytes.size();
    bytes += panels * packed.parts_.back().panel_bytes;
    first_panel.push_back(first_panel.back() + panels);
  }
  WeightMemory own(bytes);
  WeightMemory::Slice slice = (memory != nullptr ? *memory : own).take(bytes);
  if (slice.data == nullptr) {
    return base::fail(ErrorCode::out_of_resources,
                      fmt::format("no memory for {} of weights", base::human_bytes(bytes)));
  }
  packed.owner_ = std::move(slice.owner);
  packed.bytes_ = bytes;
  std::byte* at = slice.data;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    packed.parts_[i].panels = at;
    at += (first_panel[i + 1] - first_panel[i]) * packed.parts_[i].panel_bytes;
  }
  team.run([&](int member) {
    const auto [begin, end] = parallel::part(first_panel.back(), member, team.size());
    for (std::size_t panel = begin; panel < end; ++panel) {
      const auto i = static_cast<std::size_t>(std::ranges::upper_bound(first_panel, panel) - first_panel.begin()) - 1;
      const tensor::MatrixView& view = parts[i];
      const std::size_t index = panel - first_panel[i];
      std::byte* out = slice.data + (packed.parts_[i].panels - slice.data) +
                       static_cast<std::ptrdiff_t>(index * packed.parts_[i].panel_bytes);
      if (wide) {
        pack_wide_panel(view, index * kPanel, out);
      } else if (pairs) {
        pack_pairs_panel(view, index * kPanel, out);
      } else if (packed.parts_[i].type != view.type) {
        pack_expanded_panel(view, index * kPanel, out);
      } else if (has_blocks(view.type)) {
        with_format(view.type, [&]<PanelFormat F>() { pack_panel<F>(view, index * kPanel, out); });
      } else {
        pack_plain_panel(view, index * kPanel, out);
      }
    }
  });
  return packed;
}

void PackedMatrix::dequantise_row(std::size_t row, std::span<float> out) const {
  PLAIT_CHECK(row < outputs_ && out.size() == inputs_, row, outputs_, out.size(), inputs_);
  const auto after = std::ranges::find_if(parts_, [&](const Part& p) { return row < p.first_output + p.rows; });
  const Part& part = *after;
  const std::size_t index = row - part.first_output;
  const std::byte* panel = part.panels + index / kPanel * part.panel_bytes;
  const std::size_t c = index % kPanel;
  if (row_form_ == RowForm::wide) return dequantise_wide_row(panel, c, out);
  if (row_form_ == RowForm::pairs) return dequantise_pairs_row(panel, c, out);
  if (has_blocks(part.type)) {
    with_format(part.type, [&]<PanelFormat F>() { dequantise_panel_row<F>(panel, c, out); });
    return;
  }
  const std::size_t size = tensor::info(part.type).block_bytes;
  for (std::size_t k = 0; k < out.size(); ++k) {
    const std::byte* value = panel + (k * kPanel + c) * size;
    if (part.type == Type::f32) {
      std::memcpy(&out[k], value, 4);
    } else {
      std::uint16_t bits;
      std::memcpy(&bits, value, 2);
      out[k] = part.type == Type::f16 ? tensor::f16_to_f32(bits) : tensor::bf16_to_f32(bits);
    }
  }
}

}  // namespace plait::kernels
