// SPDX-License-Identifier: Apache-2.0
//
// CountDown once more, by other means, for tests: what a problem's numbers can reach, by sets of them, and what an
// answer is worth, by two stacks and in 128 bits. Shares no code with what it judges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace plait::evaluation::for_test {

using Wide = __int128;

/// What two numbers give; nothing if that is no whole number of 0 to 2^63 - 1.
inline std::optional<Wide> combine(Wide a, char operation, Wide b) {
  std::optional<Wide> value;
  if (operation == '+') value = a + b;
  if (operation == '-') value = a - b;
  if (operation == '*') value = a * b;
  if (operation == '/' && b != 0 && a % b == 0) value = a / b;
  if (value && (*value < 0 || *value > INT64_MAX)) value.reset();
  return value;
}

/// Whether a target can be reached with every number used once. 3^n steps over sets of values.
inline bool is_reachable(const std::vector<std::int64_t>& numbers, std::int64_t target) {
  const std::size_t all = (std::size_t{1} << numbers.size()) - 1;
  std::vector<std::set<Wide>> values(all + 1);  // [set of numbers]
  for (std::size_t i = 0; i < numbers.size(); ++i) values[std::size_t{1} << i].insert(numbers[i]);
  for (std::size_t whole = 1; whole <= all; ++whole) {
    for (std::size_t part = (whole - 1) & whole; part > 0; part = (part - 1) & whole) {
      for (const Wide a : values[part]) {
        for (const Wide b : values[whole ^ part]) {
          for (const char operation : {'+', '-', '*', '/'}) {
            if (const auto value = combine(a, operation, b)) values[whole].insert(*value);
          }
        }
      }
    }
  }
  return values[all].contains(target);
}

/// A number ('n'), an operation, a parenthesis or `=`.
struct Word {
  char kind = 'n';
  Wide value = 0;
};

/// Nothing if there is anything else, or a number beyond 2^63 - 1.
inline std::optional<std::vector<Word>> words_of(std::string_view text) {
  std::vector<Word> words;
  bool in_number = false;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (digit && in_number) {
      words.back().value = words.back().value * 10 + (c - '0');
      if (words.back().value > INT64_MAX) return std::nullopt;
    } else if (digit) {
      words.push_back({'n', c - '0'});
    } else if (std::string_view("+-*/()=").find(c) != std::string_view::npos) {
      words.push_back({c, 0});
    } else if (c != ' ') {
      return std::nullopt;
    }
    in_number = digit;
  }
  return words;
}

/// Dijkstra's two stacks.
class Stacks {
 public:
  /// The value of the words up to `end`, and the numbers used; nothing if they are no legal expression.
  static std::optional<Wide> value(const std::vector<Word>& words, std::size_t end, std::multiset<Wide>& used) {
    Stacks stacks;
    bool wants_number = true;
    for (std::size_t i = 0; i < end; ++i) {
      const Word& word = words[i];
      if (wants_number != (word.kind == 'n' || word.kind == '(')) return std::nullopt;
      if (word.kind == 'n') {
        stacks.values_.push_back(word.value);
        used.insert(word.value);
        wants_number = false;
      } else if (word.kind == '(') {
        stacks.operations_.push_back('(');
      } else if (word.kind == ')') {
        if (!stacks.reduce_while(0) || stacks.operations_.empty()) return std::nullopt;
        stacks.operations_.pop_back();
      } else {
        if (!stacks.reduce_while(rank(word.kind))) return std::nullopt;
        stacks.operations_.push_back(word.kind);
        wants_number = true;
      }
    }
    if (wants_number || !stacks.reduce_while(0) || !stacks.operations_.empty()) return std::nullopt;
    return stacks.values_.back();
  }

 private:
  static int rank(char operation) { return operation == '(' ? -1 : operation == '+' || operation == '-' ? 1 : 2; }

  /// Applies operations of at least this rank; false if one has no value.
  bool reduce_while(int least) {
    while (!operations_.empty() && rank(operations_.back()) >= least) {
      const Wide right = values_.back();
      values_.pop_back();
      const auto value = combine(values_.back(), operations_.back(), right);
      if (!value) return false;
      values_.back() = *value;
      operations_.pop_back();
    }
    return true;
  }

  std::vector<Wide> values_;
  std::vector<char> operations_;
};

/// Where a legal answer ends; nothing if it is not legal.
inline std::optional<Wide> answer_value(const std::vector<std::int64_t>& numbers, const std::string& answer) {
  std::multiset<Wide> given(numbers.begin(), numbers.end());
  std::vector<std::string> parts(1);
  for (const char c : answer) {
    const bool ends = c == '\n' || c == ',' || c == ';';
    if (ends && parts.back().find_first_not_of(' ') != std::string::npos) parts.emplace_back();
    if (!ends) parts.back() += c;
  }
  if (parts.back().find_first_not_of(' ') == std::string::npos) parts.pop_back();
  if (parts.empty()) return std::nullopt;
  if (parts.size() == 1) {
    const auto words = words_of(parts[0]);
    if (!words) return std::nullopt;
    std::size_t end = 0;
    while (end < words->size() && (*words)[end].kind != '=') ++end;
    std::multiset<Wide> used;
    const auto value = Stacks::value(*words, end, used);
    const bool says_value = end + 2 == words->size() && words->back().kind == 'n' && words->back().value == value;
    return value && used == given && (end == words->size() || says_value) ? value : std::nullopt;
  }
  if (parts.size() + 1 != numbers.size()) return std::nullopt;
  std::optional<Wide> last;
  for (const std::string& part : parts) {
    const auto words = words_of(part);
    if (!words || words->size() != 5) return std::nullopt;
    const std::vector<Word>& w = *words;
    if (w[0].kind != 'n' || w[2].kind != 'n' || w[3].kind != '=' || w[4].kind != 'n') return std::nullopt;
    for (const Wide operand : {w[0].value, w[2].value}) {
      const auto at = given.find(operand);
      if (at == given.end()) return std::nullopt;
      given.erase(at);
    }
    last = combine(w[0].value, w[1].kind, w[2].value);
    if (!last || *last != w[4].value) return std::nullopt;
    given.insert(*last);
  }
  return last;
}

}  // namespace plait::evaluation::for_test
