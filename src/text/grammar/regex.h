// SPDX-License-Identifier: Apache-2.0
//
// Regular expressions as JSON Schema's `pattern` has them: ECMA-262 with the flag u, over characters.
//
// There are alternatives, groups, classes, \d \w \s and their opposites, \t \n \r \f \v \0 \cX \xHH \uHHHH \u{H…},
// `.`, quantifiers with bounds, and ^ and $ at the beginning and the end of a whole alternative. Lazy quantifiers mean
// the same as greedy ones, since only whole texts matter. Not there: back references, look-around, \b, \p{…}.
// As ECMA-262 has it, a pattern may match anywhere in the text unless it is anchored.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "text/grammar/code_points.h"
#include "text/grammar/grammar.h"
#include "text/grammar/source.h"

namespace plait::text {

/// How one character out of a set is written: GrammarSource::characters, or as strings of JSON do it.
using CharacterWriter = std::function<ExprId(GrammarSource&, const CodePoints&)>;

/// Adds the expression to `source`. Errors: invalid_argument (with the place), unsupported (by name), out_of_resources
/// (nested deeper than 100 levels, a bound above 100,000).
[[nodiscard]] base::Result<ExprId> add_regex(GrammarSource& source, std::string_view pattern,
                                             const CharacterWriter& writer = {});

/// A grammar of the texts in which `pattern` matches. Errors: those of add_regex() and Grammar::compile().
[[nodiscard]] base::Result<Grammar> regex_grammar(std::string_view pattern, const CompileLimits& limits = {});

}  // namespace plait::text
