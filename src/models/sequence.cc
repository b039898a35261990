// SPDX-License-Identifier: Apache-2.0
#include "models/sequence.h"

#include "base/check.h"
#include "models/kv_cache.h"
#include "models/model.h"

namespace plait::models {

Sequence::Sequence(const Model& model)
    : cache_(std::make_unique<KvCache>(
          model.config(), model.arithmetic() == Arithmetic::reference ? KvCache::Kind::f32 : KvCache::Kind::f16)) {}
Sequence::Sequence(Sequence&&) noexcept = default;
Sequence& Sequence::operator=(Sequence&&) noexcept = default;
Sequence::~Sequence() = default;

std::size_t Sequence::length() const { return cache_->length(); }

void Sequence::trim(std::size_t length) {
  PLAIT_CHECK(length <= cache_->length(), length, cache_->length());
  cache_->set_length(length);
}

base::Bytes Sequence::bytes() const { return cache_->bytes(); }

}  // namespace plait::models
