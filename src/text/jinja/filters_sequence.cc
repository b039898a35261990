// SPDX-License-Identifier: Apache-2.0
//
// Filters on lists and mappings that keep or rearrange what is there.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

Value fallback(Interpreter&, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("default", {"default_value", "boolean"});
  const bool boolean = bound[1] != nullptr && truth(*bound[1]);
  if (!input.is_undefined() && !(boolean && !truth(input))) return input;
  return bound[0] == nullptr ? Value::string({}) : *bound[0];
}

Value count(Interpreter&, const Value& input, Arguments& arguments) {
  arguments.none("length");
  return Value::count(length(input));
}

Value first(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("first");
  if (input.is_string() && !input.str().empty()) return slice(interpreter, input, {}, Value::integer(1), {});
  if (input.is_dict() && input.dict().size() > 0) return input.dict().members()[0].first;
  if (input.is_sequence()) {
    Sequence& sequence = input.seq();
    const std::size_t at = sequence.kind == SequenceKind::generator ? sequence.read : 0;
    if (at < sequence.items.size()) {
      if (sequence.kind == SequenceKind::generator) ++sequence.read;
      return sequence.items[at];
    }
  }
  if (!iterable(input)) raise(fmt::format("'{}' object is not iterable", input.type()));
  return Value::undefined("No first item, sequence was empty.");
}

Value last(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("last");
  if (input.is_string() && !input.str().empty()) return slice(interpreter, input, Value::integer(-1), {}, {});
  if (input.is_dict() && input.dict().size() > 0) return input.dict().members().back().first;
  const bool reversible = input.is_string() || input.is_dict() || input.is_undefined() ||
                          (input.is_sequence() && input.seq().kind != SequenceKind::generator);
  if (!reversible) raise(fmt::format("'{}' object is not reversible", input.type()));
  if (input.is_sequence() && !input.seq().items.empty()) return input.seq().items.back();
  return Value::undefined("No last item, sequence was empty.");
}

Value list(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("list");
  interpreter.charge_shallow(input);
  return Value::list(iterate(input));
}

Value reverse(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("reverse");
  interpreter.charge_shallow(input);
  if (input.is_string()) return slice(interpreter, input, {}, {}, Value::integer(-1));
  if (!iterable(input)) raise("argument must be iterable");
  const bool generator = input.is_sequence(SequenceKind::generator);
  std::vector<Value> items = iterate(input);
  std::ranges::reverse(items);
  return generator ? Value::list(std::move(items)) : Value::generator(std::move(items));
}

Value join(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("join", {"d", "attribute"});
  const std::string between = bound[0] == nullptr ? std::string() : to_string(*bound[0]);
  interpreter.charge_shallow(input);
  std::vector<Value> items = iterate(input);
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (bound[1] != nullptr && !bound[1]->is_none()) items[i] = attribute_path(interpreter, items[i], *bound[1]);
    interpreter.charge(items[i]);
    interpreter.charge(between.size());
    if (i > 0) out += between;
    out += to_string(items[i]);
    if (out.size() > kWeightMax) raise_limit("a value is too large");
  }
  return Value::string(std::move(out));
}

Value pairs(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("items");
  if (input.is_undefined()) return Value::generator({});
  if (!input.is_dict()) raise("Can only get item pairs from a mapping.");
  interpreter.charge_shallow(input);
  std::vector<Value> items;
  for (const auto& [key, value] : input.dict().members()) items.push_back(Value::tuple({key, value}));
  return Value::generator(std::move(items));
}

Value dict_sort(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("dictsort", {"case_sensitive", "by", "reverse"});
  const bool exact = bound[0] != nullptr && truth(*bound[0]);
  const std::string by = bound[1] == nullptr ? "key" : to_string(*bound[1]);
  const bool backwards = bound[2] != nullptr && truth(*bound[2]);
  if (by != "key" && by != "value") raise("You can only sort by either \"key\" or \"value\"");
  if (!input.is_dict()) {
    if (input.is_undefined()) raise_undefined(input);
    raise(fmt::format("'{}' object has no attribute 'items'", input.type()));
  }
  interpreter.charge(input);
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, value] : input.dict().members()) {
    keyed.emplace_back(fold_case(by == "key" ? key : value, exact), Value::tuple({key, value}));
  }
  std::ranges::stable_sort(keyed, [&](const auto& a, const auto& b) {
    return backwards ? compare(b.first, a.first) == -1 : compare(a.first, b.first) == -1;
  });
  std::vector<Value> items;
  for (auto& [unused, pair] : keyed) items.push_back(std::move(pair));
  return Value::list(std::move(items));
}

Value batch(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("batch", {"linecount", "fill_with"}, 1);
  const Int size = int_argument("batch", *bound[0]);
  if (size < 1) raise("batch: linecount must be positive");
  interpreter.charge_shallow(input);
  std::vector<Value> rows;
  std::vector<Value> row;
  for (Value& item : iterate(input)) {
    if (static_cast<Int>(row.size()) == size) rows.push_back(Value::list(std::exchange(row, {})));
    row.push_back(std::move(item));
  }
  if (!row.empty()) {
    const bool fills = bound[1] != nullptr && !bound[1]->is_none();
    while (fills && static_cast<Int>(row.size()) < size) {
      interpreter.charge(sizeof(Value));
      row.push_back(*bound[1]);
    }
    rows.push_back(Value::list(std::move(row)));
  }
  return Value::generator(std::move(rows));
}

Value columns(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("slice", {"slices", "fill_with"}, 1);
  const Int wanted = int_argument("slice", *bound[0]);
  if (wanted < 1 || wanted > 100'000) raise("slice: slices must be positive");
  interpreter.charge_shallow(input);
  const std::vector<Value> items = iterate(input);
  const auto slices = static_cast<std::size_t>(wanted);
  const std::size_t each = items.size() / slices;
  const std::size_t longer = items.size() % slices;
  std::vector<Value> rows;
  std::size_t at = 0;
  for (std::size_t i = 0; i < slices; ++i) {
    interpreter.charge(64);
    const std::size_t size = each + (i < longer ? 1 : 0);
    std::vector<Value> row(items.begin() + static_cast<std::ptrdiff_t>(at),
                           items.begin() + static_cast<std::ptrdiff_t>(at + size));
    at += size;
    if (bound[1] != nullptr && !bound[1]->is_none() && i >= longer) row.push_back(*bound[1]);
    rows.push_back(Value::list(std::move(row)));
  }
  return Value::generator(std::move(rows));
}

Value attr(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("attr", {"name"}, 1);
  const std::string name = to_string(*bound[0]);
  if (!input.is_dict()) return interpreter.attribute(input, name);
  if (auto method = find_method(input, name)) return *std::move(method);
  return Value::undefined(fmt::format("'dict' object has no attribute '{}'", name));
}

constexpr std::pair<std::string_view, Filter> kSequenceFilters[] = {
    {"default", fallback}, {"d", fallback},  {"length", count},  {"count", count}, {"first", first},
    {"last", last},        {"list", list},   {"join", join},     {"items", pairs}, {"dictsort", dict_sort},
    {"reverse", reverse},  {"batch", batch}, {"slice", columns}, {"attr", attr},
};

}  // namespace

Filter find_sequence_filter(std::string_view name) {
  for (const auto& [known, filter] : kSequenceFilters) {
    if (known == name) return filter;
  }
  return nullptr;
}

}  // namespace plait::text::jinja
