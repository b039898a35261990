// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "kernels/elementwise_table.h"
#include "tensor/half.h"

namespace plait::kernels {
namespace {

#include "kernels/vector_generic.inc"

static_assert(sizeof(Vec) == 16 * sizeof(float));

#include "kernels/elementwise.inc"

}  // namespace

const ElementwiseTable kElementwiseGeneric = kTable;

}  // namespace plait::kernels
