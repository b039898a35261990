// SPDX-License-Identifier: Apache-2.0
//
// Where one sequence's keys and values lie. Memory grows by half its size at a time, so that appending token by token
// allocates rarely and a sequence never holds more than 1.5 times what it needs (plus a block).
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/units.h"
#include "kernels/attention.h"
#include "models/config.h"
#include "tensor/half.h"

namespace plait::models {

/// Keys (already rotated) and values of all layers: in f16 as the attention kernels want them, or in plain floats for
/// the reference path.
class KvCache {
 public:
  enum class Kind { f16, f32 };
  KvCache(const Config& config, Kind kind);

  [[nodiscard]] std::size_t length() const { return length_; }
  void set_length(std::size_t length) { length_ = length; }
  /// Makes room for `tokens` tokens in all; keeps what is there.
  void reserve(std::size_t tokens);
  [[nodiscard]] base::Bytes bytes() const;

  /// Requires: kind f16.
  [[nodiscard]] kernels::KvBuffer buffer(std::size_t layer);
  /// [token, kv_head, dim] of one layer. Requires: kind f32.
  [[nodiscard]] float* keys(std::size_t layer) { return floats_[2 * layer].get(); }
  [[nodiscard]] float* values(std::size_t layer) { return floats_[2 * layer + 1].get(); }

 private:
  std::size_t row_;           ///< Numbers per token: kv_heads * dim.
  std::size_t head_block_;    ///< Numbers of one block of one head.
  std::size_t capacity_ = 0;  ///< Tokens, whole blocks.
  std::size_t length_ = 0;
  std::vector<std::unique_ptr<tensor::f16[]>> halves_;  ///< [layer][keys, values]; empty for the other kind
  std::vector<std::unique_ptr<float[]>> floats_;        ///< the same
};

}  // namespace plait::models
