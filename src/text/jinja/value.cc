// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

// Small dicts compare keys one by one.
constexpr std::size_t kLinearMembersMax = 8;

bool fits_int(double value) { return std::abs(value) < 0x1p126 && value == std::floor(value); }

// Equal keys have equal names: 1, 1.0 and True are one key, as in Python.
std::string canonical_key(const Value& key) {
  if (key.is_string()) return fmt::format("s{}", key.str());
  if (key.is_integral()) return fmt::format("i{}", int_to_string(key.as_int()));
  if (key.is_float()) {
    const double value = key.as_double();
    if (fits_int(value)) return fmt::format("i{}", int_to_string(static_cast<Int>(value)));
    return fmt::format("f{}", std::bit_cast<std::uint64_t>(value));
  }
  if (key.is_none()) return "n";
  if (key.is_sequence(SequenceKind::tuple)) {
    std::string name = "t";
    for (const Value& item : key.seq().items) {
      const std::string part = canonical_key(item);
      name += fmt::format("{}:{}", part.size(), part);
    }
    return name;
  }
  if (key.is_object()) return fmt::format("o{}", static_cast<const void*>(key.object()));
  if (key.is_callable()) return fmt::format("c{}", static_cast<const void*>(&key.callable()));
  if (key.is_undefined()) return "u";
  raise(fmt::format("unhashable type: '{}'", key.type()));
}

}  // namespace

void Extent::hold(const Extent& inner) {
  depth = std::max(depth, inner.depth + 1);
  weight += inner.weight;
  if (depth > kNestingMax) raise_limit("values are nested too deeply");
  if (weight > kWeightMax) raise_limit("a value is too large");
}

void Dict::set(const Value& key, Value value) {
  std::string name = canonical_key(key);
  extent_.hold(value.extent());
  extent_.hold(key.extent());
  const std::size_t at = slot(name);
  if (at < members_.size()) {
    members_[at].second = std::move(value);
    return;
  }
  index_.emplace(std::move(name), members_.size());
  members_.emplace_back(key, std::move(value));
}

std::size_t Dict::slot(const std::string& key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? members_.size() : found->second;
}

const Value* Dict::find(const Value& key) const {
  if (key.is_string()) return find(std::string_view(key.str()));
  const std::size_t at = slot(canonical_key(key));
  return at < members_.size() ? &members_[at].second : nullptr;
}

const Value* Dict::find(std::string_view key) const {
  if (members_.size() <= kLinearMembersMax) {
    for (const auto& [name, value] : members_) {
      if (name.is_string() && name.str() == key) return &value;
    }
    return nullptr;
  }
  const std::size_t at = slot(fmt::format("s{}", key));
  return at < members_.size() ? &members_[at].second : nullptr;
}

Value Value::integer(Int value) {
  Value result;
  result.data_ = value;
  return result;
}

Value Value::string(std::string valid_utf8, bool markup) {
  Value result;
  const std::size_t length = count_code_points(valid_utf8);
  result.data_ = std::make_shared<const Text>(Text{std::move(valid_utf8), length, markup});
  return result;
}

Value Value::undefined(std::string hint) {
  Value result;
  result.data_ = std::make_shared<const Undefined>(Undefined{std::move(hint)});
  return result;
}

Value Value::sequence(SequenceKind kind, std::vector<Value> items) {
  auto made = std::make_shared<Sequence>();
  made->kind = kind;
  for (const Value& item : items) made->extent.hold(item.extent());
  made->items = std::move(items);
  return Value(std::move(made));
}

Value Value::dict(Dict dict) { return Value(std::make_shared<const Dict>(std::move(dict))); }

Value Value::function(std::string name, Callable::Function function, const Value* self) {
  Extent extent;
  if (self != nullptr) extent.hold(self->extent());
  return Value(std::make_shared<const Callable>(Callable{std::move(name), std::move(function), extent}));
}

Value Value::from_json(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_integer:
      return integer(json.get<std::int64_t>());
    case Json::value_t::number_unsigned:
      return integer(static_cast<Int>(json.get<std::uint64_t>()));
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return string(sanitize(json.get_ref<const std::string&>()));
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(from_json(item));
      return list(std::move(items));
    }
    case Json::value_t::object: {
      Dict members;
      for (const auto& [key, value] : json.items()) members.set(string(sanitize(key)), from_json(value));
      return dict(std::move(members));
    }
    default:
      return {};
  }
}

Extent Value::extent() const {
  if (is_string()) return {0, str().size() + 1};
  if (is_sequence()) return seq().extent;
  if (is_dict()) return dict().extent();
  if (is_callable()) return callable().extent;
  return {0, 8};
}

bool Value::same(const Value& other) const {
  if (data_.index() != other.data_.index()) return false;
  if (is_none()) return true;
  if (is_bool()) return boolean() == other.boolean();
  if (is_int()) return as_int() == other.as_int();
  if (is_float()) return as_double() == other.as_double();
  if (is_string()) return str() == other.str();
  if (is_sequence()) return &seq() == &other.seq();
  if (is_dict()) return &dict() == &other.dict();
  if (is_object()) return object() == other.object();
  if (is_callable()) return &callable() == &other.callable();
  return false;
}

std::string_view Value::type() const {
  if (is_none()) return "NoneType";
  if (is_undefined()) return "Undefined";
  if (is_bool()) return "bool";
  if (is_int()) return "int";
  if (is_float()) return "float";
  if (is_string()) return text().markup ? "Markup" : "str";
  if (is_dict()) return "dict";
  if (is_callable()) return "function";
  if (is_object()) {
    constexpr std::string_view kNames[] = {"Namespace", "LoopContext", "Cycler", "Joiner"};
    return kNames[static_cast<std::size_t>(object()->kind)];
  }
  constexpr std::string_view kNames[] = {"list",        "tuple",      "range",    "dict_keys",
                                         "dict_values", "dict_items", "generator"};
  return kNames[static_cast<std::size_t>(seq().kind)];
}

std::vector<const Value*> Arguments::bind(std::string_view function, std::initializer_list<std::string_view> names,
                                          std::size_t required) const {
  if (positional.size() > names.size()) raise(fmt::format("{}() takes at most {} arguments", function, names.size()));
  std::vector<const Value*> bound(names.size(), nullptr);
  for (std::size_t i = 0; i < positional.size(); ++i) bound[i] = &positional[i];
  for (const auto& [name, value] : keywords) {
    const auto found = std::ranges::find(names, std::string_view(name));
    if (found == names.end()) raise(fmt::format("{}() got an unexpected keyword argument '{}'", function, name));
    const auto at = static_cast<std::size_t>(found - names.begin());
    if (bound[at] != nullptr) raise(fmt::format("{}() got multiple values for argument '{}'", function, name));
    bound[at] = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (bound[i] == nullptr) raise(fmt::format("{}() misses the argument '{}'", function, names.begin()[i]));
  }
  return bound;
}

void Arguments::none(std::string_view function) const {
  if (!positional.empty() || !keywords.empty()) raise(fmt::format("{}() takes no arguments", function));
}

void raise_undefined(const Value& value) { raise(value.hint()); }

bool truth(const Value& value) {
  if (value.is_none() || value.is_undefined()) return false;
  if (value.is_bool()) return value.boolean();
  if (value.is_int()) return value.as_int() != 0;
  if (value.is_float()) return value.as_double() != 0;
  if (value.is_string()) return !value.str().empty();
  if (value.is_sequence()) return value.seq().kind == SequenceKind::generator || !value.seq().items.empty();
  if (value.is_dict()) return value.dict().size() != 0;
  return true;
}

bool equal(const Value& a, const Value& b, std::size_t depth) {
  if (depth > kNestingMax) raise_limit("values are nested too deeply");
  if (a.is_integral() && b.is_integral()) return a.as_int() == b.as_int();
  if (a.is_number() && b.is_number()) return a.as_double() == b.as_double();
  if (a.is_string() && b.is_string()) return a.str() == b.str();
  if (a.is_undefined() && b.is_undefined()) return true;
  if (a.is_sequence() && b.is_sequence()) {
    const Sequence& x = a.seq();
    const Sequence& y = b.seq();
    if (&x == &y) return true;
    const bool by_items =
        x.kind == SequenceKind::list || x.kind == SequenceKind::tuple || x.kind == SequenceKind::range;
    return by_items && x.kind == y.kind && x.items.size() == y.items.size() &&
           std::ranges::equal(x.items, y.items,
                              [&](const Value& u, const Value& v) { return u.same(v) || equal(u, v, depth + 1); });
  }
  if (a.is_dict() && b.is_dict()) {
    if (&a.dict() == &b.dict()) return true;
    if (a.dict().size() != b.dict().size()) return false;
    return std::ranges::all_of(a.dict().members(), [&](const Dict::Member& member) {
      const Value* other = b.dict().find(member.first);
      return other != nullptr && equal(member.second, *other, depth + 1);
    });
  }
  return a.same(b);
}

int compare(const Value& a, const Value& b) {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2; };
  if (a.is_integral() && b.is_integral()) return order(a.as_int(), b.as_int());
  if (a.is_number() && b.is_number()) return order(a.as_double(), b.as_double());
  if (a.is_string() && b.is_string()) return order(a.str().compare(b.str()), 0);
  if (a.is_undefined()) raise_undefined(a);
  if (b.is_undefined()) raise_undefined(b);
  const bool both = (a.is_sequence(SequenceKind::list) && b.is_sequence(SequenceKind::list)) ||
                    (a.is_sequence(SequenceKind::tuple) && b.is_sequence(SequenceKind::tuple));
  if (!both) raise(fmt::format("no order between '{}' and '{}'", a.type(), b.type()));
  const auto& x = a.seq().items;
  const auto& y = b.seq().items;
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (!x[i].same(y[i]) && !equal(x[i], y[i])) return compare(x[i], y[i]);
  }
  return order(x.size(), y.size());
}

bool contains(const Value& container, const Value& item) {
  if (container.is_string()) {
    if (item.is_undefined()) raise_undefined(item);
    if (!item.is_string()) raise(fmt::format("'in <string>' requires string, not {}", item.type()));
    return container.str().find(item.str()) != std::string::npos;
  }
  if (container.is_dict()) return container.dict().find(item) != nullptr;
  if (container.is_sequence() && container.seq().kind != SequenceKind::generator) {
    return std::ranges::any_of(container.seq().items, [&](const Value& x) { return x.same(item) || equal(x, item); });
  }
  if (container.is_sequence()) {
    Sequence& generator = container.seq();
    while (generator.read < generator.items.size()) {
      const Value& next = generator.items[generator.read++];
      if (next.same(item) || equal(next, item)) return true;
    }
    return false;
  }
  if (container.is_undefined()) return false;
  raise(fmt::format("argument of type '{}' is not iterable", container.type()));
}

std::size_t length(const Value& value) {
  if (value.is_string()) return value.text().length;
  if (value.is_dict()) return value.dict().size();
  if (value.is_sequence() && value.seq().kind != SequenceKind::generator) return value.seq().items.size();
  if (value.is_undefined()) return 0;
  raise(fmt::format("object of type '{}' has no len()", value.type()));
}

bool iterable(const Value& value) {
  return value.is_string() || value.is_dict() || value.is_sequence() || value.is_undefined() ||
         value.is_object(Object::Kind::loop);
}

std::vector<Value> iterate(const Value& value) {
  std::vector<Value> items;
  if (value.is_string()) {
    const std::string& bytes = value.str();
    items.reserve(value.text().length);
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t from = at;
      static_cast<void>(next_valid(bytes, at));
      items.push_back(Value::string(bytes.substr(from, at - from)));
    }
  } else if (value.is_dict()) {
    items.reserve(value.dict().size());
    for (const auto& [key, unused] : value.dict().members()) items.push_back(key);
  } else if (value.is_sequence()) {
    Sequence& sequence = value.seq();
    if (sequence.kind != SequenceKind::generator) return sequence.items;
    items.assign(sequence.items.begin() + static_cast<std::ptrdiff_t>(sequence.read), sequence.items.end());
    sequence.read = sequence.items.size();
  } else if (!value.is_undefined()) {
    raise(fmt::format("'{}' object is not iterable", value.type()));
  }
  return items;
}

}  // namespace plait::text::jinja
