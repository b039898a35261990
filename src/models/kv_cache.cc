// SPDX-License-Identifier: Apache-2.0
#include "models/kv_cache.h"

#include <algorithm>

namespace plait::models {
namespace {

template <class T>
void grow(std::vector<std::unique_ptr<T[]>>& arrays, std::size_t used, std::size_t wanted) {
  for (auto& array : arrays) {
    auto larger = std::make_unique_for_overwrite<T[]>(wanted);
    std::copy_n(array.get(), used, larger.get());
    array = std::move(larger);
  }
}

}  // namespace

KvCache::KvCache(const Config& config, Kind kind)
    : row_(config.kv_heads * config.head_dim), head_block_(kernels::kAttentionBlock * config.head_dim) {
  if (kind == Kind::f16) {
    halves_.resize(2 * config.layers);
  } else {
    floats_.resize(2 * config.layers);
  }
}

void KvCache::reserve(std::size_t tokens) {
  if (tokens <= capacity_) return;
  constexpr std::size_t kBlock = kernels::kAttentionBlock;
  const std::size_t wanted = (std::max(tokens, capacity_ + capacity_ / 2) + kBlock - 1) / kBlock * kBlock;
  grow(halves_, capacity_ * row_, wanted * row_);
  grow(floats_, capacity_ * row_, wanted * row_);
  capacity_ = wanted;
}

base::Bytes KvCache::bytes() const {
  return capacity_ * row_ * (halves_.size() * sizeof(tensor::f16) + floats_.size() * sizeof(float));
}

kernels::KvBuffer KvCache::buffer(std::size_t layer) {
  return {.k = halves_[2 * layer].get(),
          .v = halves_[2 * layer + 1].get(),
          .head_stride = head_block_,
          .block_stride = kernels::kAttentionBlock * row_};
}

}  // namespace plait::models
