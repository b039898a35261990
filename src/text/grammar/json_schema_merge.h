// SPDX-License-Identifier: Apache-2.0
//
// What schemas need before they become grammars: which keywords there are, where a $ref leads, and two schemas as one.
#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "text/json.h"

namespace plait::text {

/// Says nothing about texts: title, description, $defs and their like.
[[nodiscard]] bool is_annotation(std::string_view keyword);

/// `path.keyword`, as messages name places.
[[nodiscard]] std::string schema_place(const std::string& path, std::string_view keyword);
[[nodiscard]] std::unexpected<base::Error> schema_wrong(const std::string& path, std::string_view keyword,
                                                        std::string_view what);
[[nodiscard]] std::unexpected<base::Error> schema_unsupported(const std::string& path, std::string_view keyword,
                                                              std::string_view what = "");

/// Errors: unsupported, naming the first keyword that cannot be enforced. An empty path is the document, whose $id says
/// nothing; others would change what a $ref means.
[[nodiscard]] base::Result<void> check_keywords(const Json& schema, const std::string& path);

/// A part of `document` by `#` and a JSON pointer. Valid as long as the document. Errors: unsupported (elsewhere),
/// invalid_argument (nowhere).
[[nodiscard]] base::Result<const Json*> resolve_reference(const Json& document, const Json& reference,
                                                          const std::string& path);

/// What putting schemas together may cost: a small document can ask for a lot of it.
struct MergeWork {
  const Json& document;              ///< Where a $ref leads.
  std::size_t values_left = 20'000;  ///< Values of JSON that may still be copied.
};

/// `schema` with what its $ref and its allOf say. Errors: those of merge_schemas().
[[nodiscard]] base::Result<Json> flat_schema(MergeWork& work, const Json& schema, const std::string& path,
                                             int depth = 0);
/// A schema that both satisfy, of objects above all: properties and what is required come together, of two bounds the
/// narrower one holds; other keywords must be equal. Errors: unsupported by name, those of resolve_reference(),
/// out_of_resources (nested too deep, too much work).
[[nodiscard]] base::Result<Json> merge_schemas(MergeWork& work, const Json& a, const Json& b, const std::string& path,
                                               int depth = 0);

/// Whether no text that the grammar of `a` has satisfies `b`, as far as can be seen: other types, other constants, a
/// property that one needs and the other does not have, or has with other values. False where that is not certain.
[[nodiscard]] bool surely_apart(MergeWork& work, const Json& a, const Json& b, int depth = 0);

/// Which keywords belong to which type: where `type` is absent, they decide.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kTypeOfKeyword = {{
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"items", "array"},
    {"prefixItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"pattern", "string"},
    {"format", "string"},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"},
    {"multipleOf", "number"},
}};

/// Whether a value is of a type that `type` may name: 1.0 is an integer, too.
[[nodiscard]] bool is_of_type(const Json& value, std::string_view type);

}  // namespace plait::text
