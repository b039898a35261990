// SPDX-License-Identifier: Apache-2.0
#include "reasoning/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/check.h"
#include "reasoning/arithmetic.h"
#include "reasoning/normal_form.h"
#include "reasoning/search_trace.h"

namespace plait::reasoning {
namespace {

constexpr std::size_t kNumbersMax = 16;

class CountdownVerifier : public Verifier {
 public:
  CountdownVerifier(std::vector<std::int64_t> numbers, std::int64_t target)
      : numbers_(std::move(numbers)), target_(target) {}
  [[nodiscard]] std::string_view name() const override { return "countdown"; }
  [[nodiscard]] base::Result<double> score(std::string_view answer) const override {
    const auto steps = path_steps(answer);
    const CountdownCheck check = steps ? check_countdown_steps(numbers_, *steps) : check_countdown(numbers_, answer);
    if (!check.legal) return 0.0;
    return kVerified / (1.0 + std::abs(static_cast<double>(check.value) - static_cast<double>(target_)));
  }

 private:
  std::vector<std::int64_t> numbers_;
  std::int64_t target_;
};

/// `-1,234` and `1234` as a number.
std::optional<std::int64_t> whole_number(std::string_view text) {
  const bool has_sign = text.starts_with('-') || text.starts_with('+');
  std::string digits(text);
  for (std::size_t behind = 4; behind < text.size(); behind += 4) {
    const std::size_t at = text.size() - behind;
    if (text[at] != ',' || !is_digit(text[at - 1])) break;
    digits.erase(at, 1);
  }
  const std::string_view unsigned_part = std::string_view(digits).substr(has_sign ? 1 : 0);
  if (unsigned_part.empty() || !std::ranges::all_of(unsigned_part, is_digit)) return std::nullopt;
  const auto read = evaluate(digits);
  return read ? std::optional(read->value) : std::nullopt;
}

class ValueVerifier : public Verifier {
 public:
  explicit ValueVerifier(std::int64_t value) : value_(value) {}
  [[nodiscard]] std::string_view name() const override { return "value"; }
  [[nodiscard]] base::Result<double> score(std::string_view answer) const override {
    return whole_number(normal_answer(answer)) == value_ ? kVerified : 0.0;
  }

 private:
  std::int64_t value_;
};

class EqualsVerifier : public Verifier {
 public:
  explicit EqualsVerifier(std::string_view expected) : expected_(normal_answer(expected)) {}
  [[nodiscard]] std::string_view name() const override { return "equals"; }
  [[nodiscard]] base::Result<double> score(std::string_view answer) const override {
    return normal_answer(answer) == expected_ ? kVerified : 0.0;
  }

 private:
  std::string expected_;
};

class JsonVerifier : public Verifier {
 public:
  explicit JsonVerifier(std::function<bool(const text::Json&)> accepts) : accepts_(std::move(accepts)) {}
  [[nodiscard]] std::string_view name() const override { return "json"; }
  [[nodiscard]] base::Result<double> score(std::string_view answer) const override {
    const auto value = text::parse_json(answer);
    return value && (!accepts_ || accepts_(*value)) ? kVerified : 0.0;
  }

 private:
  std::function<bool(const text::Json&)> accepts_;
};

std::unexpected<base::Error> bad(const std::string& what) {
  return base::fail(base::ErrorCode::invalid_argument, what);
}

base::Result<std::unique_ptr<Verifier>> make_countdown(std::string_view argument) {
  constexpr std::string_view kForm = "countdown:3,5,7,9=24 has numbers, commas between them, and a target";
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos) return bad(fmt::format("no target: {}", kForm));
  const auto target = whole_number(trimmed(argument.substr(equals + 1)));
  if (!target) return bad(fmt::format("the target is no number: {}", kForm));
  std::vector<std::int64_t> numbers;
  std::string_view rest = argument.substr(0, equals);
  while (true) {
    const std::string_view item = rest.substr(0, rest.find(','));
    const auto number = whole_number(trimmed(item));
    if (!number || *number < 0) return bad(fmt::format("number {} cannot be read: {}", numbers.size() + 1, kForm));
    if (numbers.size() == kNumbersMax) return bad(fmt::format("more than {} numbers", kNumbersMax));
    numbers.push_back(*number);
    if (item.size() == rest.size()) return countdown_verifier(std::move(numbers), *target);
    rest.remove_prefix(item.size() + 1);
  }
}

}  // namespace

std::unique_ptr<Verifier> countdown_verifier(std::vector<std::int64_t> numbers, std::int64_t target) {
  PLAIT_CHECK(!numbers.empty());
  return std::make_unique<CountdownVerifier>(std::move(numbers), target);
}

std::unique_ptr<Verifier> value_verifier(std::int64_t value) { return std::make_unique<ValueVerifier>(value); }

std::unique_ptr<Verifier> equals_verifier(std::string_view expected) {
  return std::make_unique<EqualsVerifier>(expected);
}

std::unique_ptr<Verifier> json_verifier(std::function<bool(const text::Json&)> accepts) {
  return std::make_unique<JsonVerifier>(std::move(accepts));
}

base::Result<std::unique_ptr<Verifier>> make_verifier(std::string_view spec) {
  const std::size_t colon = std::min(spec.find(':'), spec.size());
  const std::string_view kind = spec.substr(0, colon);
  const bool has_argument = colon < spec.size();
  const std::string_view argument = has_argument ? spec.substr(colon + 1) : std::string_view();
  if (kind == "json") {
    if (has_argument) return bad("the verifier `json` takes no argument");
    return json_verifier();
  }
  if (kind == "command") {
    return base::fail(
        base::ErrorCode::unsupported,
        "the verifier `command` runs a program on answers, which needs a sandbox that plait does not have");
  }
  if (kind != "countdown" && kind != "value" && kind != "equals") {
    return bad("no such verifier; there are countdown:NUMBERS=TARGET, value:EXPRESSION, equals:TEXT and json");
  }
  if (trimmed(argument).empty()) return bad(fmt::format("the verifier `{}` needs an argument behind a colon", kind));
  if (kind == "countdown") return make_countdown(argument);
  if (kind == "equals") return equals_verifier(argument);
  const auto value = evaluate(argument);
  if (!value) return bad(fmt::format("the expression of the verifier `value` has none: {}", value.error().text()));
  return value_verifier(value->value);
}

}  // namespace plait::reasoning
