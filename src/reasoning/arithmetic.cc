// SPDX-License-Identifier: Apache-2.0
#include "reasoning/arithmetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <utility>

#include "reasoning/normal_form.h"

namespace plait::reasoning {
namespace {

constexpr std::size_t kDepthMax = 64;  // parentheses and signs within each other: the reader calls itself

/// Takes a number without a sign off the front.
std::optional<std::int64_t> take_value(std::string_view& text) {
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  return value;
}

void skip_space(std::string_view& text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
}

struct Sign {
  std::string_view spelling;
  char operation;
};
constexpr Sign kSigns[] = {{"+", '+'}, {"-", '-'}, {"*", '*'}, {"/", '/'},
                           {"×", '*'}, {"·", '*'}, {"÷", '/'}, {"−", '-'}};

/// Takes an operation off the front.
std::optional<char> take_operation(std::string_view& text) {
  for (const Sign& sign : kSigns) {
    if (!text.starts_with(sign.spelling)) continue;
    text.remove_prefix(sign.spelling.size());
    return sign.operation;
  }
  return std::nullopt;
}

/// Reads an expression by descent: a sum of products of signed atoms.
class Reader {
 public:
  Reader(std::string_view text, bool naturals) : rest_(text), size_(text.size()), naturals_(naturals) {}

  base::Result<Evaluated> read() {
    PLAIT_TRY(const std::int64_t value, sum(0));
    skip_space(rest_);
    if (!rest_.empty()) return bad("expected an operation or the end");
    return Evaluated{value, std::move(operands_)};
  }

 private:
  [[nodiscard]] std::unexpected<base::Error> bad(std::string_view what) const {
    return base::fail(base::ErrorCode::invalid_data, fmt::format("byte {}: {}", size_ - rest_.size(), what));
  }

  /// The next operation if it is one of `wanted`, taken.
  std::optional<char> next_of(std::string_view wanted) {
    skip_space(rest_);
    std::string_view behind = rest_;
    const auto operation = take_operation(behind);
    if (!operation || !wanted.contains(*operation)) return std::nullopt;
    rest_ = behind;
    return operation;
  }

  base::Result<std::int64_t> combined(std::int64_t left, char operation, std::int64_t right) const {
    const auto value = apply(left, operation, right);
    if (!value) return bad("no whole number, or none of 64 bits");
    if (naturals_ && *value < 0) return bad("below zero");
    return *value;
  }

  base::Result<std::int64_t> sum(std::size_t depth) {
    PLAIT_TRY(std::int64_t value, product(depth));
    while (const auto operation = next_of("+-")) {
      PLAIT_TRY(const std::int64_t right, product(depth));
      PLAIT_TRY(value, combined(value, *operation, right));
    }
    return value;
  }

  base::Result<std::int64_t> product(std::size_t depth) {
    PLAIT_TRY(std::int64_t value, atom(depth));
    while (const auto operation = next_of("*/")) {
      PLAIT_TRY(const std::int64_t right, atom(depth));
      PLAIT_TRY(value, combined(value, *operation, right));
    }
    return value;
  }

  base::Result<std::int64_t> atom(std::size_t depth) {
    if (depth > kDepthMax) return bad("nested too deeply");
    if (!naturals_) {
      if (const auto sign = next_of("+-")) {
        PLAIT_TRY(const std::int64_t value, atom(depth + 1));
        return combined(0, *sign, value);
      }
    }
    skip_space(rest_);
    if (rest_.starts_with('(')) {
      rest_.remove_prefix(1);
      PLAIT_TRY(const std::int64_t value, sum(depth + 1));
      skip_space(rest_);
      if (!rest_.starts_with(')')) return bad("expected `)`");
      rest_.remove_prefix(1);
      return value;
    }
    const auto value = take_value(rest_);
    if (!value) return bad("expected a number of 64 bits or `(`");
    operands_.push_back(*value);
    return *value;
  }

  std::string_view rest_;
  std::size_t size_;
  bool naturals_;
  std::vector<std::int64_t> operands_;
};

CountdownCheck illegal(std::string_view why) { return {.why = why}; }

/// Takes a number out of those that are there.
bool take(std::vector<std::int64_t>& numbers, std::int64_t number) {
  const auto at = std::ranges::find(numbers, number);
  if (at == numbers.end()) return false;
  numbers.erase(at);
  return true;
}

CountdownCheck check_expression(std::span<const std::int64_t> numbers, std::string_view text) {
  const std::size_t equals = text.find('=');
  const auto read = evaluate(text.substr(0, equals), {.naturals = true});
  if (!read) return illegal("no expression of the allowed operations");
  if (equals != std::string_view::npos) {
    std::string_view said = trimmed(text.substr(equals + 1));
    if (take_value(said) != read->value || !said.empty()) return illegal("the value that is said is wrong");
  }
  std::vector<std::int64_t> given(numbers.begin(), numbers.end());
  std::vector<std::int64_t> used = read->operands;
  if (given.size() == used.size()) {
    std::ranges::sort(given);
    std::ranges::sort(used);
  }
  if (given != used) return illegal("not every number is used exactly once");
  return {.legal = true, .value = read->value};
}

}  // namespace

std::optional<std::int64_t> apply(std::int64_t left, char operation, std::int64_t right) {
  std::int64_t value = 0;
  switch (operation) {
    case '+':
      return __builtin_add_overflow(left, right, &value) ? std::nullopt : std::optional(value);
    case '-':
      return __builtin_sub_overflow(left, right, &value) ? std::nullopt : std::optional(value);
    case '*':
      return __builtin_mul_overflow(left, right, &value) ? std::nullopt : std::optional(value);
    case '/':
      if (right == 0) return std::nullopt;
      if (right == -1) return apply(0, '-', left);  // the one division that may overflow
      return left % right == 0 ? std::optional(left / right) : std::nullopt;
    default:
      return std::nullopt;
  }
}

std::string step_text(const Step& step) {
  return fmt::format("{}{}{}={}", step.left, step.operation, step.right, step.result);
}

std::optional<Step> parse_step(std::string_view text) {
  text = trimmed(text);
  const auto left = take_value(text);
  skip_space(text);
  const auto operation = take_operation(text);
  skip_space(text);
  const auto right = take_value(text);
  skip_space(text);
  if (!left || !operation || !right || !text.starts_with('=')) return std::nullopt;
  text.remove_prefix(1);
  skip_space(text);
  const auto result = take_value(text);
  return result && text.empty() ? std::optional(Step{*left, *operation, *right, *result}) : std::nullopt;
}

base::Result<Evaluated> evaluate(std::string_view text, EvaluateOptions options) {
  return Reader(text, options.naturals).read();
}

CountdownCheck check_countdown_steps(std::span<const std::int64_t> numbers, std::span<const Step> steps) {
  std::vector<std::int64_t> there(numbers.begin(), numbers.end());
  if (steps.empty() || steps.size() + 1 != numbers.size()) return illegal("not one step less than numbers");
  for (const Step& step : steps) {
    if (!take(there, step.left) || !take(there, step.right)) return illegal("a number that is not there");
    const auto result = apply(step.left, step.operation, step.right);
    if (!result || *result != step.result) return illegal("a step that is wrong");
    if (*result < 0) return illegal("below zero");
    there.push_back(*result);
  }
  return {.legal = true, .value = there.front()};
}

CountdownCheck check_countdown(std::span<const std::int64_t> numbers, std::string_view answer) {
  std::vector<std::string_view> parts;
  while (!answer.empty()) {
    const std::string_view part = answer.substr(0, answer.find_first_of("\n,;"));
    if (!trimmed(part).empty()) parts.push_back(part);
    answer.remove_prefix(std::min(part.size() + 1, answer.size()));
  }
  if (parts.empty()) return illegal("nothing");
  if (parts.size() == 1) return check_expression(numbers, parts[0]);
  if (parts.size() + 1 != numbers.size()) return illegal("not one step less than numbers");
  std::vector<Step> steps;
  for (const std::string_view part : parts) {
    const auto step = parse_step(part);
    if (!step) return illegal("a line that is no step");
    steps.push_back(*step);
  }
  return check_countdown_steps(numbers, steps);
}

}  // namespace plait::reasoning
