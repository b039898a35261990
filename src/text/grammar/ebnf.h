// SPDX-License-Identifier: Apache-2.0
//
// Grammars as text, close to llama.cpp's GBNF:
//
//   # a list of numbers
//   root   ::= "[" (number ("," ws number)*)? "]"
//   number ::= [1-9] [0-9]{0,3} | "0"
//   ws     ::= " "?
//
// "literal", [class], [^class], `.` (any character), ( ), |, * + ? {m} {m,} {m,n}, # comment; escapes \n \r \t \\ \" \]
// \[ \- \^ \xHH \uHHHH \UHHHHHHHH. Classes and `.` stand for characters, not bytes. Line ends mean nothing: a rule ends
// where the next `name ::=` begins. The text is the rule `root`. Left recursion is refused.
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/grammar/grammar.h"
#include "text/grammar/source.h"

namespace plait::text {

/// Errors: invalid_argument (with the line; a rule that is missing or there twice), out_of_resources (1 MiB of text,
/// groups within each other, bounds above 100,000).
[[nodiscard]] base::Result<GrammarSource> parse_ebnf(std::string_view text);

/// Errors: those of parse_ebnf() and Grammar::compile().
[[nodiscard]] base::Result<Grammar> ebnf_grammar(std::string_view text, const CompileLimits& limits = {});

}  // namespace plait::text
