// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/attention_table.h"
#include "tensor/half.h"

namespace plait::kernels {
namespace {

#include "kernels/vector_generic.inc"

constexpr bool kFactorsAgain = false;
constexpr std::size_t kPrepareRows = kRowsToWiden;
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kTileVectors = 1;
constexpr std::size_t kFewRows = 1;
constexpr std::size_t kFewVectors = 1;
constexpr std::size_t kWideRows = 6;
constexpr std::size_t kWideVectors = 1;

#include "kernels/attention.inc"

}  // namespace

const AttentionTable kAttentionGeneric = kTable;
const AttentionTable kAttentionInt8Generic = kInt8Table;
const AttentionTable kAttentionBf16Generic = kBf16Table;

}  // namespace plait::kernels
