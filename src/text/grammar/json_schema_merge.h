// SPDX-License-Identifier: Apache-2.0
//
// What schemas need before they become grammars: which keywords there are, where a $ref leads, and two schemas as one.
#pragma once

#include <expected>
#include <string>
#include <string_view>

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

/// Errors: unsupported, naming the first keyword that cannot be enforced.
[[nodiscard]] base::Result<void> check_keywords(const Json& schema, const std::string& path);

/// A part of `document` by `#` and a JSON pointer. Valid as long as the document. Errors: unsupported (elsewhere),
/// invalid_argument (nowhere).
[[nodiscard]] base::Result<const Json*> resolve_reference(const Json& document, const Json& reference,
                                                          const std::string& path);

/// A schema that both satisfy, of objects above all: properties and what is required come together; other keywords must
/// be equal. Errors: unsupported by name, those of resolve_reference(), out_of_resources (nested too deep).
[[nodiscard]] base::Result<Json> merge_schemas(const Json& document, const Json& a, const Json& b,
                                               const std::string& path, int depth = 0);
/// `schema` with all of its `allOf`.
[[nodiscard]] base::Result<Json> merge_all_of(const Json& document, const Json& schema, const std::string& path,
                                              int depth = 0);

}  // namespace plait::text
