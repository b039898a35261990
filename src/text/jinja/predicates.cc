// SPDX-License-Identifier: Apache-2.0
//
// `is` tests, and the way to filters.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

using Test = bool (*)(Interpreter&, const Value&, Arguments&);

const Value& other(std::string_view test, Arguments& arguments) { return *arguments.bind(test, {"other"}, 1)[0]; }

void no_arguments(Arguments& arguments) {
  if (!arguments.positional.empty() || !arguments.keywords.empty()) raise("the test takes no arguments");
}

template <bool (*predicate)(const Value&)>
bool simple(Interpreter&, const Value& value, Arguments& arguments) {
  no_arguments(arguments);
  return predicate(value);
}

template <bool wanted>
bool has_case(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  no_arguments(arguments);
  const std::string text = to_string(value);
  interpreter.charge(text.size());
  bool any = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_valid(text, at);
    if (wanted ? is_lower(c) : is_upper(c)) return false;
    any |= wanted ? is_upper(c) : is_lower(c);
  }
  return any;
}

template <bool equals>
bool equality(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  const Value& with = other("eq", arguments);
  interpreter.charge(std::min(value.extent().weight, with.extent().weight));
  return equal(value, with) == equals;
}

template <bool less, bool or_equal>
bool order(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  const Value& with = other("lt", arguments);
  interpreter.charge(std::min(value.extent().weight, with.extent().weight));
  const int result = compare(value, with);
  return result != 2 && (result == 0 ? or_equal : (result < 0) == less);
}

bool divides(Interpreter& interpreter, const Value& value, const Value& by, Int remainder) {
  const Value rest = binary_operation(interpreter, "%", value, by);
  return equal(rest, Value::integer(remainder));
}

template <int remainder>
bool parity(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  no_arguments(arguments);
  return divides(interpreter, value, Value::integer(2), remainder);
}

bool divisible(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  return divides(interpreter, value, *arguments.bind("divisibleby", {"num"}, 1)[0], 0);
}

bool is_in(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  const Value& container = *arguments.bind("in", {"seq"}, 1)[0];
  interpreter.charge_shallow(container);
  interpreter.charge(value);
  return contains(container, value);
}

bool is_same(Interpreter&, const Value& value, Arguments& arguments) { return value.same(other("sameas", arguments)); }

// Names of filters and tests; what cannot be a name is none.
bool is_filter(Interpreter&, const Value& value, Arguments& arguments) {
  no_arguments(arguments);
  return value.is_string() && has_filter(value.str());
}
bool is_test(Interpreter&, const Value& value, Arguments& arguments) {
  no_arguments(arguments);
  return value.is_string() && has_test(value.str());
}

bool is_defined(const Value& v) { return !v.is_undefined(); }
bool is_undefined(const Value& v) { return v.is_undefined(); }
bool is_none(const Value& v) { return v.is_none(); }
bool is_boolean(const Value& v) { return v.is_bool(); }
bool is_true(const Value& v) { return v.is_bool() && v.boolean(); }
bool is_false(const Value& v) { return v.is_bool() && !v.boolean(); }
bool is_integer(const Value& v) { return v.is_int(); }
bool is_floating(const Value& v) { return v.is_float(); }
bool is_number(const Value& v) { return v.is_number(); }
bool is_string(const Value& v) { return v.is_string(); }
bool is_mapping(const Value& v) { return v.is_dict(); }
bool is_sequence(const Value& v) {
  return v.is_string() || v.is_dict() || v.is_undefined() || (v.is_sequence() && v.seq().kind <= SequenceKind::range);
}
bool is_callable(const Value& v) {
  return v.is_callable() || v.is_undefined() || v.is_object(Object::Kind::joiner) || v.is_object(Object::Kind::loop);
}
bool is_escaped(const Value& v) { return v.is_string() && v.text().markup; }

constexpr std::array<std::pair<std::string_view, Test>, 38> kTests = {{
    {"defined", simple<is_defined>},
    {"undefined", simple<is_undefined>},
    {"none", simple<is_none>},
    {"boolean", simple<is_boolean>},
    {"true", simple<is_true>},
    {"false", simple<is_false>},
    {"integer", simple<is_integer>},
    {"float", simple<is_floating>},
    {"number", simple<is_number>},
    {"string", simple<is_string>},
    {"mapping", simple<is_mapping>},
    {"sequence", simple<is_sequence>},
    {"iterable", simple<iterable>},
    {"callable", simple<is_callable>},
    {"escaped", simple<is_escaped>},
    {"upper", has_case<true>},
    {"lower", has_case<false>},
    {"even", parity<0>},
    {"odd", parity<1>},
    {"divisibleby", divisible},
    {"in", is_in},
    {"sameas", is_same},
    {"filter", is_filter},
    {"test", is_test},
    {"eq", equality<true>},
    {"equalto", equality<true>},
    {"==", equality<true>},
    {"ne", equality<false>},
    {"!=", equality<false>},
    {"lt", order<true, false>},
    {"lessthan", order<true, false>},
    {"<", order<true, false>},
    {"le", order<true, true>},
    {"<=", order<true, true>},
    {"gt", order<false, false>},
    {"greaterthan", order<false, false>},
    {">", order<false, false>},
    {"ge", order<false, true>},
}};

Test find_test(std::string_view name) {
  if (name == ">=") name = "ge";
  const auto found = std::ranges::find(kTests, name, [](const auto& row) { return row.first; });
  return found == kTests.end() ? nullptr : found->second;
}

Filter find_filter(std::string_view name) {
  if (const Filter found = find_text_filter(name)) return found;
  if (const Filter found = find_sequence_filter(name)) return found;
  return find_selection_filter(name);
}

}  // namespace

bool has_filter(std::string_view name) { return find_filter(name) != nullptr; }
bool has_test(std::string_view name) { return find_test(name) != nullptr; }

Value apply_filter(Interpreter& interpreter, std::string_view name, const Value& input, Arguments& arguments) {
  const Filter filter = find_filter(name);
  if (filter == nullptr) raise(fmt::format("No filter named '{}'.", name));
  interpreter.step();
  Value result = filter(interpreter, input, arguments);
  interpreter.charge_shallow(result);
  return result;
}

bool apply_test(Interpreter& interpreter, std::string_view name, const Value& input, Arguments& arguments) {
  const Test test = find_test(name);
  if (test == nullptr) raise(fmt::format("No test named '{}'.", name));
  interpreter.step();
  return test(interpreter, input, arguments);
}

}  // namespace plait::text::jinja
