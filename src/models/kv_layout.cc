// SPDX-License-Identifier: Apache-2.0
#include "models/kv_layout.h"

namespace plait::models {

KvLayout::KvLayout(const Config& config, std::size_t number_bytes) : window_(config.window) {
  const base::Bytes layer = 2 * kPageTokens * config.kv_heads * config.head_dim * number_bytes;
  for (std::size_t i = 0; i < config.layers; ++i) {
    const std::size_t group = config.layer_windowed[i] ? 1 : 0;
    group_.push_back(group);
    offset_.push_back(page_bytes_[group]);
    page_bytes_[group] += layer;
  }
}

}  // namespace plait::models
