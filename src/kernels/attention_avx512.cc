// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/attention_table.h"

namespace plait::kernels {
namespace {

#include "kernels/vector_avx512.inc"

// 32 registers: 12 x 2 or 6 x 4 accumulators, 2 or 4 lanes of b, 1 factor. From floats in the first-level cache 6 x 4
// reach 90 % of the peak and 12 x 2 80 %; converting from f16 takes twice as long in 6 x 4.
constexpr bool kFactorsAgain = false;
constexpr std::size_t kPrepareRows = kRowsToWiden;
constexpr std::size_t kTileRows = 12;
constexpr std::size_t kTileVectors = 2;
constexpr std::size_t kFewRows = 6;
constexpr std::size_t kFewVectors = 4;
constexpr std::size_t kWideRows = 6;
constexpr std::size_t kWideVectors = 4;

#include "kernels/attention.inc"

}  // namespace

const AttentionTable kAttentionAvx512 = kTable;
const AttentionTable kAttentionInt8Avx512 = kInt8Table;
const AttentionTable kAttentionBf16Avx512 = kBf16Table;

}  // namespace plait::kernels
