// SPDX-License-Identifier: Apache-2.0
#include "reasoning/mac_count.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace plait::reasoning {
namespace {

constexpr MacShape k3M{.layers = 6, .width = 256, .kv_width = 64, .feed_forward = 512};
constexpr MacShape k17M{.layers = 8, .width = 512, .kv_width = 128, .feed_forward = 1024};
constexpr MacShape k38M{.layers = 10, .width = 512, .kv_width = 128, .feed_forward = 2048};
constexpr MacShape k144M{.layers = 12, .width = 1024, .kv_width = 256, .feed_forward = 3072};

/// Sixteen direct answers of 212 tokens over one trace of 4,096.
double direct_over_trace(const MacShape& shape, MacAttention attention) {
  return 16.0 * static_cast<double>(mac_count(shape, 212, attention)) /
         static_cast<double>(mac_count(shape, 4096, attention));
}

TEST(MacCount, PublishedValues) {
  static_assert(mac_count(k3M, 4096, MacAttention::paper) == 26'578'255'872);
  static_assert(mac_count(k3M, 212, MacAttention::paper) == 743'255'040);
  EXPECT_NEAR(direct_over_trace(k3M, MacAttention::paper), 0.447, 5e-4);
  EXPECT_NEAR(direct_over_trace(k17M, MacAttention::paper), 0.577, 5e-4);
  EXPECT_NEAR(direct_over_trace(k38M, MacAttention::paper), 0.658, 5e-4);
  EXPECT_NEAR(direct_over_trace(k144M, MacAttention::paper), 0.712, 5e-4);
}

TEST(MacCount, WithBothProductsOfAttention) {
  EXPECT_NEAR(direct_over_trace(k3M, MacAttention::full), 0.315, 5e-4);
  EXPECT_NEAR(direct_over_trace(k17M, MacAttention::full), 0.447, 5e-4);
  EXPECT_NEAR(direct_over_trace(k38M, MacAttention::full), 0.549, 5e-4);
  EXPECT_NEAR(direct_over_trace(k144M, MacAttention::full), 0.625, 5e-4);
}

// Token by token and layer by layer, as a model computes.
TEST(MacCount, IsTheSumOverTokens) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto draw = [&](std::uint64_t n, std::uint64_t below) { return 1 + base::random_u64(seed, n) % below; };
    const MacShape shape{draw(0, 8), draw(1, 300), draw(2, 300), draw(3, 900)};
    const std::uint64_t tokens = draw(4, 200);
    std::uint64_t matrices = 0;
    std::uint64_t pairs = 0;
    for (std::uint64_t layer = 0; layer < shape.layers; ++layer) {
      for (std::uint64_t token = 1; token <= tokens; ++token) {
        matrices += shape.width * (shape.width + shape.kv_width + shape.kv_width + shape.width);  // q, k, v, output
        matrices += 3 * shape.width * shape.feed_forward;
        pairs += token;
      }
    }
    EXPECT_EQ(mac_count(shape, tokens, MacAttention::paper), matrices + shape.width * pairs);
    EXPECT_EQ(mac_count(shape, tokens, MacAttention::full), matrices + 2 * shape.width * pairs);
  }
}

TEST(MacCount, NothingCostsNothing) { EXPECT_EQ(mac_count(k3M, 0, MacAttention::full), 0U); }

}  // namespace
}  // namespace plait::reasoning
