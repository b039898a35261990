// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace plait::kernels {

/// How rows are prepared for a product, which depends on how its weights are packed.
enum class RowForm {
  floats,  ///< As they are.
  groups,  ///< 8 bits, with a scale for every 32 inputs.
  wide,    ///< 8 bits, with a scale for every 128 inputs.
  pairs,   ///< bf16, two neighbouring inputs to a word.
};

/// Quantised rows as the kernels read them. Rows come in blocks of 16 (the last may be shorter); block b has
/// R = min(16, m - 16 b) rows. All arrays are ordered [block][group][R], so that one group of one block is contiguous;
/// block b starts at element 16 * b * groups. In the wide form a group has 128 inputs, the last one perhaps 64, `a` is
/// ordered [block][step of 64 inputs][R], and usum, minus_first and minus_second are not there. Of the form in pairs
/// only `pairs` is there, and a group is a step of 32 inputs.
struct RowsView {
  std::size_t m = 0;  ///< Rows.
  std::size_t k = 0;  ///< Inputs.
  RowForm form = RowForm::floats;
  std::size_t groups = 0;                ///< ceil(k / 32), wide ceil(k / 128); inputs beyond k are zero.
  std::size_t steps = 0;                 ///< Of `a`: groups, wide ceil(k / 64).
  std::int8_t* a = nullptr;              ///< [block][group][R][32], 64-byte aligned
  float* scale = nullptr;                ///< [block][group][R]
  float* usum = nullptr;                 ///< [block][group][R]: scale * sum of a
  std::int32_t* minus_sum = nullptr;     ///< [block][group][R]: -(sum of a), wide 128 times that
  std::int32_t* minus_first = nullptr;   ///< [block][group][R]: -(sum of the first 16 of a)
  std::int32_t* minus_second = nullptr;  ///< [block][group][R]: -(sum of the second 16)
  std::uint16_t* pairs = nullptr;        ///< [block][step][R][32], bits of bf16, 64-byte aligned
  const float* x = nullptr;              ///< [m, k] with row stride x_stride: the caller's floats
  std::size_t x_stride = 0;
};

inline constexpr std::size_t kRowBlock = 16;  ///< Rows of a block: an AMX tile.
/// Rows that pass over a panel before the next panel: their quants, 256 * 1.5 KiB for an input of 1,536, stay in the
/// level-2 cache beside two panels, or beside their gates and ups (1 KiB a row). A PanelTask has no more.
inline constexpr std::size_t kRowsAtOnce = 256;
inline constexpr std::size_t kGroup = 32;  ///< Inputs with one activation scale.
inline constexpr std::size_t kPanel = 32;  ///< Outputs of a panel: two vectors of 16.

inline constexpr std::size_t kWideGroup = 128;  ///< Inputs with one scale where weights were made int8 at load.
inline constexpr std::size_t kWideStep = 64;    ///< Inputs of a step: the depth of an AMX tile.
inline constexpr std::size_t kWideStepBytes = kWideStep * kPanel;        ///< Of a panel.
inline constexpr std::size_t kWideHeaderBytes = kPanel * sizeof(float);  ///< Of a group of a panel.

inline constexpr std::size_t kPairStep = 32;  ///< Inputs of a step where weights were made bf16: the depth of a tile.
inline constexpr std::size_t kPairStepBytes = 2 * kPairStep * kPanel;  ///< Of a panel.
inline constexpr std::size_t kPairTileBytes = kPairStepBytes / 2;      ///< Of 16 of its outputs.

}  // namespace plait::kernels
