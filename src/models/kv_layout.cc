// SPDX-License-Identifier: Apache-2.0
#include "models/kv_layout.h"

namespace plait::models {

KvLayout::KvLayout(const Config& config, std::size_t number_bytes) : window_(config.window) {
  place_layers(config, 2 * kPageTokens * config.kv_heads * config.head_dim * number_bytes);
}

KvLayout::KvLayout(const Config& config, kernels::AttentionArithmetic attention) : window_(config.window) {
  place_layers(config, config.kv_heads * kernels::head_bytes(attention, config.head_dim));
}

void KvLayout::place_layers(const Config& config, base::Bytes layer_bytes) {
  for (std::size_t i = 0; i < config.layers; ++i) {
    const std::size_t group = config.layer_windowed[i] ? 1 : 0;
    group_.push_back(group);
    offset_.push_back(page_bytes_[group]);
    page_bytes_[group] += layer_bytes;
  }
}

}  // namespace plait::models
