// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "tensor/type.h"

namespace plait::tensor {

/// Expands whole blocks to floats: the plain reference for every packed layout and kernel.
/// `bytes`: out.size() / block_elements blocks of `type`; `out`: [elements], a multiple of block_elements.
/// The arithmetic is the format's own definition, computed in float.
void dequantise(Type type, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace plait::tensor
