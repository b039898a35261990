// SPDX-License-Identifier: Apache-2.0
#include "serving/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"

namespace plait::serving {

using text::Json;

std::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

Json refusal_body(const Refusal& refusal) {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json error{{"message", refusal.message},
             {"type", error_type(refusal.status)},
             {"param", or_null(refusal.param)},
             {"code", or_null(refusal.code)}};
  return Json{{"error", std::move(error)}};
}

void rename_field(Refusal& refusal, std::string_view ours, std::string_view theirs) {
  for (std::string* text : {&refusal.message, &refusal.param}) {
    const std::size_t at = text->find(ours);
    if (at != std::string::npos) text->replace(at, ours.size(), theirs);
  }
}

Accepted<Json> parse_body(std::string_view body) {
  auto json = text::parse_json(body);
  if (json) return *std::move(json);
  return std::unexpected(Refusal{.message = "the body is no JSON: " + json.error().message, .code = "invalid_json"});
}

std::unexpected<Refusal> bad_value(std::string param, std::string_view what) {
  std::string message = fmt::format("{} {}", param, what);
  return std::unexpected(Refusal{.message = std::move(message), .param = std::move(param), .code = "invalid_value"});
}

std::unexpected<Refusal> not_supported(std::string param, std::string_view what) {
  std::string message = fmt::format("{}: {}", param, what);
  return std::unexpected(
      Refusal{.message = std::move(message), .param = std::move(param), .code = "unsupported_parameter"});
}

Fields::Fields(const Json& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {
  PLAIT_CHECK(object.is_object());
}

const Json* Fields::find(std::string_view name) {
  known_.push_back(name);
  const auto at = object_.find(name);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

Accepted<std::optional<bool>> Fields::flag(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) return bad_value(full_name(name), "must be true or false");
  return value->get<bool>();
}

Accepted<std::optional<std::int64_t>> Fields::whole(std::string_view name, std::int64_t low, std::int64_t high) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const bool fits = value->is_number_integer() &&
                    (!value->is_number_unsigned() || std::in_range<std::int64_t>(value->get<std::uint64_t>()));
  const std::int64_t number = fits ? value->get<std::int64_t>() : 0;
  if (fits && low <= number && number <= high) return number;
  return bad_value(full_name(name), high == std::numeric_limits<std::int64_t>::max()
                                        ? fmt::format("must be a whole number, at least {}", low)
                                        : fmt::format("must be a whole number from {} to {}", low, high));
}

Accepted<std::optional<double>> Fields::number(std::string_view name, Range range) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const double number = value->is_number() ? value->get<double>() : std::nan("");
  if (number <= range.high && (range.open_low ? number > range.low : number >= range.low)) return number;
  return bad_value(full_name(name), fmt::format("must be a number {} {} to {}", range.open_low ? "above" : "from",
                                                range.low, range.high));
}

Accepted<std::optional<std::string>> Fields::text(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return bad_value(full_name(name), "must be a string");
  return value->get<std::string>();
}

Accepted<const Json*> Fields::object(std::string_view name) {
  const Json* value = find(name);
  if (value != nullptr && !value->is_object()) return bad_value(full_name(name), "must be an object");
  return value;
}

std::vector<std::string> Fields::unknown() const {
  constexpr std::size_t kShown = 100;
  std::vector<std::string> names;
  for (const auto& [name, value] : object_.items()) {
    if (std::ranges::find(known_, name) == known_.end()) names.push_back(full_name(name).substr(0, kShown));
  }
  return names;
}

Accepted<std::vector<base::TokenId>> token_list(const Json& list, std::size_t vocabulary, const std::string& param) {
  if (!list.is_array()) return bad_value(param, "must be a list of token ids");
  std::vector<base::TokenId> tokens;
  tokens.reserve(list.size());
  for (const Json& item : list) {
    const std::int64_t id = item.is_number_integer() && !item.is_number_unsigned() ? item.get<std::int64_t>() : -1;
    if (id < 0 || std::cmp_greater_equal(id, vocabulary)) {
      return bad_value(fmt::format("{}[{}]", param, tokens.size()),
                       fmt::format("must be a token id below {}", vocabulary));
    }
    tokens.emplace_back(static_cast<std::int32_t>(id));
  }
  return tokens;
}

}  // namespace plait::serving
