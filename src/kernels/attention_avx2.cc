// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/attention_table.h"

namespace plait::kernels {
namespace {

#include "kernels/vector_avx2.inc"

// 16 registers of 8 lanes: 6 x 1 x 2 or 3 x 2 x 2 accumulators, 2 lanes of b, 1 factor; so a second vector's factors
// are loaded again. An accumulator in memory made decode at 4,096 tokens 1.5 times slower (AMD Zen 3).
constexpr bool kFactorsAgain = true;
// A block as floats fills a level-1 cache of 32 KiB: 24 rows were 17 % slower with it, hundreds as fast.
constexpr std::size_t kPrepareRows = 96;
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kTileVectors = 1;
constexpr std::size_t kFewRows = 3;
constexpr std::size_t kFewVectors = 2;
constexpr std::size_t kWideRows = 6;
constexpr std::size_t kWideVectors = 1;

#include "kernels/attention.inc"

}  // namespace

const AttentionTable kAttentionAvx2 = kTable;
const AttentionTable kAttentionInt8Avx2 = kInt8Table;
const AttentionTable kAttentionBf16Avx2 = kBf16Table;

}  // namespace plait::kernels
