// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"

namespace plait::text::jinja {
namespace {

Value missing(const Value& object, std::string_view name) {
  return Value::undefined(fmt::format("'{}' object has no attribute {}", object.type(), repr_string(name)));
}

Value missing_item(const Value& object, const Value& index) {
  return Value::undefined(fmt::format("'{}' object has no element {}", object.type(), repr(index)));
}

// The item at a Python index, or null.
std::optional<std::size_t> position(Int index, std::size_t size) {
  const Int at = index < 0 ? index + static_cast<Int>(size) : index;
  if (at < 0 || at >= static_cast<Int>(size)) return std::nullopt;
  return static_cast<std::size_t>(at);
}

}  // namespace

Value Interpreter::evaluate(const Expression& node) {
  step();
  const Deeper deeper(*this);
  switch (node.kind) {
    case ExpressionKind::constant:
      return node.value;
    case ExpressionKind::name:
      return evaluate_name(node);
    case ExpressionKind::list:
    case ExpressionKind::tuple:
    case ExpressionKind::dict:
      return evaluate_items(node);
    case ExpressionKind::unary:
      return unary_operation(node.name, evaluate(*node.items[0]));
    case ExpressionKind::binary: {
      const Value left = evaluate(*node.items[0]);
      return binary_operation(*this, node.name, left, evaluate(*node.items[1]));
    }
    case ExpressionKind::concat:
      return evaluate_concat(node);
    case ExpressionKind::compare:
      return evaluate_compare(node);
    case ExpressionKind::logical_and:
    case ExpressionKind::logical_or: {
      Value left = evaluate(*node.items[0]);
      return truth(left) == (node.kind == ExpressionKind::logical_or) ? left : evaluate(*node.items[1]);
    }
    case ExpressionKind::logical_not:
      return Value(!truth(evaluate(*node.items[0])));
    case ExpressionKind::conditional:
      if (truth(evaluate(*node.items[0]))) return evaluate(*node.items[1]);
      if (node.items[2] != nullptr) return evaluate(*node.items[2]);
      return Value::undefined("the inline if-expression evaluated to false and no else section was defined.");
    case ExpressionKind::attribute:
      return attribute(evaluate(*node.items[0]), node.name);
    case ExpressionKind::subscript: {
      const Value object = evaluate(*node.items[0]);
      return subscript(object, evaluate(*node.items[1]));
    }
    case ExpressionKind::slice:
      return evaluate_slice(node);
    case ExpressionKind::call:
      return evaluate_call(node);
    case ExpressionKind::filter:
      return evaluate_filter(node, nullptr);
    case ExpressionKind::test:
      return evaluate_test(node);
  }
  return {};
}

Value Interpreter::evaluate_name(const Expression& node) {
  if (const Value* found = scope_->find(node.name)) return *found;
  if (const auto found = variables_.find(node.name); found != variables_.end()) return found->second;
  if (auto global = find_global(node.name)) return *std::move(global);
  return Value::undefined(fmt::format("'{}' is undefined", node.name));
}

Value Interpreter::evaluate_items(const Expression& node) {
  if (node.kind == ExpressionKind::dict) {
    Dict dict;
    for (std::size_t i = 0; i + 1 < node.items.size(); i += 2) {
      const Value key = evaluate(*node.items[i]);
      dict.set(key, evaluate(*node.items[i + 1]));
    }
    charge(dict.size() * 128);
    return Value::dict(std::move(dict));
  }
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const ExpressionPtr& item : node.items) items.push_back(evaluate(*item));
  charge(64 + items.size() * sizeof(Value));
  return node.kind == ExpressionKind::list ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

bool Interpreter::compare_one(std::string_view op, const Value& a, const Value& b) {
  if (op == "in" || op == "not in") {
    const std::size_t slots = b.is_sequence() ? b.seq().items.size() : 1;
    charge(std::min(b.extent().weight, slots * (16 + a.extent().weight)));
    if (b.is_string()) charge(b.str().size());
    return contains(b, a) == (op == "in");
  }
  charge(std::min(a.extent().weight, b.extent().weight));
  if (op == "==") return equal(a, b);
  if (op == "!=") return !equal(a, b);
  const int order = compare(a, b);
  if (order == 2) return false;
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  return op == ">" ? order > 0 : order >= 0;
}

Value Interpreter::evaluate_compare(const Expression& node) {
  Value left = evaluate(*node.items[0]);
  for (std::size_t i = 0; i < node.operators.size(); ++i) {
    Value right = evaluate(*node.items[i + 1]);
    if (!compare_one(node.operators[i], left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::evaluate_concat(const Expression& node) {
  std::string text;
  for (const ExpressionPtr& item : node.items) {
    const Value value = evaluate(*item);
    charge(value);
    text += to_string(value);
    if (text.size() > kWeightMax) raise_limit("a value is too large");
  }
  charge(text.size());
  return Value::string(std::move(text));
}

Value Interpreter::evaluate_slice(const Expression& node) {
  const Value object = evaluate(*node.items[0]);
  const auto part = [&](std::size_t i) { return node.items[i] == nullptr ? Value() : evaluate(*node.items[i]); };
  const Value start = part(1);
  const Value stop = part(2);
  return slice(*this, object, start, stop, part(3));
}

Arguments Interpreter::arguments_of(const Expression& node) {
  Arguments arguments;
  for (std::size_t i = 1; i < node.items.size(); ++i) arguments.positional.push_back(evaluate(*node.items[i]));
  for (const auto& [name, value] : node.keywords) {
    const bool repeated = std::ranges::any_of(arguments.keywords, [&](const auto& k) { return k.first == name; });
    if (repeated) raise(fmt::format("keyword argument repeated: {}", name));
    arguments.keywords.emplace_back(name, evaluate(*value));
  }
  if (node.splat_list != nullptr) {
    const Value list = evaluate(*node.splat_list);
    if (!iterable(list)) raise(fmt::format("argument after * must be an iterable, not {}", list.type()));
    charge_shallow(list);
    for (Value& item : iterate(list)) arguments.positional.push_back(std::move(item));
  }
  if (node.splat_dict != nullptr) {
    const Value dict = evaluate(*node.splat_dict);
    if (!dict.is_dict()) raise(fmt::format("argument after ** must be a mapping, not {}", dict.type()));
    charge_shallow(dict);
    for (const auto& [key, value] : dict.dict().members()) {
      if (!key.is_string()) raise("keywords must be strings");
      const bool repeated =
          std::ranges::any_of(arguments.keywords, [&](const auto& k) { return k.first == key.str(); });
      if (repeated) raise(fmt::format("got multiple values for keyword argument '{}'", key.str()));
      arguments.keywords.emplace_back(key.str(), value);
    }
  }
  return arguments;
}

Value Interpreter::evaluate_call(const Expression& node) {
  const Value callee = evaluate(*node.items[0]);
  Arguments arguments = arguments_of(node);
  line_ = node.line;
  return call(callee, arguments);
}

Value Interpreter::evaluate_filter(const Expression& node, const Value* block_input) {
  Value input;
  if (node.items[0] == nullptr) {
    if (block_input != nullptr) input = *block_input;
  } else if (block_input != nullptr && node.items[0]->kind == ExpressionKind::filter) {
    input = evaluate_filter(*node.items[0], block_input);
  } else {
    input = evaluate(*node.items[0]);
  }
  Arguments arguments = arguments_of(node);
  line_ = node.line;
  return apply_filter(*this, node.name, input, arguments);
}

Value Interpreter::evaluate_test(const Expression& node) {
  const Value input = evaluate(*node.items[0]);
  Arguments arguments = arguments_of(node);
  line_ = node.line;
  return Value(apply_test(*this, node.name, input, arguments));
}

std::optional<Value> Interpreter::loop_attribute(Loop& loop, std::string_view name) {
  const std::size_t size = loop.items.size();
  const std::size_t at = loop.index0;
  if (name == "index") return Value::count(at + 1);
  if (name == "index0") return Value::count(at);
  if (name == "first") return Value(at == 0);
  if (name == "last") return Value(at + 1 >= size);
  if (name == "length") return Value::count(size);
  if (name == "revindex") return Value::integer(static_cast<Int>(size) - static_cast<Int>(at));
  if (name == "revindex0") return Value::integer(static_cast<Int>(size) - static_cast<Int>(at) - 1);
  if (name == "depth") return Value::count(loop.depth0 + 1);
  if (name == "depth0") return Value::count(loop.depth0);
  if (name == "previtem") return at == 0 ? Value::undefined("there is no previous item") : loop.items[at - 1];
  if (name == "nextitem") return at + 1 >= size ? Value::undefined("there is no next item") : loop.items[at + 1];
  if (name == "cycle") {
    return Value::function("cycle", [&loop](Interpreter&, Arguments& arguments) {
      if (arguments.positional.empty()) raise("no items for cycling given");
      return arguments.positional[loop.index0 % arguments.positional.size()];
    });
  }
  if (name == "changed") {
    return Value::function("changed", [&loop](Interpreter& interpreter, Arguments& arguments) {
      Value value = Value::tuple(arguments.positional);
      interpreter.charge(value);
      const bool changed = !loop.last_changed || !equal(*loop.last_changed, value);
      if (changed) loop.last_changed = std::move(value);
      return Value(changed);
    });
  }
  return std::nullopt;
}

std::optional<Value> Interpreter::object_attribute(Object& object, std::string_view name) {
  switch (object.kind) {
    case Object::Kind::space: {
      const auto& values = static_cast<Namespace&>(object).values;
      const auto found = values.find(std::string(name));
      if (found != values.end()) return found->second;
      return std::nullopt;
    }
    case Object::Kind::loop:
      return loop_attribute(static_cast<Loop&>(object), name);
    case Object::Kind::cycler: {
      Cycler& cycler = static_cast<Cycler&>(object);
      if (name == "current") return cycler.items[cycler.at];
      if (name == "next") {
        return Value::function("next", [&cycler](Interpreter&, Arguments&) {
          const Value value = cycler.items[cycler.at];
          cycler.at = (cycler.at + 1) % cycler.items.size();
          return value;
        });
      }
      if (name == "reset") {
        return Value::function("reset", [&cycler](Interpreter&, Arguments&) {
          cycler.at = 0;
          return Value();
        });
      }
      return std::nullopt;
    }
    case Object::Kind::joiner:
      if (name == "sep") return Value::string(static_cast<Joiner&>(object).separator);
      return std::nullopt;
  }
  return std::nullopt;
}

Value Interpreter::attribute(const Value& object, std::string_view name) {
  if (object.is_undefined()) raise_undefined(object);
  if (object.is_object()) {
    if (auto found = object_attribute(*object.object(), name)) return *std::move(found);
    return missing(object, name);
  }
  // Names with underscores at both ends are Python's own machinery: never visible, not even as keys.
  if (name.starts_with("__")) return missing(object, name);
  if (auto method = find_method(object, name)) return *std::move(method);
  if (object.is_dict()) {
    if (const Value* found = object.dict().find(name)) return *found;
  }
  if (object.is_callable() && name == "name") return Value::string(object.callable().name);
  return missing(object, name);
}

Value Interpreter::subscript(const Value& object, const Value& index) {
  if (object.is_undefined()) raise_undefined(object);
  if (object.is_dict()) {
    const bool hashable = !index.is_dict() && !index.is_sequence(SequenceKind::list);
    const Value* found = hashable ? object.dict().find(index) : nullptr;
    if (found != nullptr) return *found;
  } else if (index.is_integral() && object.is_string()) {
    const Text& text = object.text();
    const auto at = position(index.as_int(), text.length);
    if (!at) return missing_item(object, index);
    if (text.ascii()) return Value::string(text.bytes.substr(*at, 1), text.markup);
    return slice(*this, object, Value::count(*at), Value::count(*at + 1), {});
  } else if (index.is_integral() && object.is_sequence() && object.seq().kind <= SequenceKind::range) {
    const auto at = position(index.as_int(), object.seq().items.size());
    return at ? object.seq().items[*at] : missing_item(object, index);
  }
  if (index.is_string()) {
    if (object.is_object()) return attribute(object, index.str());
    if (!index.str().starts_with("__")) {
      if (auto method = find_method(object, index.str())) return *std::move(method);
    }
    return missing(object, index.str());
  }
  return missing_item(object, index);
}

}  // namespace plait::text::jinja
