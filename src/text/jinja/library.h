// SPDX-License-Identifier: Apache-2.0
//
// The names that templates find: filters, tests, methods of values, globals.
#pragma once

#include <optional>
#include <string_view>

#include "text/jinja/value.h"

namespace plait::text::jinja {

using Filter = Value (*)(Interpreter&, const Value& input, Arguments&);

bool has_filter(std::string_view name);
bool has_test(std::string_view name);
Value apply_filter(Interpreter&, std::string_view name, const Value& input, Arguments&);
bool apply_test(Interpreter&, std::string_view name, const Value& input, Arguments&);

// The parts of the filter table; null if absent.
Filter find_text_filter(std::string_view name);
Filter find_sequence_filter(std::string_view name);
Filter find_selection_filter(std::string_view name);

/// The method `name` of a value, bound to it; none if there is no such method or it would change the value.
std::optional<Value> find_method(const Value& self, std::string_view name);
std::optional<Value> find_string_method(const Value& self, std::string_view name);

/// `range`, `namespace`, `dict`, `cycler`, `joiner`, `raise_exception`, `strftime_now`.
std::optional<Value> find_global(std::string_view name);

// Shared by operators, filters and methods.
Value binary_operation(Interpreter&, std::string_view op, const Value& a, const Value& b);
Value unary_operation(std::string_view op, const Value& a);
Value slice(Interpreter&, const Value& object, const Value& start, const Value& stop, const Value& step);
std::string escape_html(std::string_view text);
Value format_percent(Interpreter&, const Value& format, const Value& arguments);
std::string format_braces(Interpreter&, std::string_view format, const Arguments& arguments);
std::string replace_all(Interpreter&, std::string_view text, std::string_view from, std::string_view to, Int count);

/// What `attribute="a.b.0"` finds in an item; `missing`, if given, stands in for what is undefined.
Value attribute_path(Interpreter&, const Value& item, const Value& path, const Value* missing = nullptr);
/// Strings in lower case unless `exact`.
Value fold_case(const Value& value, bool exact);

// Arguments of library functions. Each raises TypeErrors as Python would.
Int int_argument(std::string_view function, const Value& value);
std::string string_argument(std::string_view function, const Value& value);

}  // namespace plait::text::jinja
