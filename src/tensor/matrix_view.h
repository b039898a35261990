// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "tensor/type.h"

namespace plait::tensor {

/// A stored matrix, row-major [rows, columns], each row whole blocks of `type`. Does not own its bytes.
/// A linear layer y = W x has W as [outputs, inputs]: `rows` outputs, `columns` inputs.
struct MatrixView {
  Type type = Type::f32;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::span<const std::byte> bytes = {};  ///< rows * row_bytes(type, columns) bytes; no alignment is promised.
};

}  // namespace plait::tensor
