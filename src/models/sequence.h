// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "base/units.h"

namespace plait::models {

class Model;
class KvCache;

/// The keys and values of one growing sequence of tokens. Model::forward() appends to it.
/// Movable, not copyable; must not outlive its model. One thread at a time.
class Sequence {
 public:
  explicit Sequence(const Model& model);
  Sequence(Sequence&&) noexcept;
  Sequence& operator=(Sequence&&) noexcept;
  ~Sequence();

  [[nodiscard]] std::size_t length() const;  ///< Tokens so far.
  /// Cuts back to the first `length` tokens; what is computed next equals a sequence that never had the others.
  /// Requires: length <= this->length().
  void trim(std::size_t length);
  [[nodiscard]] base::Bytes bytes() const;  ///< Memory held for keys and values.

  [[nodiscard]] KvCache& cache() { return *cache_; }  ///< For the forward pass.

 private:
  std::unique_ptr<KvCache> cache_;
};

}  // namespace plait::models
