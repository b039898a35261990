// SPDX-License-Identifier: Apache-2.0
//
// How keys and values lie in memory: in pages of 16 tokens. A page holds those tokens for all layers of one layer
// group: the layers that see everything, or the layers with a window, whose pages can be given back behind the window.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/units.h"
#include "kernels/attention.h"
#include "models/config.h"

namespace plait::models {

using kernels::kPageTokens;

/// Layers that see everything are group 0, those with a window group 1; either may be empty.
inline constexpr std::size_t kLayerGroups = 2;

class KvLayout {
 public:
  /// Of pages that hold nothing but numbers, of `number_bytes` bytes each: 2 (f16) or 4 (f32, the reference path).
  KvLayout(const Config& config, std::size_t number_bytes);
  /// Of the pages that the kernels read.
  KvLayout(const Config& config, kernels::AttentionArithmetic attention);

  /// Of one page; 0 for a group without layers.
  [[nodiscard]] base::Bytes page_bytes(std::size_t group) const { return page_bytes_[group]; }
  [[nodiscard]] std::size_t group_of(std::size_t layer) const { return group_[layer]; }
  /// Where the layer's part of a page begins, in bytes.
  [[nodiscard]] std::size_t offset_of(std::size_t layer) const { return offset_[layer]; }
  /// Tokens that a query of the group sees, itself included; 0: all.
  [[nodiscard]] std::size_t window(std::size_t group) const { return group == 0 ? 0 : window_; }
  /// Keys and values of one token in all layers.
  [[nodiscard]] base::Bytes token_bytes() const { return (page_bytes_[0] + page_bytes_[1]) / kPageTokens; }

 private:
  void place_layers(const Config& config, base::Bytes layer_bytes);

  std::array<base::Bytes, kLayerGroups> page_bytes_ = {};
  std::size_t window_;
  std::vector<std::size_t> group_;   ///< [layer]
  std::vector<std::size_t> offset_;  ///< [layer]
};

/// Some tokens of a span: tokens computed one after the other, counted from the span's origin, by which count their
/// keys are rotated. Page p of a group holds tokens 16 p … 16 p + 15; pages behind a window may be missing.
struct ViewEntry {
  std::array<std::byte* const*, kLayerGroups> pages = {};  ///< The span's page table for each layer group.
  std::size_t first = 0;                                   ///< Tokens first … last - 1 are seen.
  std::size_t last = 0;
  std::ptrdiff_t base = 0;  ///< Position of the token at the origin.
};

}  // namespace plait::models
