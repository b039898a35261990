// SPDX-License-Identifier: Apache-2.0
//
// A second opinion on CountDown expressions, written apart from reasoning/arithmetic.h, for experiments whose figures
// hang on a verifier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace plait::evaluation {

/// The value of an expression of + - * / ( ) that uses each number once and stays within whole numbers from 0 on;
/// nothing if it is no such expression.
[[nodiscard]] std::optional<std::int64_t> expression_value(std::span<const std::int64_t> numbers,
                                                           std::string_view text);

/// An expression of these numbers, right or wrong by the rules; in one of three cases some bytes of it are changed.
[[nodiscard]] std::string random_expression(std::span<const std::int64_t> numbers, std::uint64_t seed);

struct Agreement {
  std::size_t checked = 0;
  std::size_t agreed = 0;
  std::size_t legal = 0;  ///< Of all, by the second opinion.
};
/// What check_countdown() says of so many random expressions, beside the second opinion.
[[nodiscard]] Agreement compare_opinions(std::size_t expressions, std::uint64_t seed);

}  // namespace plait::evaluation
