// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/units.h"
#include "models/kv_layout.h"
#include "os/page_buffer.h"

namespace plait::models {

class Model;

/// One growing sequence of tokens with memory of its own, for who needs no engine: Model::forward() appends to it.
/// Memory grows by half its size at a time. Movable, not copyable; must not outlive its model. One thread at a time.
class Sequence {
 public:
  explicit Sequence(const Model& model);

  [[nodiscard]] std::size_t length() const { return length_; }  ///< Tokens so far.
  /// Cuts back to the first `length` tokens; what is computed next equals a sequence that never had the others.
  /// Requires: length <= this->length().
  void trim(std::size_t length);
  [[nodiscard]] base::Bytes bytes() const;  ///< Memory held for keys and values.

  /// All tokens so far, with room for `tokens` more. Valid until the next call.
  [[nodiscard]] ViewEntry reserve(std::size_t tokens);
  /// Counts tokens that were written behind the others. For Model::forward().
  void append(std::size_t tokens) { length_ += tokens; }

 private:
  const KvLayout* layout_;
  std::size_t length_ = 0;
  std::array<std::vector<std::byte*>, kLayerGroups> pages_;
  std::vector<os::PageBuffer> memory_;
};

}  // namespace plait::models
