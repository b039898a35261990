// SPDX-License-Identifier: Apache-2.0
//
// Whether two schemas exclude each other, for oneOf. `a` is what a grammar writes, so its objects have only the
// properties that they list; `b` is what a validator reads, so its keywords say nothing about other types.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/json_schema_merge.h"

namespace plait::text {
namespace {

constexpr int kApartDepthMax = 8;
constexpr std::array<std::string_view, 6> kTypes = {"object", "array", "string", "number", "boolean", "null"};

using Types = std::vector<std::string_view>;

/// Those that `type` names, integers as numbers.
Types named_types(const Json& schema) {
  Types types;
  const Json& type = schema["type"];
  for (const std::string_view known : kTypes) {
    const auto names = [&](const Json& one) { return one == known || (known == "number" && one == "integer"); };
    if (names(type) || (type.is_array() && std::ranges::any_of(type, names))) types.push_back(known);
  }
  return types;
}

/// `written`: what a grammar writes, else what a validator accepts.
Types types_of(const Json& schema, bool written) {
  if (schema.contains("type")) return named_types(schema);
  Types types;
  for (const auto& [keyword, type] : kTypeOfKeyword) {
    if (written && schema.contains(keyword)) types.push_back(type);
  }
  return types.empty() ? Types(kTypes.begin(), kTypes.end()) : types;
}

std::optional<std::vector<Json>> constants_of(const Json& schema) {
  if (schema.contains("const")) return std::vector<Json>{schema["const"]};
  if (schema.contains("enum") && schema["enum"].is_array()) {
    return std::vector<Json>(schema["enum"].begin(), schema["enum"].end());
  }
  return std::nullopt;
}

bool none_of_types(const std::vector<Json>& values, const Types& types) {
  return std::ranges::none_of(values, [&](const Json& value) {
    return std::ranges::any_of(types, [&](std::string_view type) { return is_of_type(value, type); });
  });
}

const Json* property(const Json& schema, const std::string& name) {
  if (!schema.contains("properties") || !schema["properties"].contains(name)) return nullptr;
  return &schema["properties"][name];
}

std::vector<std::string> required_of(const Json& schema) {
  std::vector<std::string> names;
  if (!schema.contains("required") || !schema["required"].is_array()) return names;
  for (const Json& name : schema["required"]) {
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  return names;
}

bool objects_apart(MergeWork& work, const Json& a, const Json& b, int depth) {
  const bool a_is_closed = a.contains("additionalProperties") ? a["additionalProperties"] == Json(false)
                                                              : a.contains("properties") && !a["properties"].empty();
  const bool b_is_closed = b.contains("additionalProperties") && b["additionalProperties"] == Json(false);
  const bool b_lacks = std::ranges::any_of(
      required_of(a), [&](const std::string& name) { return b_is_closed && property(b, name) == nullptr; });
  return b_lacks || std::ranges::any_of(required_of(b), [&](const std::string& name) {
           const Json *mine = property(a, name), *other = property(b, name);
           if (mine == nullptr) return a_is_closed;
           return other != nullptr && surely_apart(work, *mine, *other, depth + 1);
         });
}

/// The parts of anyOf or oneOf, if there is one.
const Json* parts_of(const Json& schema) {
  for (const char* key : {"anyOf", "oneOf"}) {
    if (schema.contains(key) && schema[key].is_array()) return &schema[key];
  }
  return nullptr;
}

}  // namespace

bool is_of_type(const Json& value, std::string_view type) {
  if (type == "number") return value.is_number();
  if (type != "integer") return type == value.type_name();
  return value.is_number_integer() || (value.is_number() && value.get<double>() == std::floor(value.get<double>()));
}

bool surely_apart(MergeWork& work, const Json& first, const Json& second, int depth) {
  if (first == Json(false) || second == Json(false)) return true;
  if (depth > kApartDepthMax || !first.is_object() || !second.is_object()) return false;
  const auto a = flat_schema(work, first, "oneOf", depth), b = flat_schema(work, second, "oneOf", depth);
  if (!a || !b || a->contains("nullable") || b->contains("nullable")) return false;
  if (const Json* parts = parts_of(*a)) {
    return std::ranges::all_of(*parts, [&](const Json& part) { return surely_apart(work, part, *b, depth + 1); });
  }
  if (const Json* parts = parts_of(*b)) {
    return std::ranges::all_of(*parts, [&](const Json& part) { return surely_apart(work, *a, part, depth + 1); });
  }
  const auto a_values = constants_of(*a), b_values = constants_of(*b);
  const Types a_types = types_of(*a, true), b_types = types_of(*b, false);
  if (a_values && none_of_types(*a_values, b_types)) return true;
  if (b_values && none_of_types(*b_values, a_types)) return true;
  if (a_values && b_values) {
    return std::ranges::none_of(*a_values, [&](const Json& value) { return std::ranges::count(*b_values, value) > 0; });
  }
  return std::ranges::all_of(a_types, [&](std::string_view type) {
    if (std::ranges::find(b_types, type) == b_types.end()) return true;
    return type == "object" && objects_apart(work, *a, *b, depth);
  });
}

}  // namespace plait::text
