// SPDX-License-Identifier: Apache-2.0
//
// A JSON Schema as a grammar of JSON texts that satisfy it.
//
//   PLAIT_TRY(const Grammar grammar, json_schema_grammar(schema));
//
// Every text of the grammar satisfies the schema; not every value that does has a text here:
//   - Members stand in the order of `properties`; optional ones may be left out.
//   - Without `additionalProperties`, an object that lists properties has no others (one that lists none has any). With
//     it, others come last, and their keys have no escapes. Keys may repeat there, as JSON allows.
//   - Without `type`, the keywords that are there decide (`properties`: an object).
//   - `oneOf` is there if it is certain that no text satisfies two of its parts (surely_apart()).
//   - Numbers are within the digits of json_number.h; with bounds they have no exponent.
//   - Strings that `pattern` or `format` describes escape only what must be escaped.
//
// Keywords: type (one or a list), enum, const, nullable, properties, required, additionalProperties, items,
// prefixItems, minItems, maxItems, minLength, maxLength, pattern, format (date without leap days, time, date-time,
// duration, uuid, ipv4, ipv6, hostname, email), minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf (whole
// numbers), anyOf, oneOf, allOf (which becomes one schema), $ref within the document, with others beside it. title,
// description, default, examples, $schema (of a known draft), $id (of the document), $comment, deprecated, readOnly and
// writeOnly say nothing about texts. Everything else is an error that names the place, as in `properties.a.not`.
// tests/clients/schema_test.py holds this against the public test suite of JSON Schema.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "text/grammar/grammar.h"
#include "text/grammar/json_text.h"
#include "text/grammar/source.h"
#include "text/json.h"

namespace plait::text {

struct JsonSchemaOptions {
  JsonSpace space = JsonSpace::single;
  std::size_t schemas_max = 20'000;  ///< Of the document, each $ref's target once; allOf and anyOf may multiply them.
  CompileLimits limits = {};
};

/// Adds the texts of a schema to a larger grammar. Errors: those of parse_json_schema(); then some of it may have been
/// added.
[[nodiscard]] base::Result<ExprId> add_json_schema(GrammarSource& source, const Json& schema,
                                                   const JsonSchemaOptions& options = {});

/// Errors: unsupported (a keyword, by its place), invalid_argument (a keyword of the wrong kind, a $ref to nowhere),
/// out_of_resources.
[[nodiscard]] base::Result<GrammarSource> parse_json_schema(const Json& schema, const JsonSchemaOptions& options = {});

/// Errors: those of parse_json_schema() and Grammar::compile().
[[nodiscard]] base::Result<Grammar> json_schema_grammar(const Json& schema, const JsonSchemaOptions& options = {});

}  // namespace plait::text
