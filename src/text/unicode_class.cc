// SPDX-License-Identifier: Apache-2.0
#include "text/unicode_class.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

namespace plait::text {
namespace {

constexpr std::uint32_t kRanges[] = {
#include "text/unicode_ranges.inc"
};

using Block = std::array<CharClass, 256>;

}  // namespace

UnicodeClasses::UnicodeClasses() {
  std::map<Block, std::uint16_t> known;
  std::size_t range = 0;
  for (std::uint32_t number = 0; number < block_of_.size(); ++number) {
    Block block;
    for (std::uint32_t i = 0; i < block.size(); ++i) {
      const std::uint32_t code_point = (number << 8) + i;
      while (range + 1 < std::size(kRanges) && (kRanges[range + 1] >> 3) <= code_point) ++range;
      block[i] = static_cast<CharClass>(kRanges[range] & 7);
    }
    const auto [place, fresh] = known.try_emplace(block, static_cast<std::uint16_t>(known.size()));
    if (fresh) std::ranges::copy(block, std::back_inserter(blocks_));
    block_of_[number] = place->second;
  }
}

const UnicodeClasses& UnicodeClasses::get() {
  static const UnicodeClasses table;
  return table;
}

}  // namespace plait::text
