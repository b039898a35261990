// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic, repetition, concatenation and slices with Python's meaning.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

constexpr Int kIntMin = static_cast<Int>(1) << 127;

[[noreturn]] void no_operation(std::string_view op, const Value& a, const Value& b) {
  if (a.is_undefined()) raise_undefined(a);
  if (b.is_undefined()) raise_undefined(b);
  raise(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", op, a.type(), b.type()));
}

[[noreturn]] void overflow() { raise_limit("a whole number has more than 128 bits"); }

struct Division {
  Int quotient, remainder;
};

// Rounds towards minus infinity; the remainder has the divisor's sign.
Division divide(Int a, Int b) {
  if (b == 0) raise("integer division or modulo by zero");
  if (a == kIntMin && b == -1) overflow();
  Division result{a / b, a % b};
  if (result.remainder != 0 && (result.remainder < 0) != (b < 0)) {
    --result.quotient;
    result.remainder += b;
  }
  return result;
}

Value int_power(Int base, Int exponent) {
  if (exponent < 0) {
    if (base == 0) raise("0.0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  Int result = 1;
  if (base == 0 || base == 1) return Value::integer(exponent == 0 ? 1 : base);
  if (base == -1) return Value::integer(exponent % 2 == 0 ? 1 : -1);
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(result, base, &result)) overflow();  // at most 127 turns
  }
  return Value::integer(result);
}

Value int_operation(std::string_view op, Int a, Int b) {
  Int result = 0;
  if (op == "+"   ? __builtin_add_overflow(a, b, &result)
      : op == "-" ? __builtin_sub_overflow(a, b, &result)
                  : op == "*" && __builtin_mul_overflow(a, b, &result)) {
    overflow();
  }
  if (op == "+" || op == "-" || op == "*") return Value::integer(result);
  if (op == "//") return Value::integer(divide(a, b).quotient);
  if (op == "%") return Value::integer(divide(a, b).remainder);
  if (op == "**") return int_power(a, b);
  if (b == 0) raise("division by zero");
  return Value(static_cast<double>(a) / static_cast<double>(b));
}

Value float_operation(std::string_view op, double a, double b) {
  if (op == "+") return Value(a + b);
  if (op == "-") return Value(a - b);
  if (op == "*") return Value(a * b);
  if (op == "**") {
    if (a == 0 && b < 0) raise("0.0 cannot be raised to a negative power");
    if (a < 0 && std::isfinite(b) && b != std::floor(b)) raise("complex numbers are not supported");
    const double result = std::pow(a, b);
    if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) raise("Numerical result out of range");
    return Value(result);
  }
  if (b == 0) raise("float division by zero");
  if (op == "/") return Value(a / b);
  double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder != 0) {
    if ((b < 0) != (remainder < 0)) {
      remainder += b;
      quotient -= 1;
    }
  } else {
    remainder = std::copysign(0.0, b);
  }
  if (op == "%") return Value(remainder);
  if (quotient == 0) return Value(std::copysign(0.0, a / b));
  double whole = std::floor(quotient);
  if (quotient - whole > 0.5) whole += 1;
  return Value(whole);
}

Value repeat(Interpreter& interpreter, const Value& value, Int times) {
  const auto count = static_cast<std::size_t>(std::clamp<Int>(times, 0, Int{1} << 40U));
  const std::size_t unit = value.is_string() ? value.str().size() : value.extent().weight;
  if (unit != 0 && count > kWeightMax / unit) raise_limit("a value is too large");
  interpreter.charge(unit * count);
  if (value.is_string()) {
    std::string text;
    if (unit == 0) return Value::string({});
    text.reserve(unit * count);
    for (std::size_t i = 0; i < count; ++i) text += value.str();
    return Value::string(std::move(text), value.text().markup);
  }
  const std::vector<Value>& once = value.seq().items;
  std::vector<Value> items;
  if (!once.empty()) {
    interpreter.charge(once.size() * count * sizeof(Value));
    items.reserve(once.size() * count);
    for (std::size_t i = 0; i < count; ++i) items.insert(items.end(), once.begin(), once.end());
  }
  return Value::sequence(value.seq().kind, std::move(items));
}

Value add_strings(Interpreter& interpreter, const Value& a, const Value& b) {
  const bool markup = a.text().markup || b.text().markup;
  const auto part = [&](const Value& value) {
    return markup && !value.text().markup ? escape_html(value.str()) : value.str();
  };
  std::string text = part(a);
  text += part(b);
  if (text.size() > kWeightMax) raise_limit("a value is too large");
  interpreter.charge(text.size());
  return Value::string(std::move(text), markup);
}

bool repeatable(const Value& value) {
  return value.is_string() || value.is_sequence(SequenceKind::list) || value.is_sequence(SequenceKind::tuple);
}

// Python's slice.indices(): the first index, the count of items, and the step.
struct Steps {
  Int first, count, step;
};

Steps indices(const Value& start, const Value& stop, const Value& step_value, Int size) {
  const auto whole = [](const Value& value) {
    if (!value.is_integral()) {
      if (value.is_undefined()) raise_undefined(value);
      raise("slice indices must be integers or None or have an __index__ method");
    }
    return std::clamp<Int>(value.as_int(), -(Int{1} << 60U), Int{1} << 60U);
  };
  const Int step = step_value.is_none() ? 1 : whole(step_value);
  if (step == 0) raise("slice step cannot be zero");
  const Int low = step < 0 ? -1 : 0;
  const Int high = step < 0 ? size - 1 : size;
  const auto bound = [&](const Value& value, Int absent) {
    if (value.is_none()) return absent;
    Int at = whole(value);
    if (at < 0) at += size;
    return std::clamp(at, low, high);
  };
  const Int first = bound(start, step < 0 ? high : low);
  const Int last = bound(stop, step < 0 ? low : high);
  const Int distance = step < 0 ? first - last : last - first;
  const Int stride = step < 0 ? -step : step;
  return {first, distance <= 0 ? 0 : (distance - 1) / stride + 1, step};
}

Value slice_string(Interpreter& interpreter, const Text& text, const Steps& steps) {
  interpreter.charge(text.ascii() && steps.step == 1 ? static_cast<std::size_t>(steps.count) : text.bytes.size());
  const auto at = [&](Int i) { return static_cast<std::size_t>(steps.first + i * steps.step); };
  if (text.ascii() && steps.step == 1) {
    return Value::string(steps.count == 0 ? "" : text.bytes.substr(at(0), static_cast<std::size_t>(steps.count)),
                         text.markup);
  }
  std::vector<std::size_t> begins;  // byte offset of every code point, and the end
  begins.reserve(text.length + 1);
  for (std::size_t byte = 0; byte < text.bytes.size();) {
    begins.push_back(byte);
    static_cast<void>(next_valid(text.bytes, byte));
  }
  begins.push_back(text.bytes.size());
  std::string out;
  for (Int i = 0; i < steps.count; ++i) {
    out.append(text.bytes, begins[at(i)], begins[at(i) + 1] - begins[at(i)]);
  }
  return Value::string(std::move(out), text.markup);
}

}  // namespace

Value unary_operation(std::string_view op, const Value& a) {
  if (a.is_float()) return Value(op == "-" ? -a.as_double() : a.as_double());
  if (!a.is_integral()) {
    if (a.is_undefined()) raise_undefined(a);
    raise(fmt::format("bad operand type for unary {}: '{}'", op, a.type()));
  }
  if (op == "-" && a.as_int() == kIntMin) overflow();
  return Value::integer(op == "-" ? -a.as_int() : a.as_int());
}

Value binary_operation(Interpreter& interpreter, std::string_view op, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return int_operation(op, a.as_int(), b.as_int());
  if (a.is_number() && b.is_number()) return float_operation(op, a.as_double(), b.as_double());
  if (op == "+") {
    if (a.is_string() && b.is_string()) return add_strings(interpreter, a, b);
    const bool lists = (a.is_sequence(SequenceKind::list) && b.is_sequence(SequenceKind::list)) ||
                       (a.is_sequence(SequenceKind::tuple) && b.is_sequence(SequenceKind::tuple));
    if (lists) {
      std::vector<Value> items = a.seq().items;
      items.insert(items.end(), b.seq().items.begin(), b.seq().items.end());
      interpreter.charge(items.size() * sizeof(Value));
      return Value::sequence(a.seq().kind, std::move(items));
    }
  }
  if (op == "*" && repeatable(a) && b.is_integral()) return repeat(interpreter, a, b.as_int());
  if (op == "*" && repeatable(b) && a.is_integral()) return repeat(interpreter, b, a.as_int());
  if (op == "%" && a.is_string()) return format_percent(interpreter, a, b);
  no_operation(op, a, b);
}

Value slice(Interpreter& interpreter, const Value& object, const Value& start, const Value& stop, const Value& step) {
  if (object.is_string()) {
    return slice_string(interpreter, object.text(), indices(start, stop, step, static_cast<Int>(object.text().length)));
  }
  if (!object.is_sequence() || object.seq().kind > SequenceKind::range) {
    if (object.is_undefined()) raise_undefined(object);
    raise(fmt::format("'{}' object is not subscriptable", object.type()));
  }
  const Sequence& from = object.seq();
  const Steps steps = indices(start, stop, step, static_cast<Int>(from.items.size()));
  interpreter.charge(static_cast<std::size_t>(steps.count) * sizeof(Value));
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(steps.count));
  for (Int i = 0; i < steps.count; ++i)
    items.push_back(from.items[static_cast<std::size_t>(steps.first + i * steps.step)]);
  Value result = Value::sequence(from.kind, std::move(items));
  if (from.kind == SequenceKind::range) {
    result.seq().start = from.start + steps.first * from.step;
    result.seq().step = from.step * steps.step;
    result.seq().stop = result.seq().start + steps.count * result.seq().step;
  }
  return result;
}

}  // namespace plait::text::jinja
