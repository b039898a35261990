// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/json_schema_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace plait::text {
namespace {

using base::ErrorCode;
using base::Result;

constexpr int kDepthMax = 32;

constexpr std::array<std::string_view, 13> kAnnotations = {
    "title",      "description", "default",   "examples", "$schema",     "$id",    "$comment",
    "deprecated", "readOnly",    "writeOnly", "$defs",    "definitions", "example"};
constexpr std::array<std::string_view, 23> kKeywords = {
    "type",   "enum",        "const",    "nullable",         "properties",       "required",  "additionalProperties",
    "items",  "prefixItems", "minItems", "maxItems",         "minLength",        "maxLength", "pattern",
    "format", "minimum",     "maximum",  "exclusiveMinimum", "exclusiveMaximum", "anyOf",     "oneOf",
    "allOf",  "$ref"};

/// Whether a schema lets a member of this name be anything.
bool leaves_open(const Json& schema, const std::string& name) {
  if (schema.contains("properties") && schema["properties"].is_object() && schema["properties"].contains(name)) {
    return true;
  }
  return !schema.contains("additionalProperties") || schema["additionalProperties"] == Json(true);
}

Result<void> merge_properties(const Json& document, Json& into, const Json& b, const std::string& path, int depth) {
  for (const Json* schema : {&std::as_const(into), &b}) {
    if (schema->contains("properties") && !(*schema)["properties"].is_object()) {
      return schema_wrong(path, "properties", "must be an object");
    }
  }
  const auto closes = [&](const Json& one, const Json& other) {
    if (!other.contains("properties")) return false;
    return std::ranges::any_of(other["properties"].items(), [&](const auto& e) { return !leaves_open(one, e.key()); });
  };
  if (closes(into, b) || closes(b, into)) {
    return schema_unsupported(path, "additionalProperties", "in one part of allOf that another adds properties to");
  }
  if (!b.contains("properties")) return {};
  if (!into.contains("properties")) into["properties"] = Json::object();
  for (const auto& [key, value] : b["properties"].items()) {
    Json& mine = into["properties"];
    if (!mine.contains(key)) {
      mine[key] = value;
      continue;
    }
    PLAIT_TRY(Json merged,
              merge_schemas(document, mine[key], value, schema_place(path, "properties." + key), depth + 1));
    mine[key] = std::move(merged);
  }
  return {};
}

/// Follows a $ref, and puts an allOf together.
Result<Json> flattened(const Json& document, const Json& schema, const std::string& path, int depth) {
  if (depth > kDepthMax) {
    return base::fail(ErrorCode::out_of_resources, fmt::format("schema: `{}` nests too deep", path));
  }
  if (!schema.is_object()) return schema_unsupported(path, "allOf", "of schemas that are not objects");
  PLAIT_TRY_VOID(check_keywords(schema, path));
  if (schema.contains("$ref")) {
    for (const auto& [key, value] : schema.items()) {
      if (key != "$ref" && !is_annotation(key)) return schema_unsupported(path, key, "beside $ref");
    }
    PLAIT_TRY(const Json* target, resolve_reference(document, schema["$ref"], path));
    return flattened(document, *target, path, depth + 1);
  }
  if (schema.contains("allOf")) return merge_all_of(document, schema, path, depth + 1);
  return schema;
}

}  // namespace

bool is_annotation(std::string_view keyword) { return std::ranges::find(kAnnotations, keyword) != kAnnotations.end(); }

std::string schema_place(const std::string& path, std::string_view keyword) {
  return path.empty() ? std::string(keyword) : fmt::format("{}.{}", path, keyword);
}

std::unexpected<base::Error> schema_wrong(const std::string& path, std::string_view keyword, std::string_view what) {
  return base::fail(ErrorCode::invalid_argument,
                    fmt::format("schema: `{}` {}", keyword.empty() ? path : schema_place(path, keyword), what));
}

std::unexpected<base::Error> schema_unsupported(const std::string& path, std::string_view keyword,
                                                std::string_view what) {
  return base::fail(ErrorCode::unsupported, fmt::format("schema: `{}`{}{} cannot be enforced",
                                                        schema_place(path, keyword), what.empty() ? "" : " ", what));
}

Result<void> check_keywords(const Json& schema, const std::string& path) {
  for (const auto& [key, value] : schema.items()) {
    if (is_annotation(key) || std::ranges::find(kKeywords, key) != kKeywords.end()) continue;
    if (key == "uniqueItems" && value == Json(false)) continue;
    return schema_unsupported(path, key);
  }
  return {};
}

Result<const Json*> resolve_reference(const Json& document, const Json& reference, const std::string& path) {
  if (!reference.is_string()) return schema_wrong(path, "$ref", "must be a string");
  const std::string name = reference.get<std::string>();
  if (name.empty() || name.front() != '#') return schema_unsupported(path, "$ref", "to another document");
  const Json* at = &document;
  for (std::size_t begin = 1; begin < name.size();) {
    if (name[begin] != '/') return schema_unsupported(path, "$ref", "by anchor");
    const std::size_t end = std::min(name.find('/', begin + 1), name.size());
    std::string part;
    for (std::size_t i = begin + 1; i < end; ++i) {
      const bool escape = name[i] == '~' && i + 1 < end;
      part += !escape ? name[i] : name[++i] == '1' ? '/' : '~';
    }
    begin = end;
    if (at->is_object() && at->contains(part)) {
      at = &(*at)[part];
      continue;
    }
    const bool number =
        !part.empty() && part.size() < 6 && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
    if (!at->is_array() || !number || std::stoul(part) >= at->size()) {
      return schema_wrong(path, "$ref", fmt::format("leads nowhere: {}", name));
    }
    at = &(*at)[std::stoul(part)];
  }
  return at;
}

Result<Json> merge_schemas(const Json& document, const Json& a, const Json& b, const std::string& path, int depth) {
  PLAIT_TRY(Json into, flattened(document, a, path, depth));
  PLAIT_TRY(const Json other, flattened(document, b, path, depth));
  PLAIT_TRY_VOID(merge_properties(document, into, other, path, depth));
  for (const auto& [key, value] : other.items()) {
    if (key == "properties" || is_annotation(key)) continue;
    if (!into.contains(key)) {
      into[key] = value;
    } else if (key == "required" && into[key].is_array() && value.is_array()) {
      for (const Json& name : value) into[key].push_back(name);
    } else if (key == "additionalProperties" && (into[key] == Json(true) || value == Json(true))) {
      if (into[key] == Json(true)) into[key] = value;
    } else if (into[key] != value) {
      return schema_unsupported(path, key, "with two values in allOf");
    }
  }
  return into;
}

Result<Json> merge_all_of(const Json& document, const Json& schema, const std::string& path, int depth) {
  if (!schema["allOf"].is_array()) return schema_wrong(path, "allOf", "must be an array");
  Json into = schema;
  into.erase("allOf");
  std::size_t i = 0;
  for (const Json& part : schema["allOf"]) {
    const std::string place = schema_place(path, fmt::format("allOf.{}", i++));
    PLAIT_TRY(into, merge_schemas(document, into, part, place, depth + 1));
  }
  return into;
}

}  // namespace plait::text
