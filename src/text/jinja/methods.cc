// SPDX-License-Identifier: Apache-2.0
//
// Methods of lists, mappings, ranges and numbers, and the global functions.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <utility>

#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

using Method = Value (*)(Interpreter&, const Value& self, Arguments&);
using Row = std::pair<std::string_view, Method>;

constexpr std::size_t kRangeMax = 100'000;  // the sandbox's own limit

Value bind(const Value& self, std::string_view name, Method method) {
  return Value::function(
      std::string(name),
      [self, method](Interpreter& interpreter, Arguments& arguments) { return method(interpreter, self, arguments); },
      &self);
}

template <std::size_t n>
std::optional<Value> look_up(const Row (&rows)[n], const Value& self, std::string_view name) {
  for (const auto& [known, method] : rows) {
    if (known == name) return bind(self, name, method);
  }
  return std::nullopt;
}

Value unsafe(const Value& self, std::string_view name) {
  return Value::undefined(fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, self.type()));
}

Value dict_get(Interpreter&, const Value& self, Arguments& arguments) {
  const auto bound = arguments.bind("get", {"key", "default"}, 1);
  if (!arguments.keywords.empty()) raise("dict.get() takes no keyword arguments");
  const Value* found = self.dict().find(*bound[0]);
  return found != nullptr ? *found : bound[1] != nullptr ? *bound[1] : Value();
}

Value dict_items(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  arguments.none("items");
  interpreter.charge_shallow(self);
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().members()) items.push_back(Value::tuple({key, value}));
  return Value::sequence(SequenceKind::items, std::move(items));
}

Value dict_keys(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  arguments.none("keys");
  interpreter.charge_shallow(self);
  return Value::sequence(SequenceKind::keys, iterate(self));
}

Value dict_values(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  arguments.none("values");
  interpreter.charge_shallow(self);
  std::vector<Value> items;
  for (const auto& [unused, value] : self.dict().members()) items.push_back(value);
  return Value::sequence(SequenceKind::values, std::move(items));
}

Value copy(Interpreter&, const Value& self, Arguments& arguments) {
  arguments.none("copy");
  return self;
}

Value sequence_index(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  const auto bound = arguments.bind("index", {"value", "start", "stop"}, 1);
  const auto size = static_cast<Int>(self.seq().items.size());
  const auto limit = [&](const Value* value, Int absent) {
    if (value == nullptr) return absent;
    const Int at = int_argument("index", *value);
    return std::clamp<Int>(at < 0 ? at + size : at, 0, size);
  };
  interpreter.charge(self);
  const Int stop = limit(bound[2], size);
  for (Int i = limit(bound[1], 0); i < stop; ++i) {
    if (equal(self.seq().items[static_cast<std::size_t>(i)], *bound[0])) return Value::integer(i);
  }
  raise(fmt::format("{} is not in {}", repr(*bound[0]), self.type()));
}

Value sequence_count(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  const auto bound = arguments.bind("count", {"value"}, 1);
  interpreter.charge(self);
  return Value::count(static_cast<std::size_t>(
      std::ranges::count_if(self.seq().items, [&](const Value& item) { return equal(item, *bound[0]); })));
}

Value is_integer(Interpreter&, const Value& self, Arguments& arguments) {
  arguments.none("is_integer");
  return Value(self.as_double() == std::floor(self.as_double()) && std::isfinite(self.as_double()));
}

constexpr Row kDictMethods[] = {
    {"get", dict_get}, {"items", dict_items}, {"keys", dict_keys}, {"values", dict_values}, {"copy", copy}};
constexpr Row kListMethods[] = {{"index", sequence_index}, {"count", sequence_count}, {"copy", copy}};
constexpr Row kTupleMethods[] = {{"index", sequence_index}, {"count", sequence_count}};
constexpr Row kFloatMethods[] = {{"is_integer", is_integer}};
constexpr std::array<std::string_view, 8> kListChanges = {"append", "clear", "pop",    "reverse",
                                                          "insert", "sort",  "extend", "remove"};
constexpr std::array<std::string_view, 5> kDictChanges = {"clear", "pop", "popitem", "setdefault", "update"};

std::optional<Value> sequence_method(const Value& self, std::string_view name) {
  const Sequence& sequence = self.seq();
  if (sequence.kind == SequenceKind::list) {
    if (std::ranges::find(kListChanges, name) != kListChanges.end()) return unsafe(self, name);
    return look_up(kListMethods, self, name);
  }
  if (sequence.kind == SequenceKind::range) {
    if (name == "start") return Value::integer(sequence.start);
    if (name == "stop") return Value::integer(sequence.stop);
    if (name == "step") return Value::integer(sequence.step);
  }
  if (sequence.is_group && name == "grouper") return sequence.items[0];
  if (sequence.is_group && name == "list") return sequence.items[1];
  if (sequence.kind > SequenceKind::range) return std::nullopt;
  return look_up(kTupleMethods, self, name);
}

Value make_range(Interpreter& interpreter, Arguments& arguments) {
  static_cast<void>(arguments.bind("range", {"start", "stop", "step"}, 1));
  if (!arguments.keywords.empty()) raise("range() takes no keyword arguments");
  const auto at = [&](std::size_t i) { return int_argument("range", arguments.positional[i]); };
  const std::size_t given = arguments.positional.size();
  const Int start = given == 1 ? 0 : at(0);
  const Int stop = at(given == 1 ? 0 : 1);
  const Int step = given < 3 ? 1 : at(2);
  if (step == 0) raise("range() arg 3 must not be zero");
  const Int distance = step > 0 ? stop - start : start - stop;
  const Int count = distance <= 0 ? 0 : (distance - 1) / (step > 0 ? step : -step) + 1;
  if (count > static_cast<Int>(kRangeMax)) {
    raise_limit(fmt::format("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kRangeMax));
  }
  interpreter.charge(static_cast<std::size_t>(count) * sizeof(Value));
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(count));
  for (Int i = 0; i < count; ++i) items.push_back(Value::integer(start + i * step));
  Value range = Value::sequence(SequenceKind::range, std::move(items));
  range.seq().start = start;
  range.seq().stop = stop;
  range.seq().step = step;
  return range;
}

// The members that `dict(...)` and `namespace(...)` are given: a mapping or pairs, then keywords.
Dict members_of(Interpreter& interpreter, std::string_view function, Arguments& arguments) {
  Dict members;
  if (arguments.positional.size() > 1) raise(fmt::format("{} expected at most 1 argument", function));
  if (!arguments.positional.empty()) {
    const Value& from = arguments.positional[0];
    interpreter.charge_shallow(from);
    if (from.is_dict()) {
      members = from.dict();
    } else {
      for (const Value& pair : iterate(from)) {
        const std::vector<Value> parts = iterate(pair);
        if (parts.size() != 2) raise("dictionary update sequence elements must have length 2");
        members.set(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.keywords) members.set(Value::string(name), value);
  interpreter.charge(members.size() * 128);
  return members;
}

Value make_dict(Interpreter& interpreter, Arguments& arguments) {
  return Value::dict(members_of(interpreter, "dict", arguments));
}

Value make_namespace(Interpreter& interpreter, Arguments& arguments) {
  const Dict members = members_of(interpreter, "namespace", arguments);
  Namespace* space = interpreter.make_namespace();
  for (const auto& [key, value] : members.members()) {
    if (key.is_string()) space->values.insert_or_assign(key.str(), value);
  }
  return Value(space);
}

Value make_cycler(Interpreter& interpreter, Arguments& arguments) {
  if (arguments.positional.empty()) raise("at least one item has to be provided");
  Cycler* cycler = interpreter.make_cycler();
  cycler->items = arguments.positional;
  return Value(cycler);
}

Value make_joiner(Interpreter& interpreter, Arguments& arguments) {
  const auto bound = arguments.bind("joiner", {"sep"});
  Joiner* joiner = interpreter.make_joiner();
  joiner->separator = bound[0] == nullptr ? ", " : to_string(*bound[0]);
  return Value(joiner);
}

Value raise_exception(Interpreter&, Arguments& arguments) {
  const auto bound = arguments.bind("raise_exception", {"message"}, 1);
  raise(to_string(*bound[0]));
}

// One directive at a time, so that no width can ask for much memory and unknown ones stay as they are.
Value strftime_now(Interpreter& interpreter, Arguments& arguments) {
  const auto bound = arguments.bind("strftime_now", {"format"}, 1);
  const std::string format = string_argument("strftime_now", *bound[0]);
  std::tm now{};
  if (interpreter.options().now) {
    now = *interpreter.options().now;
  } else {
    const std::time_t seconds = std::time(nullptr);
    localtime_r(&seconds, &now);
  }
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 >= format.size()) {
      out += format[i];
      continue;
    }
    std::string directive = "%";
    std::size_t at = i + 1;
    if (std::string_view("-_0^#").contains(format[at]) && at + 1 < format.size()) directive += format[at++];
    directive += format[at];
    if (!std::string_view("aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYZz%").contains(format[at])) {
      out += directive;
    } else {
      std::array<char, 256> buffer{};
      out.append(buffer.data(), std::strftime(buffer.data(), buffer.size(), directive.c_str(), &now));
    }
    i = at;
  }
  return Value::string(sanitize(out));
}

using Global = Value (*)(Interpreter&, Arguments&);
constexpr std::pair<std::string_view, Global> kGlobals[] = {
    {"range", make_range},          {"dict", make_dict},     {"namespace", make_namespace},
    {"cycler", make_cycler},        {"joiner", make_joiner}, {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

}  // namespace

std::optional<Value> find_method(const Value& self, std::string_view name) {
  if (self.is_string()) return find_string_method(self, name);
  if (self.is_sequence()) return sequence_method(self, name);
  if (self.is_dict()) {
    if (std::ranges::find(kDictChanges, name) != kDictChanges.end()) return unsafe(self, name);
    return look_up(kDictMethods, self, name);
  }
  if (self.is_float()) return look_up(kFloatMethods, self, name);
  return std::nullopt;
}

std::optional<Value> find_global(std::string_view name) {
  for (const auto& [known, function] : kGlobals) {
    if (known == name) return Value::function(std::string(name), function);
  }
  return std::nullopt;
}

}  // namespace plait::text::jinja
