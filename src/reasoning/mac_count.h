// SPDX-License-Identifier: Apache-2.0
//
// How many multiply-adds one generation takes: what "To Backtrack or Not to Backtrack" (arXiv 2504.07052, formula of
// its official code) compares long answers and many short ones by. For N layers of width h, with keys of width kv and
// a feed forward part of width f (three matrices), L tokens cost
//
//   MAC(L) = N ((2h² + 2h kv + 3h f) L + h L (L + 1) / 2)
//
// The last term is attention's. It counts one of its two products (scores; weighted values); what really happens has
// both. Neither counts the output layer. Print the paper's for comparison with it, the full one for users.
#pragma once

#include <cstdint>

namespace plait::reasoning {

/// The widths of one transformer, in numbers.
struct MacShape {
  std::uint64_t layers = 0;
  std::uint64_t width = 0;
  std::uint64_t kv_width = 0;      ///< Key heads times their width.
  std::uint64_t feed_forward = 0;  ///< Width between the feed forward matrices.
};

enum class MacAttention {
  paper,  ///< One product, as published.
  full,   ///< Both.
};

/// Multiply-adds of one generation of `tokens` tokens, prompt included. Exact while below 2^64: 10^6 tokens of any
/// model with layers × width below 10^7.
[[nodiscard]] constexpr std::uint64_t mac_count(const MacShape& shape, std::uint64_t tokens, MacAttention attention) {
  const std::uint64_t h = shape.width;
  const std::uint64_t weights = 2 * h * h + 2 * h * shape.kv_width + 3 * h * shape.feed_forward;
  const std::uint64_t pairs = tokens * (tokens + 1);  // even: twice the number of (token, token it sees)
  const std::uint64_t products = attention == MacAttention::full ? pairs : pairs / 2;
  return shape.layers * (weights * tokens + h * products);
}

}  // namespace plait::reasoning
