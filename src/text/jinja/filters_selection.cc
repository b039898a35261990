// SPDX-License-Identifier: Apache-2.0
//
// Filters that look into the items: map, select, sort, unique, groupby, min, max, sum.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/unicode.h"

namespace plait::text::jinja {
namespace {

bool all_digits(std::string_view part) {
  return !part.empty() && part.size() < 10 && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
}

const Value* keyword(const Arguments& arguments, std::string_view name) {
  for (const auto& [known, value] : arguments.keywords) {
    if (known == name) return &value;
  }
  return nullptr;
}

Value map(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  if (!truth(input)) return Value::generator({});
  interpreter.charge_shallow(input);
  std::vector<Value> items = iterate(input);
  const Value* path = keyword(arguments, "attribute");
  if (arguments.positional.empty() && path != nullptr) {
    const Value* missing = keyword(arguments, "default");
    if (arguments.keywords.size() != (missing == nullptr ? 1U : 2U)) raise("map: unexpected keyword argument");
    for (Value& item : items) item = attribute_path(interpreter, item, *path, missing);
    return Value::generator(std::move(items));
  }
  if (arguments.positional.empty()) raise("map requires a filter argument");
  const std::string name = string_argument("map", arguments.positional[0]);
  for (Value& item : items) {
    Arguments rest;
    rest.positional.assign(arguments.positional.begin() + 1, arguments.positional.end());
    rest.keywords = arguments.keywords;
    item = apply_filter(interpreter, name, item, rest);
  }
  return Value::generator(std::move(items));
}

// select, reject, selectattr, rejectattr
template <bool keeps, bool by_attribute>
Value choose(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  if (!truth(input)) return Value::generator({});
  interpreter.charge_shallow(input);
  constexpr std::size_t kOffset = by_attribute ? 1 : 0;
  if (arguments.positional.size() < kOffset) raise("Missing parameter for attribute name");
  const bool tests = arguments.positional.size() > kOffset;
  const std::string name = tests ? string_argument("select", arguments.positional[kOffset]) : std::string();
  std::vector<Value> kept;
  for (Value& item : iterate(input)) {
    const Value subject = by_attribute ? attribute_path(interpreter, item, arguments.positional[0]) : item;
    bool passes = false;
    if (tests) {
      Arguments rest;
      rest.positional.assign(arguments.positional.begin() + kOffset + 1, arguments.positional.end());
      rest.keywords = arguments.keywords;
      passes = apply_test(interpreter, name, subject, rest);
    } else {
      passes = truth(subject);
    }
    if (passes == keeps) kept.push_back(std::move(item));
  }
  return Value::generator(std::move(kept));
}

struct Keyed {
  Value key, item;
};

// The items with the keys by which they are compared.
std::vector<Keyed> keyed(Interpreter& interpreter, const Value& input, const Value* path, bool exact) {
  interpreter.charge(input);
  std::vector<Keyed> result;
  for (Value& item : iterate(input)) {
    Value key = path == nullptr || path->is_none() ? item : attribute_path(interpreter, item, *path);
    result.push_back({fold_case(key, exact), std::move(item)});
  }
  return result;
}

// `a,b.c` as a list of keys: a tuple of them.
Value sort_key(Interpreter& interpreter, const Value& item, const Value* path, bool exact) {
  if (path == nullptr || path->is_none()) return fold_case(item, exact);
  if (!path->is_string()) return fold_case(attribute_path(interpreter, item, *path), exact);
  std::vector<Value> keys;
  const std::string& names = path->str();
  for (std::size_t at = 0; at <= names.size();) {
    const std::size_t comma = std::min(names.find(',', at), names.size());
    keys.push_back(fold_case(attribute_path(interpreter, item, Value::string(names.substr(at, comma - at))), exact));
    at = comma + 1;
  }
  return Value::list(std::move(keys));
}

Value sort(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("sort", {"reverse", "case_sensitive", "attribute"});
  const bool backwards = bound[0] != nullptr && truth(*bound[0]);
  const bool exact = bound[1] != nullptr && truth(*bound[1]);
  interpreter.charge(input);
  std::vector<Keyed> rows;
  for (Value& item : iterate(input)) {
    Value key = sort_key(interpreter, item, bound[2], exact);
    rows.push_back({std::move(key), std::move(item)});
  }
  std::ranges::stable_sort(rows, [&](const Keyed& a, const Keyed& b) {
    interpreter.charge(std::min(a.key.extent().weight, b.key.extent().weight));
    return backwards ? compare(b.key, a.key) == -1 : compare(a.key, b.key) == -1;
  });
  std::vector<Value> items;
  for (Keyed& row : rows) items.push_back(std::move(row.item));
  return Value::list(std::move(items));
}

Value unique(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("unique", {"case_sensitive", "attribute"});
  Dict seen;
  std::vector<Value> items;
  for (Keyed& row : keyed(interpreter, input, bound[1], bound[0] != nullptr && truth(*bound[0]))) {
    if (seen.find(row.key) != nullptr) continue;
    seen.set(row.key, {});
    items.push_back(std::move(row.item));
  }
  return Value::generator(std::move(items));
}

template <bool greatest>
Value extreme(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind(greatest ? "max" : "min", {"case_sensitive", "attribute"});
  std::vector<Keyed> rows = keyed(interpreter, input, bound[1], bound[0] != nullptr && truth(*bound[0]));
  if (rows.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  std::size_t best = 0;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (compare(rows[i].key, rows[best].key) == (greatest ? 1 : -1)) best = i;
  }
  return rows[best].item;
}

Value sum(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("sum", {"attribute", "start"});
  Value total = bound[1] == nullptr ? Value::integer(0) : *bound[1];
  if (total.is_string()) raise("sum() can't sum strings [use ''.join(seq) instead]");
  interpreter.charge_shallow(input);
  for (const Value& item : iterate(input)) {
    const bool direct = bound[0] == nullptr || bound[0]->is_none();
    total = binary_operation(interpreter, "+", total, direct ? item : attribute_path(interpreter, item, *bound[0]));
  }
  return total;
}

Value group_by(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("groupby", {"attribute", "default", "case_sensitive"}, 1);
  const bool exact = bound[2] != nullptr && truth(*bound[2]);
  interpreter.charge(input);
  struct Row {
    Value folded, key, item;
  };
  std::vector<Row> rows;
  for (Value& item : iterate(input)) {
    Value key = attribute_path(interpreter, item, *bound[0], bound[1]);
    Value folded = fold_case(key, exact);
    rows.push_back({std::move(folded), std::move(key), std::move(item)});
  }
  std::ranges::stable_sort(rows, [](const Row& a, const Row& b) { return compare(a.folded, b.folded) == -1; });
  std::vector<Value> groups;
  for (std::size_t i = 0; i < rows.size();) {
    std::vector<Value> members;
    std::size_t end = i;
    while (end < rows.size() && equal(rows[end].folded, rows[i].folded)) members.push_back(rows[end++].item);
    Value group = Value::tuple({rows[i].key, Value::list(std::move(members))});
    group.seq().is_group = true;
    groups.push_back(std::move(group));
    i = end;
  }
  return Value::list(std::move(groups));
}

constexpr std::pair<std::string_view, Filter> kSelectionFilters[] = {
    {"map", map},
    {"select", choose<true, false>},
    {"reject", choose<false, false>},
    {"selectattr", choose<true, true>},
    {"rejectattr", choose<false, true>},
    {"sort", sort},
    {"unique", unique},
    {"min", extreme<false>},
    {"max", extreme<true>},
    {"sum", sum},
    {"groupby", group_by},
};

}  // namespace

Filter find_selection_filter(std::string_view name) {
  for (const auto& [known, filter] : kSelectionFilters) {
    if (known == name) return filter;
  }
  return nullptr;
}

Value fold_case(const Value& value, bool exact) {
  return value.is_string() && !exact ? Value::string(lower(value.str())) : value;
}

Value attribute_path(Interpreter& interpreter, const Value& item, const Value& path, const Value* missing) {
  if (!path.is_string()) {
    Value found = interpreter.subscript(item, path);
    return found.is_undefined() && missing != nullptr ? *missing : found;
  }
  Value value = item;
  const std::string& names = path.str();
  for (std::size_t at = 0; at <= names.size();) {
    const std::size_t dot = std::min(names.find('.', at), names.size());
    const std::string part = names.substr(at, dot - at);
    value = interpreter.subscript(value, all_digits(part) ? Value::integer(std::stoi(part)) : Value::string(part));
    if (missing != nullptr && value.is_undefined()) value = *missing;
    at = dot + 1;
  }
  return value;
}

}  // namespace plait::text::jinja
