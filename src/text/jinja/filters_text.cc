// SPDX-License-Identifier: Apache-2.0
//
// Filters on texts and numbers.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>

#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

bool is_markup(const Value& value) { return value.is_string() && value.text().markup; }

// The input's text, paid for.
std::string text_of(Interpreter& interpreter, const Value& value) {
  interpreter.charge(value);
  return to_string(value);
}

// The input's method `name` after str(): trim, upper and others are exactly that.
template <int method>
Value through_method(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  constexpr std::string_view kNames[] = {"upper", "lower", "capitalize"};
  arguments.none(kNames[method]);
  const Value text = Value::string(text_of(interpreter, input), is_markup(input));
  return interpreter.call(*find_string_method(text, kNames[method]), arguments);
}

Value trim(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("trim", {"chars"});
  Arguments chars;
  if (bound[0] != nullptr) chars.positional.push_back(*bound[0]);
  const Value text = Value::string(text_of(interpreter, input), is_markup(input));
  return interpreter.call(*find_string_method(text, "strip"), chars);
}

Value title(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("title");
  const std::string text = text_of(interpreter, input);
  std::string out;
  bool begins = true;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_valid(text, at);
    const bool separates = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    if (begins && !separates) {
      append_upper(out, c);
    } else {
      append_lower(out, c);
    }
    begins = separates;
  }
  return Value::string(std::move(out));
}

Value replace(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("replace", {"old", "new", "count"}, 2);
  const std::string text = text_of(interpreter, input);
  const Int count = bound[2] == nullptr || bound[2]->is_none() ? -1 : int_argument("replace", *bound[2]);
  return Value::string(
      replace_all(interpreter, text, text_of(interpreter, *bound[0]), text_of(interpreter, *bound[1]), count));
}

Value escape(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("escape");
  if (is_markup(input)) return input;
  return Value::string(escape_html(text_of(interpreter, input)), true);
}

Value force_escape(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("forceescape");
  return Value::string(escape_html(text_of(interpreter, input)), true);
}

Value safe(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("safe");
  return Value::string(text_of(interpreter, input), true);
}

Value string(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("string");
  if (input.is_string()) return input;
  return Value::string(text_of(interpreter, input));
}

Value indent(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("indent", {"width", "first", "blank"});
  if (!input.is_string()) {
    if (input.is_undefined()) raise_undefined(input);
    raise(fmt::format("unsupported operand type(s) for +=: '{}' and 'str'", input.type()));
  }
  std::string padding(4, ' ');
  if (bound[0] != nullptr && bound[0]->is_string()) padding = bound[0]->str();
  if (bound[0] != nullptr && !bound[0]->is_string()) {
    padding.assign(static_cast<std::size_t>(std::clamp<Int>(int_argument("indent", *bound[0]), 0, 100'000)), ' ');
  }
  const bool blank = bound[2] != nullptr && truth(*bound[2]);
  Arguments none;
  const Value with_end = Value::string(input.str() + "\n");
  const Value lines = interpreter.call(*find_string_method(with_end, "splitlines"), none);
  std::string out;
  for (std::size_t i = 0; i < lines.seq().items.size(); ++i) {
    const std::string& line = lines.seq().items[i].str();
    const bool pads = i == 0 ? bound[1] != nullptr && truth(*bound[1]) : blank || !line.empty();
    if (i > 0) out += '\n';
    if (pads) out += padding;
    interpreter.charge(line.size() + padding.size());
    out += line;
    if (out.size() > kWeightMax) raise_limit("a value is too large");
  }
  return Value::string(std::move(out), is_markup(input));
}

// int(text, base) of Python, or nothing.
std::optional<Int> read_int(std::string_view text, int base) {
  text = strip_left(strip_right(text));
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.size() > 2 && text[0] == '0') {
    const char kind = static_cast<char>(text[1] | 0x20);
    const int prefixed = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    if (prefixed != 0 && (base == prefixed || base == 0)) {
      base = prefixed;
      text.remove_prefix(text[2] == '_' ? 3 : 2);
    }
  }
  if (base == 0) base = 10;
  Int value = 0;
  bool digit_before = false;
  for (const char c : text) {
    if (c == '_' && digit_before) {
      digit_before = false;
      continue;
    }
    const char letter = static_cast<char>(c | 0x20);
    const int digit = c >= '0' && c <= '9' ? c - '0' : letter >= 'a' && letter <= 'z' ? letter - 'a' + 10 : 99;
    if (digit >= base) return std::nullopt;
    if (__builtin_mul_overflow(value, Int{base}, &value) || __builtin_add_overflow(value, Int{digit}, &value)) {
      raise_limit("a whole number has more than 128 bits");
    }
    digit_before = true;
  }
  if (!digit_before) return std::nullopt;
  return negative ? -value : value;
}

// float(text) of Python, or nothing.
std::optional<double> read_float(std::string_view text) {
  text = strip_left(strip_right(text));
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto is_digit = [&](std::size_t k) { return k < text.size() && text[k] >= '0' && text[k] <= '9'; };
    if (text[i] == '_' && i > 0 && is_digit(i - 1) && is_digit(i + 1)) continue;
    plain += text[i];
  }
  std::string_view digits = plain;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty() || digits[0] == '-' || digits.starts_with("nan(") || digits.starts_with("NAN("))
    return std::nullopt;
  double value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (read.ptr != digits.data() + digits.size() || read.ec == std::errc::invalid_argument) return std::nullopt;
  if (read.ec == std::errc::result_out_of_range) value = std::strtod(std::string(digits).c_str(), nullptr);
  return negative ? -value : value;
}

Value float_to_int(double value) {
  if (!std::isfinite(value)) raise("cannot convert float infinity or NaN to integer");
  if (std::abs(value) >= 0x1p126) raise_limit("a whole number has more than 128 bits");
  return Value::integer(static_cast<Int>(value));
}

Value to_int(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("int", {"default", "base"});
  const Value fallback = bound[0] == nullptr ? Value::integer(0) : *bound[0];
  const Int base = bound[1] == nullptr ? 10 : int_argument("int", *bound[1]);
  if (input.is_undefined()) raise_undefined(input);
  if (input.is_integral()) return Value::integer(input.as_int());
  if (input.is_float()) return std::isnan(input.as_double()) ? fallback : float_to_int(input.as_double());
  if (!input.is_string()) return fallback;
  interpreter.charge(input);
  if (base == 0 || (base >= 2 && base <= 36)) {
    if (const auto value = read_int(input.str(), static_cast<int>(base))) return Value::integer(*value);
  }
  const auto value = read_float(input.str());
  return value && std::isfinite(*value) ? float_to_int(*value) : fallback;
}

Value to_float(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("float", {"default"});
  if (input.is_undefined()) raise_undefined(input);
  if (input.is_number()) return Value(input.as_double());
  interpreter.charge(input);
  const auto value = input.is_string() ? read_float(input.str()) : std::nullopt;
  if (value) return Value(*value);
  return bound[0] == nullptr ? Value(0.0) : *bound[0];
}

Value absolute(Interpreter&, const Value& input, Arguments& arguments) {
  arguments.none("abs");
  if (input.is_float()) return Value(std::abs(input.as_double()));
  if (input.is_integral()) return input.as_int() < 0 ? unary_operation("-", input) : unary_operation("+", input);
  if (input.is_undefined()) raise_undefined(input);
  raise(fmt::format("bad operand type for abs(): '{}'", input.type()));
}

// Half to even on the exact decimal value, as Python rounds.
double round_common(double value, int precision) {
  if (!std::isfinite(value) || precision > 300) return value;
  if (precision >= 0) return std::strtod(fmt::format("{:.{}f}", value, precision).c_str(), nullptr);
  if (precision < -308) return std::copysign(0.0, value);
  const double unit = std::pow(10.0, -precision);
  return std::nearbyint(value / unit) * unit;
}

Value round(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("round", {"precision", "method"});
  const Int wanted = bound[0] == nullptr ? 0 : int_argument("round", *bound[0]);
  const auto precision = static_cast<int>(std::clamp<Int>(wanted, -400, 400));
  const std::string method = bound[1] == nullptr ? "common" : to_string(*bound[1]);
  if (method != "common" && method != "ceil" && method != "floor") raise("method must be common, ceil or floor");
  if (!input.is_number()) {
    if (input.is_undefined()) raise_undefined(input);
    raise(fmt::format("type {} doesn't define __round__ method", input.type()));
  }
  if (method == "common") {
    if (input.is_float()) return Value(round_common(input.as_double(), precision));
    if (precision >= 0) return Value::integer(input.as_int());
    return float_to_int(round_common(input.as_double(), precision));
  }
  const Value power = binary_operation(interpreter, "**", Value::integer(10), Value::integer(precision));
  const Value scaled = binary_operation(interpreter, "*", input, power);
  const double whole = method == "ceil" ? std::ceil(scaled.as_double()) : std::floor(scaled.as_double());
  return binary_operation(interpreter, "/", float_to_int(whole), power);
}

Value word_count(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("wordcount");
  const std::string text = text_of(interpreter, input);
  std::size_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_valid(text, at);
    const bool word = is_alpha(c) || is_decimal(c) || c == '_';
    words += word && !inside ? 1 : 0;
    inside = word;
  }
  return Value::count(words);
}

Value format(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.keywords.empty()) {
    raise("can't handle positional and keyword arguments at the same time");
  }
  const Value text = Value::string(text_of(interpreter, input), is_markup(input));
  if (arguments.keywords.empty()) return format_percent(interpreter, text, Value::tuple(arguments.positional));
  Dict named;
  for (const auto& [name, value] : arguments.keywords) named.set(Value::string(name), value);
  return format_percent(interpreter, text, Value::dict(std::move(named)));
}

Value truncate(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("truncate", {"length", "killwords", "end", "leeway"});
  const Int length = bound[0] == nullptr ? 255 : int_argument("truncate", *bound[0]);
  const Value end = bound[2] == nullptr ? Value::string("...") : *bound[2];
  const Int leeway = bound[3] == nullptr || bound[3]->is_none() ? 5 : int_argument("truncate", *bound[3]);
  if (!input.is_string() || !end.is_string()) raise("truncate needs a string");
  const auto end_length = static_cast<Int>(end.text().length);
  if (length < end_length || leeway < 0) raise("truncate: length and leeway are too small");
  if (static_cast<Int>(input.text().length) <= length + leeway) return input;
  std::string kept = slice(interpreter, input, {}, Value::integer(length - end_length), {}).str();
  if (bound[1] == nullptr || !truth(*bound[1])) {
    if (const std::size_t space = kept.rfind(' '); space != std::string::npos) kept.resize(space);
  }
  return Value::string(kept + end.str());
}

Value center(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("center", {"width"});
  Arguments width;
  width.positional.push_back(bound[0] == nullptr ? Value::integer(80) : *bound[0]);
  return interpreter.call(*find_string_method(Value::string(text_of(interpreter, input)), "center"), width);
}

std::string quote_url(std::string_view text, bool plus) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("_.-~").contains(c) || (c == '/' && !plus);
    if (plain) {
      out += c;
    } else if (c == ' ' && plus) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

Value url_encode(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  arguments.none("urlencode");
  interpreter.charge(input);
  if (input.is_string() || !(input.is_dict() || input.is_sequence()))
    return Value::string(quote_url(to_string(input), false));
  std::string out;
  const auto pair = [&](const Value& key, const Value& value) {
    if (!out.empty()) out += '&';
    out += fmt::format("{}={}", quote_url(to_string(key), true), quote_url(to_string(value), true));
  };
  if (input.is_dict()) {
    for (const auto& [key, value] : input.dict().members()) pair(key, value);
  } else {
    for (const Value& item : iterate(input)) {
      if (!item.is_sequence() || item.seq().items.size() != 2) raise("urlencode needs pairs");
      pair(item.seq().items[0], item.seq().items[1]);
    }
  }
  return Value::string(std::move(out));
}

Value json(Interpreter& interpreter, const Value& input, Arguments& arguments) {
  const auto bound = arguments.bind("tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = bound[0] != nullptr && truth(*bound[0]);
  if (bound[1] != nullptr && !bound[1]->is_none()) {
    style.indent = static_cast<int>(std::clamp<Int>(int_argument("tojson", *bound[1]), 0, 1000));
    style.item_separator.assign(1, ',');
  }
  if (bound[2] != nullptr && !bound[2]->is_none()) {
    const Value& pair = *bound[2];
    if (!pair.is_sequence() || pair.seq().items.size() != 2) raise("tojson: separators must be a pair of strings");
    style.item_separator = string_argument("tojson", pair.seq().items[0]);
    style.key_separator = string_argument("tojson", pair.seq().items[1]);
  }
  style.sort_keys = bound[3] != nullptr && truth(*bound[3]);
  const std::size_t each = 8 + style.item_separator.size() + style.key_separator.size() +
                           (style.indent > 0 ? static_cast<std::size_t>(style.indent) * input.extent().depth : 0);
  const std::size_t weight = input.extent().weight;
  if (each > 64 && weight > (kWeightMax << 2U) / each) raise_limit("a value is too large");
  interpreter.charge(weight);
  return Value::string(to_json(input, style));
}

constexpr std::pair<std::string_view, Filter> kTextFilters[] = {
    {"upper", through_method<0>},
    {"lower", through_method<1>},
    {"capitalize", through_method<2>},
    {"trim", trim},
    {"title", title},
    {"replace", replace},
    {"escape", escape},
    {"e", escape},
    {"forceescape", force_escape},
    {"safe", safe},
    {"string", string},
    {"indent", indent},
    {"int", to_int},
    {"float", to_float},
    {"abs", absolute},
    {"round", round},
    {"wordcount", word_count},
    {"format", format},
    {"truncate", truncate},
    {"center", center},
    {"urlencode", url_encode},
    {"tojson", json},
};

}  // namespace

Filter find_text_filter(std::string_view name) {
  for (const auto& [known, filter] : kTextFilters) {
    if (known == name) return filter;
  }
  return nullptr;
}

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Int int_argument(std::string_view function, const Value& value) {
  if (value.is_undefined()) raise_undefined(value);
  if (!value.is_integral())
    raise(fmt::format("{}(): '{}' object cannot be interpreted as an integer", function, value.type()));
  return std::clamp<Int>(value.as_int(), -(Int{1} << 60U), Int{1} << 60U);
}

std::string string_argument(std::string_view function, const Value& value) {
  if (value.is_undefined()) raise_undefined(value);
  if (!value.is_string()) raise(fmt::format("{}() argument must be str, not {}", function, value.type()));
  return value.str();
}

}  // namespace plait::text::jinja
