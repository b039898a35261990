// SPDX-License-Identifier: Apache-2.0
#include "text/json_member.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace plait::text {

const Json& member(const Json& value, const char* name) {
  static const Json none;
  if (!value.is_object()) return none;
  const auto found = value.find(name);
  return found == value.end() ? none : *found;
}

double number_of(const Json& value, const char* name) {
  const Json& number = member(value, name);
  const double read = number.is_number() ? number.get<double>() : 0;
  return std::isfinite(read) ? read : 0;
}

std::size_t count_of(const Json& value, const char* name) {
  return static_cast<std::size_t>(std::clamp(number_of(value, name), 0.0, 1e15));
}

std::string_view text_of(const Json& value, const char* name) {
  const Json& text = member(value, name);
  return text.is_string() ? std::string_view(text.get_ref<const std::string&>()) : std::string_view();
}

}  // namespace plait::text
