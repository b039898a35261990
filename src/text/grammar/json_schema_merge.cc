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

constexpr int kMergeDepthMax = 32;

constexpr std::array<std::string_view, 13> kAnnotations = {
    "title",      "description", "default",   "examples", "$schema",     "$id",    "$comment",
    "deprecated", "readOnly",    "writeOnly", "$defs",    "definitions", "example"};
constexpr std::array<std::string_view, 24> kKeywords = {
    "type",   "enum",        "const",     "nullable",         "properties",       "required",  "additionalProperties",
    "items",  "prefixItems", "minItems",  "maxItems",         "minLength",        "maxLength", "pattern",
    "format", "minimum",     "maximum",   "exclusiveMinimum", "exclusiveMaximum", "anyOf",     "oneOf",
    "allOf",  "$ref",        "multipleOf"};
/// Drafts whose keywords mean what they mean in 2020-12, as far as they are supported.
constexpr std::array<std::string_view, 5> kDrafts = {
    "//json-schema.org/draft/2020-12/schema", "//json-schema.org/draft/2019-09/schema",
    "//json-schema.org/draft-07/schema", "//json-schema.org/draft-06/schema", "//json-schema.org/draft-04/schema"};
constexpr std::array<std::string_view, 4> kLowerBounds = {"minimum", "exclusiveMinimum", "minLength", "minItems"};
constexpr std::array<std::string_view, 4> kUpperBounds = {"maximum", "exclusiveMaximum", "maxLength", "maxItems"};

bool is_known_draft(const Json& name) {
  if (!name.is_string()) return false;
  std::string_view text = name.get_ref<const std::string&>();
  if (text.ends_with('#')) text.remove_suffix(1);
  const std::size_t scheme = text.starts_with("https:") ? 6 : text.starts_with("http:") ? 5 : text.size();
  return std::ranges::find(kDrafts, text.substr(scheme)) != kDrafts.end();
}

std::size_t values_of(const Json& json) {
  std::size_t count = 1;
  if (json.is_structured()) {
    for (const Json& part : json) count += values_of(part);
  }
  return count;
}

/// Whether a schema lets a member of this name be anything.
bool leaves_open(const Json& schema, const std::string& name) {
  if (schema.contains("properties") && schema["properties"].is_object() && schema["properties"].contains(name)) {
    return true;
  }
  return !schema.contains("additionalProperties") || schema["additionalProperties"] == Json(true);
}

Result<void> merge_properties(MergeWork& work, Json& into, const Json& b, const std::string& path, int depth) {
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
    PLAIT_TRY(Json merged, merge_schemas(work, mine[key], value, schema_place(path, "properties." + key), depth + 1));
    mine[key] = std::move(merged);
  }
  return {};
}

/// `items` of one part means the items that `prefixItems` of the other describes, too.
Result<void> check_items(const Json& a, const Json& b, const std::string& path) {
  const bool same = a.contains("prefixItems") == b.contains("prefixItems") &&
                    (!a.contains("prefixItems") || a["prefixItems"] == b["prefixItems"]);
  if (same || (!a.contains("items") && !b.contains("items"))) return {};
  return schema_unsupported(path, "items", "in one part of allOf beside prefixItems in another");
}

/// A keyword that both have.
Result<void> merge_keyword(Json& into, const std::string& key, const Json& value, const std::string& path) {
  Json& mine = into[key];
  const bool numbers = mine.is_number() && value.is_number();
  if (key == "required" && mine.is_array() && value.is_array()) {
    for (const Json& name : value) mine.push_back(name);
  } else if (key == "additionalProperties" && (mine == Json(true) || value == Json(true))) {
    if (mine == Json(true)) mine = value;
  } else if (numbers && std::ranges::find(kLowerBounds, key) != kLowerBounds.end()) {
    mine = std::max(mine, value);
  } else if (numbers && std::ranges::find(kUpperBounds, key) != kUpperBounds.end()) {
    mine = std::min(mine, value);
  } else if (mine != value) {
    return schema_unsupported(path, key, "with two values in allOf");
  }
  return {};
}

Result<Json> merge_all_of(MergeWork& work, const Json& schema, const std::string& path, int depth) {
  if (!schema["allOf"].is_array()) return schema_wrong(path, "allOf", "must be an array");
  Json into = schema;
  into.erase("allOf");
  std::size_t i = 0;
  for (const Json& part : schema["allOf"]) {
    const std::string place = schema_place(path, fmt::format("allOf.{}", i++));
    PLAIT_TRY(into, merge_schemas(work, into, part, place, depth + 1));
  }
  return into;
}

Result<Json> merge_reference(MergeWork& work, const Json& schema, const std::string& path, int depth) {
  PLAIT_TRY(const Json* target, resolve_reference(work.document, schema["$ref"], path));
  Json rest = schema;
  rest.erase("$ref");
  const bool alone = std::ranges::all_of(rest.items(), [](const auto& entry) { return is_annotation(entry.key()); });
  if (target != &work.document) {
    return alone ? flat_schema(work, *target, path, depth + 1) : merge_schemas(work, rest, *target, path, depth + 1);
  }
  Json document = *target;  // its $id is not that of a part
  document.erase("$id");
  return alone ? flat_schema(work, document, path, depth + 1) : merge_schemas(work, rest, document, path, depth + 1);
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
    if (key == "$id" && !path.empty()) return schema_unsupported(path, key, "within a document");
    if (key == "$schema" && !is_known_draft(value)) return schema_unsupported(path, key, "of this name");
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
    if (at != &document && at->is_object() && at->contains("$id"))
      return schema_unsupported(path, "$ref", "past an $id");
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

Result<Json> flat_schema(MergeWork& work, const Json& schema, const std::string& path, int depth) {
  if (schema == Json(true)) return Json::object();
  if (!schema.is_object()) return schema_unsupported(path, "allOf", "of schemas that are not objects");
  const std::size_t values = values_of(schema);
  if (depth > kMergeDepthMax || values > work.values_left) {
    return base::fail(ErrorCode::out_of_resources, fmt::format("schema: `{}` nests too deep, or is too large", path));
  }
  work.values_left -= values;
  PLAIT_TRY_VOID(check_keywords(schema, path));
  if (schema.contains("$ref")) return merge_reference(work, schema, path, depth);
  if (schema.contains("allOf")) return merge_all_of(work, schema, path, depth + 1);
  return schema;
}

Result<Json> merge_schemas(MergeWork& work, const Json& a, const Json& b, const std::string& path, int depth) {
  PLAIT_TRY(Json into, flat_schema(work, a, path, depth));
  PLAIT_TRY(const Json other, flat_schema(work, b, path, depth));
  PLAIT_TRY_VOID(check_items(into, other, path));
  PLAIT_TRY_VOID(merge_properties(work, into, other, path, depth));
  for (const auto& [key, value] : other.items()) {
    if (key == "properties" || is_annotation(key)) continue;
    if (into.contains(key)) {
      PLAIT_TRY_VOID(merge_keyword(into, key, value, path));
    } else {
      into[key] = value;
    }
  }
  return into;
}

}  // namespace plait::text
