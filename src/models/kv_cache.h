// SPDX-License-Identifier: Apache-2.0
//
// Where one sequence's keys and values lie, for either arithmetic. Memory grows by half its size at a time, so that
// appending token by token allocates rarely and a sequence never holds more than 1.5 times what it needs.
#pragma once

#include <cstddef>
#include <vector>

#include "base/units.h"
#include "models/config.h"

namespace plait::models {

/// Keys (already rotated) and values in plain floats, for the reference path.
class KvCache {
 public:
  explicit KvCache(const Config& config);

  [[nodiscard]] std::size_t length() const { return length_; }
  void set_length(std::size_t length) { length_ = length; }
  /// Makes room for `tokens` tokens in all; keeps what is there.
  void reserve(std::size_t tokens);
  [[nodiscard]] base::Bytes bytes() const;

  /// [token, kv_head, dim] of one layer.
  [[nodiscard]] float* keys(std::size_t layer) { return layers_[layer].keys.data(); }
  [[nodiscard]] float* values(std::size_t layer) { return layers_[layer].values.data(); }

 private:
  struct LayerStore {
    std::vector<float> keys;
    std::vector<float> values;
  };
  std::size_t row_;  ///< Floats per token and layer: kv_heads * dim.
  std::size_t capacity_ = 0;
  std::size_t length_ = 0;
  std::vector<LayerStore> layers_;
};

}  // namespace plait::models
