// SPDX-License-Identifier: Apache-2.0
//
// Exact arithmetic on whole numbers, as far as answers are checked by it: steps, expressions, and the rules of
// CountDown. What does not fit into 64 bits, does not divide exactly or divides by zero has no value. Pure; linear
// time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace plait::reasoning {

/// One operation and what it gives: 3+4=7.
struct Step {
  std::int64_t left = 0;
  char operation = '+';  ///< One of + - * /.
  std::int64_t right = 0;
  std::int64_t result = 0;
  friend bool operator==(const Step&, const Step&) = default;
};

/// `left operation right`; nothing where it has no value.
[[nodiscard]] std::optional<std::int64_t> apply(std::int64_t left, char operation, std::int64_t right);

/// `3+4=7`, without blanks.
[[nodiscard]] std::string step_text(const Step& step);
/// Reads `3 + 4 = 7`: numbers without a sign, blanks anywhere between. Whether it is right is not looked at.
[[nodiscard]] std::optional<Step> parse_step(std::string_view text);

/// An expression's value, and the numbers that stand in it.
struct Evaluated {
  std::int64_t value = 0;
  std::vector<std::int64_t> operands = {};  ///< In order; signs are operations.
};

struct EvaluateOptions {
  bool naturals = false;  ///< No value below zero may come up on the way, and there are no signs.
};

/// The value of `(3+4)*5`: + - * / ( ), signs, blanks; × · ÷ − as they are written. Products before sums, from left to
/// right. Errors: invalid_data (with the byte; what has no value; more than 64 parentheses or signs within each other).
[[nodiscard]] base::Result<Evaluated> evaluate(std::string_view text, EvaluateOptions options = {});

/// What an answer to a CountDown problem is worth.
struct CountdownCheck {
  bool legal = false;         ///< Every number is used exactly once, and every operation is allowed and right.
  std::int64_t value = 0;     ///< Where it ends, if it is legal.
  std::string_view why = {};  ///< Not legal: which rule it breaks; lives for ever.
  [[nodiscard]] bool reaches(std::int64_t target) const { return legal && value == target; }
};

/// Steps, each of two numbers that are there: given, or results not used yet. The last one uses what is left. Results
/// are never negative.
[[nodiscard]] CountdownCheck check_countdown_steps(std::span<const std::int64_t> numbers, std::span<const Step> steps);

/// An answer: one expression as `(3+4)*5`, perhaps with `= 35` behind it; or steps `3+4=7` in lines, or between commas
/// or semicolons.
[[nodiscard]] CountdownCheck check_countdown(std::span<const std::int64_t> numbers, std::string_view answer);

}  // namespace plait::reasoning
