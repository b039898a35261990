// SPDX-License-Identifier: Apache-2.0
#include "models/kv_cache.h"

#include <algorithm>

namespace plait::models {

KvCache::KvCache(const Config& config) : row_(config.kv_heads * config.head_dim), layers_(config.layers) {}

void KvCache::reserve(std::size_t tokens) {
  if (tokens <= capacity_) return;
  capacity_ = std::max(tokens, capacity_ + capacity_ / 2);
  for (LayerStore& layer : layers_) {
    layer.keys.resize(capacity_ * row_);
    layer.values.resize(capacity_ * row_);
  }
}

base::Bytes KvCache::bytes() const { return layers_.size() * capacity_ * row_ * 2 * sizeof(float); }

}  // namespace plait::models
