// SPDX-License-Identifier: Apache-2.0
//
// Idea: two stacks, one of values and one of operations (Dijkstra's shunting yard), where the verifier descends.
#include "evaluation/experiments/expression_check.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/random.h"
#include "reasoning/arithmetic.h"

namespace plait::evaluation {
namespace {

constexpr std::string_view kOperations = "+-*/";

class Stacks {
 public:
  bool push_value(std::int64_t value) {
    values_.push_back(value);
    return true;
  }
  void open() { operations_.push_back('('); }
  bool close() {
    while (!operations_.empty() && operations_.back() != '(') {
      if (!reduce()) return false;
    }
    if (operations_.empty()) return false;
    operations_.pop_back();
    return true;
  }
  bool push_operation(char operation) {
    while (!operations_.empty() && rank(operations_.back()) >= rank(operation)) {
      if (!reduce()) return false;
    }
    operations_.push_back(operation);
    return true;
  }
  std::optional<std::int64_t> finish() {
    while (!operations_.empty()) {
      if (operations_.back() == '(' || !reduce()) return std::nullopt;
    }
    return values_.size() == 1 ? std::optional(values_.front()) : std::nullopt;
  }

 private:
  static int rank(char operation) { return operation == '(' ? 0 : operation == '+' || operation == '-' ? 1 : 2; }

  /// The last operation, on the last two values.
  bool reduce() {
    if (values_.size() < 2) return false;
    const std::int64_t right = values_.back();
    values_.pop_back();
    std::int64_t& left = values_.back();
    switch (std::exchange(operations_.back(), ' ')) {
      case '+':
        if (__builtin_add_overflow(left, right, &left)) return false;
        break;
      case '-':
        left -= right;  // neither is negative
        break;
      case '*':
        if (__builtin_mul_overflow(left, right, &left)) return false;
        break;
      default:
        if (right == 0 || left % right != 0) return false;
        left /= right;
    }
    operations_.pop_back();
    return left >= 0;
  }

  std::vector<std::int64_t> values_;
  std::vector<char> operations_;
};

std::string tree(std::span<const std::int64_t> numbers, std::uint64_t seed, bool parentheses) {
  if (numbers.size() == 1) return std::to_string(numbers.front());
  const std::size_t split = 1 + base::random_u64(seed, 0) % (numbers.size() - 1);
  std::string text = tree(numbers.first(split), base::child_seed(seed, 1), parentheses);
  text += kOperations[base::random_u64(seed, 1) % kOperations.size()];
  text += tree(numbers.subspan(split), base::child_seed(seed, 2), parentheses);
  return parentheses ? '(' + text + ')' : text;
}

}  // namespace

std::optional<std::int64_t> expression_value(std::span<const std::int64_t> numbers, std::string_view text) {
  std::vector<std::int64_t> used;
  Stacks stacks;
  bool wants_value = true;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == ' ') {
      ++at;
    } else if (c >= '0' && c <= '9') {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
      if (!wants_value || error != std::errc()) return std::nullopt;
      used.push_back(value);
      stacks.push_value(value);
      at = static_cast<std::size_t>(end - text.data());
      wants_value = false;
    } else if (c == '(') {
      if (!wants_value) return std::nullopt;
      stacks.open();
      ++at;
    } else if (c == ')') {
      if (wants_value || !stacks.close()) return std::nullopt;
      ++at;
    } else {
      if (wants_value || !kOperations.contains(c) || !stacks.push_operation(c)) return std::nullopt;
      wants_value = true;
      ++at;
    }
  }
  std::vector<std::int64_t> given(numbers.begin(), numbers.end());
  std::ranges::sort(given);
  std::ranges::sort(used);
  if (wants_value || given != used) return std::nullopt;
  return stacks.finish();
}

std::string random_expression(std::span<const std::int64_t> numbers, std::uint64_t seed) {
  std::vector<std::int64_t> shuffled(numbers.begin(), numbers.end());
  for (std::size_t i = shuffled.size(); i > 1; --i) {
    std::swap(shuffled[i - 1], shuffled[base::random_u64(seed, i) % i]);
  }
  std::string text = tree(shuffled, base::child_seed(seed, 0), base::random_u64(seed, 100) % 4 != 0);
  if (base::random_u64(seed, 101) % 3 != 0) return text;
  constexpr std::string_view kBytes = "0123456789+-*/()()  x";
  const std::uint64_t changes = 1 + base::random_u64(seed, 102) % 2;
  for (std::uint64_t i = 0; i < changes; ++i) {
    const std::size_t at = base::random_u64(seed, 110 + i) % text.size();
    const char byte = kBytes[base::random_u64(seed, 120 + i) % kBytes.size()];
    const std::uint64_t how = base::random_u64(seed, 130 + i) % 3;
    if (how == 0) text[at] = byte;
    if (how == 1) text.insert(at, 1, byte);
    if (how == 2 && text.size() > 1) text.erase(at, 1);
  }
  return text;
}

Agreement compare_opinions(std::size_t expressions, std::uint64_t seed) {
  Agreement agreement;
  for (std::size_t i = 0; i < expressions; ++i) {
    const std::uint64_t own = base::child_seed(seed, i);
    std::vector<std::int64_t> numbers;
    for (std::uint64_t k = 0; k < 2 + base::random_u64(own, 200) % 4; ++k) {
      const std::int64_t most = base::random_u64(own, 201) % 2 == 0 ? 9 : 99;  // small ones divide more often
      numbers.push_back(
          static_cast<std::int64_t>(1 + base::random_u64(own, 210 + k) % static_cast<std::uint64_t>(most)));
    }
    const std::string text = random_expression(numbers, own);
    const auto second = expression_value(numbers, text);
    const reasoning::CountdownCheck first = reasoning::check_countdown(numbers, text);
    ++agreement.checked;
    agreement.legal += second ? 1 : 0;
    agreement.agreed += first.legal == second.has_value() && (!second || first.value == *second) ? 1 : 0;
  }
  return agreement;
}

}  // namespace plait::evaluation
