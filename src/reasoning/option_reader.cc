// SPDX-License-Identifier: Apache-2.0
#include "reasoning/option_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace plait::reasoning {
namespace {

using text::Json;

const Json kNone = Json::object();

std::optional<std::size_t> whole_of(const Json& value, std::size_t low, std::size_t high) {
  if (!value.is_number_unsigned() && !value.is_number_integer()) return std::nullopt;
  if (value.is_number_integer() && !value.is_number_unsigned() && value.get<std::int64_t>() < 0) return std::nullopt;
  const auto number = value.get<std::uint64_t>();
  if (number < low || number > high) return std::nullopt;
  return number;
}

}  // namespace

OptionReader::OptionReader(const Json& options) : options_(options.is_null() ? kNone : options) {
  if (!options_.is_object()) wrong("strategy_options", "must be an object");
}

const Json* OptionReader::find(std::string_view name) {
  known_.push_back(name);
  if (!options_.is_object()) return nullptr;
  const auto at = options_.find(name);
  return at == options_.end() || at->is_null() ? nullptr : &*at;
}

void OptionReader::wrong(std::string_view name, std::string_view what) {
  if (!wrong_) wrong_ = fmt::format("{} {}", name, what);
}

std::size_t OptionReader::whole(std::string_view name, std::size_t otherwise, std::size_t low, std::size_t high) {
  const Json* value = find(name);
  if (value == nullptr) return otherwise;
  const auto number = whole_of(*value, low, high);
  if (!number) wrong(name, fmt::format("must be a whole number from {} to {}", low, high));
  return number.value_or(otherwise);
}

bool OptionReader::flag(std::string_view name, bool otherwise) {
  const Json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) wrong(name, "must be true or false");
  return value->is_boolean() ? value->get<bool>() : otherwise;
}

std::string OptionReader::text(std::string_view name, std::string_view otherwise) {
  const Json* value = find(name);
  if (value != nullptr && !value->is_string()) wrong(name, "must be a string");
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string(otherwise);
}

std::size_t OptionReader::choice(std::string_view name, std::span<const std::string_view> choices,
                                 std::size_t otherwise) {
  const Json* value = find(name);
  if (value == nullptr) return otherwise;
  const auto at = value->is_string() ? std::ranges::find(choices, value->get_ref<const std::string&>()) : choices.end();
  if (at == choices.end()) wrong(name, fmt::format("must be one of {}", fmt::join(choices, ", ")));
  return at == choices.end() ? otherwise : static_cast<std::size_t>(at - choices.begin());
}

std::vector<std::size_t> OptionReader::list(std::string_view name, std::vector<std::size_t> otherwise, std::size_t most,
                                            std::size_t low, std::size_t high) {
  const Json* value = find(name);
  if (value == nullptr) return otherwise;
  const Json alone = Json::array({*value});
  const Json& all = value->is_array() ? *value : alone;
  std::vector<std::size_t> numbers;
  for (const Json& one : all) {
    const auto number = whole_of(one, low, high);
    if (number) numbers.push_back(*number);
  }
  if (all.empty() || all.size() > most || numbers.size() != all.size()) {
    wrong(name, fmt::format("must be 1 to {} whole numbers from {} to {}", most, low, high));
    return otherwise;
  }
  return numbers;
}

base::Result<void> OptionReader::done() const {
  if (wrong_) return base::fail(base::ErrorCode::invalid_argument, *wrong_);
  if (!options_.is_object()) return {};
  for (const auto& [name, value] : options_.items()) {
    if (std::ranges::find(known_, name) != known_.end()) continue;
    return base::fail(base::ErrorCode::invalid_argument,
                      fmt::format("{} is no option of this strategy; it has {}", name.substr(0, 100),
                                  known_.empty() ? "none" : fmt::format("{}", fmt::join(known_, ", "))));
  }
  return {};
}

}  // namespace plait::reasoning
