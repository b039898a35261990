// SPDX-License-Identifier: Apache-2.0
#include "models/kv_layout.h"

#include <gtest/gtest.h>

namespace plait::models {
namespace {

using kernels::AttentionArithmetic;

/// The shape of smollm2-135m.
Config smollm2() {
  Config config;
  config.layers = 30;
  config.heads = 9;
  config.kv_heads = 3;
  config.head_dim = 64;
  config.layer_windowed.assign(30, false);
  return config;
}

TEST(KvLayout, BytesOfATokenAreWhatTheArithmeticSays) {
  EXPECT_EQ(KvLayout(smollm2(), AttentionArithmetic::exact).token_bytes(), 23'040U);
  EXPECT_EQ(KvLayout(smollm2(), AttentionArithmetic::bf16).token_bytes(), 23'040U);
  EXPECT_EQ(KvLayout(smollm2(), AttentionArithmetic::int8).token_bytes(), 12'240U);  // scales: 8 bytes in 136
  EXPECT_EQ(KvLayout(smollm2(), sizeof(float)).token_bytes(), 46'080U);
}

TEST(KvLayout, LayersFollowEachOtherInThePageOfTheirGroup) {
  Config config = smollm2();
  config.window = 128;
  for (std::size_t i = 0; i < config.layers; ++i) config.layer_windowed[i] = i % 3 == 1;
  for (const auto arithmetic : {AttentionArithmetic::exact, AttentionArithmetic::int8}) {
    const KvLayout layout(config, arithmetic);
    const kernels::AttentionShape shape{.heads = 9, .kv_heads = 3, .dim = 64, .arithmetic = arithmetic};
    std::array<std::size_t, kLayerGroups> end = {};
    for (std::size_t i = 0; i < config.layers; ++i) {
      const std::size_t group = layout.group_of(i);
      EXPECT_EQ(group, i % 3 == 1 ? 1U : 0U);
      EXPECT_EQ(layout.offset_of(i), end[group]);
      EXPECT_EQ(layout.offset_of(i) % 64, 0U);
      end[group] += kernels::layer_bytes(shape);
    }
    for (std::size_t group = 0; group < kLayerGroups; ++group) EXPECT_EQ(layout.page_bytes(group), end[group]);
  }
}

}  // namespace
}  // namespace plait::models
