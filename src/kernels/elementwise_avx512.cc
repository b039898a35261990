// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/elementwise_table.h"

namespace plait::kernels {
namespace {

#include "kernels/vector_avx512.inc"

static_assert(sizeof(Vec) == 16 * sizeof(float));

#include "kernels/elementwise.inc"

}  // namespace

const ElementwiseTable kElementwiseAvx512 = kTable;

}  // namespace plait::kernels
