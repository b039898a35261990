// SPDX-License-Identifier: Apache-2.0
//
// Python's two ways of formatting: `"%s" % x` and `"{}".format(x)`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

constexpr int kWidthMax = 1'000'000;

// What both ways know of a field.
struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  char grouping = '\0';
  int width = 0;
  int precision = -1;
  char type = '\0';
};

std::string pad(std::string text, const Spec& spec, char absent, std::size_t prefix) {
  const std::size_t length = count_code_points(text);
  const auto width = static_cast<std::size_t>(spec.width);
  if (length >= width) return text;
  const std::size_t missing = width - length;
  const char align = spec.align == '\0' ? absent : spec.align;
  const std::size_t before = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  std::string left;
  std::string right;
  for (std::size_t i = 0; i < before; ++i) left += spec.fill;
  for (std::size_t i = before; i < missing; ++i) right += spec.fill;
  if (align == '=') return fmt::format("{}{}{}{}", text.substr(0, prefix), left, text.substr(prefix), right);
  return fmt::format("{}{}{}", left, text, right);
}

std::string group(std::string_view digits, char separator, std::size_t every) {
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % every == 0) out += separator;
    out += digits[i];
  }
  return out;
}

std::string in_base(Int magnitude, int base, bool capital) {
  std::string digits;
  do {
    const int digit = static_cast<int>(magnitude % base);
    digits += static_cast<char>(digit < 10 ? '0' + digit : (capital ? 'A' : 'a') + digit - 10);
    magnitude /= base;
  } while (magnitude != 0);
  std::ranges::reverse(digits);
  return digits;
}

std::string sign_of(bool negative, char sign) { return negative ? "-" : sign == '+' ? "+" : sign == ' ' ? " " : ""; }

std::string format_int(Int value, const Spec& spec) {
  const char type = spec.type == '\0' || spec.type == 'i' || spec.type == 'u' ? 'd' : spec.type;
  const int base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  if (value == static_cast<Int>(1) << 127) raise_limit("a whole number has more than 128 bits");
  std::string digits = in_base(value < 0 ? -value : value, base, type == 'X');
  if (spec.precision > static_cast<int>(digits.size())) {
    digits = std::string(static_cast<std::size_t>(spec.precision) - digits.size(), '0').append(digits);
  }
  if (spec.grouping != '\0') digits = group(digits, spec.grouping, base == 10 ? 3 : 4);
  std::string prefix = sign_of(value < 0, spec.sign);
  if (spec.alternate && base != 10) prefix += fmt::format("0{}", type);
  return pad(prefix + digits, spec, '>', prefix.size());
}

std::string float_digits(double magnitude, const Spec& spec) {
  const char lower = static_cast<char>(spec.type | 0x20);
  const int precision = std::min(spec.precision < 0 ? 6 : spec.precision, 1000);
  std::string text;
  if (!std::isfinite(magnitude)) {
    text.assign(std::isnan(magnitude) ? "nan" : "inf", 3);
  } else if (spec.type == '\0' && spec.precision < 0) {
    text = float_repr(magnitude);
  } else if (lower == 'f' || lower == '%') {
    text =
        spec.alternate ? fmt::format("{:#.{}f}", magnitude, precision) : fmt::format("{:.{}f}", magnitude, precision);
  } else if (lower == 'e') {
    text =
        spec.alternate ? fmt::format("{:#.{}e}", magnitude, precision) : fmt::format("{:.{}e}", magnitude, precision);
  } else {
    const int digits = std::max(precision, 1);
    text = spec.alternate ? fmt::format("{:#.{}g}", magnitude, digits) : fmt::format("{:.{}g}", magnitude, digits);
  }
  return spec.type >= 'A' && spec.type <= 'Z' ? upper(text) : text;
}

std::string format_float(double value, Spec spec) {
  const bool percent = spec.type == '%';
  const bool negative = std::signbit(value) && !std::isnan(value);
  std::string digits = float_digits(std::abs(percent ? value * 100 : value), spec);
  if (spec.grouping != '\0') {
    const std::size_t end = digits.find_first_of(".en");
    const std::string tail = end == std::string::npos ? std::string() : digits.substr(end);
    digits = group(digits.substr(0, end), spec.grouping, 3) + tail;
  }
  if (percent) digits += '%';
  if (!std::isfinite(value) && spec.zero && spec.align != '=') spec.fill.assign(1, ' ');
  const std::string prefix = sign_of(negative, spec.sign);
  return pad(prefix + digits, spec, '>', prefix.size());
}

std::string cut(std::string text, int precision) {
  if (precision < 0) return text;
  std::size_t at = 0;
  for (int i = 0; i < precision && at < text.size(); ++i) static_cast<void>(next_valid(text, at));
  text.resize(at);
  return text;
}

int read_number(std::string_view text, std::size_t& at) {
  int value = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    value = value * 10 + (text[at++] - '0');
    if (value > kWidthMax) raise_limit("a format asks for too much");
  }
  return value;
}

// ---- %-formatting

class Percent {
 public:
  Percent(Interpreter& interpreter, const Value& format, const Value& arguments)
      : interpreter_(interpreter), text_(format.str()), markup_(format.text().markup), arguments_(arguments) {
    if (arguments.is_sequence(SequenceKind::tuple)) tuple_ = &arguments.seq().items;
  }

  std::string run() {
    while (at_ < text_.size()) {
      const std::size_t percent = std::min(text_.find('%', at_), text_.size());
      out_.append(text_, at_, percent - at_);
      at_ = percent;
      if (at_ < text_.size()) field();
      if (out_.size() > kWeightMax) raise_limit("a value is too large");
    }
    const bool all_used = tuple_ != nullptr ? next_ >= tuple_->size() : next_ > 0 || arguments_.is_dict() || is_list();
    if (!all_used) raise("not all arguments converted during string formatting");
    interpreter_.charge(out_.size());
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool is_list() const { return arguments_.is_sequence(); }

  const Value& next() {
    const std::size_t size = tuple_ != nullptr ? tuple_->size() : 1;
    if (next_ >= size) raise("not enough arguments for format string");
    ++next_;
    return tuple_ != nullptr ? (*tuple_)[next_ - 1] : arguments_;
  }

  int number_or_star() {
    if (at_ >= text_.size() || text_[at_] != '*') return read_number(text_, at_);
    ++at_;
    const Int value = int_argument("%", next());
    if (value > kWidthMax || value < -kWidthMax) raise_limit("a format asks for too much");
    return static_cast<int>(value);
  }

  std::optional<Value> named() {
    if (at_ >= text_.size() || text_[at_] != '(') return std::nullopt;
    const std::size_t end = text_.find(')', at_);
    if (end == std::string::npos) raise("incomplete format key");
    if (!arguments_.is_dict()) raise("format requires a mapping");
    const std::string key = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    const Value* found = arguments_.dict().find(std::string_view(key));
    if (found == nullptr) raise(repr_string(key));
    return *found;
  }

  void field() {
    ++at_;
    std::optional<Value> value = named();
    Spec spec;
    for (; at_ < text_.size() && std::string_view("#0- +").contains(text_[at_]); ++at_) {
      const char flag = text_[at_];
      if (flag == '#') spec.alternate = true;
      if (flag == '0') spec.zero = true;
      if (flag == '-') spec.align = '<';
      if (flag == '+' || (flag == ' ' && spec.sign != '+')) spec.sign = flag;
    }
    spec.width = number_or_star();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      spec.precision = std::max(number_or_star(), 0);
    }
    while (at_ < text_.size() && std::string_view("hlL").contains(text_[at_])) ++at_;
    if (at_ >= text_.size()) raise("incomplete format");
    spec.type = text_[at_++];
    if (spec.type == '%') {
      out_ += '%';
      return;
    }
    out_ += convert(value ? *value : next(), spec);
  }

  std::string convert(const Value& value, Spec spec) {
    interpreter_.charge(value);
    switch (spec.type) {
      case 's':
      case 'r':
      case 'a': {
        std::string text = spec.type == 's' ? to_string(value) : repr(value);
        const bool safe = value.is_string() && value.text().markup;
        if (markup_ && !safe) text = escape_html(text);
        return pad(cut(std::move(text), spec.precision), spec, '>', 0);
      }
      case 'c':
        if (value.is_string() && value.text().length == 1) return pad(value.str(), spec, '>', 0);
        raise("%c requires int or char");
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        break;
      default:
        raise(fmt::format("unsupported format character '{}'", spec.type));
    }
    if (value.is_undefined()) raise_undefined(value);
    if (!value.is_number())
      raise(fmt::format("%{} format: a real number is required, not {}", spec.type, value.type()));
    if (spec.zero && spec.align == '\0') {
      spec.fill.assign(1, '0');
      spec.align = '=';
    }
    const bool whole = std::string_view("diuxXo").contains(spec.type);
    if (!whole) return format_float(value.as_double(), spec);
    if (value.is_integral()) return format_int(value.as_int(), spec);
    if (!std::string_view("diu").contains(spec.type)) raise("an integer is required, not float");
    if (!(std::abs(value.as_double()) < 0x1p126)) raise("cannot convert float to integer");
    return format_int(static_cast<Int>(value.as_double()), spec);
  }

  Interpreter& interpreter_;
  const std::string& text_;
  bool markup_;
  const Value& arguments_;
  const std::vector<Value>* tuple_ = nullptr;
  std::size_t next_ = 0;
  std::size_t at_ = 0;
  std::string out_;
};

// ---- str.format

Spec parse_spec(std::string_view text) {
  Spec spec;
  std::size_t at = 0;
  std::size_t first = 0;
  if (!text.empty()) static_cast<void>(next_valid(text, first));
  const auto is_align = [&](std::size_t i) { return i < text.size() && std::string_view("<>=^").contains(text[i]); };
  if (!text.empty() && is_align(first)) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    at = first + 1;
  } else if (is_align(0)) {
    spec.align = text[0];
    at = 1;
  }
  const auto skip = [&](std::string_view accepted) {
    return at < text.size() && accepted.contains(text[at]) ? text[at++] : '\0';
  };
  if (const char sign = skip("+- ")) spec.sign = sign;
  spec.alternate = skip("#") != '\0';
  if (skip("0") != '\0') {
    spec.zero = true;
    if (spec.align == '\0') {
      spec.fill.assign(1, '0');
      spec.align = '=';
    }
  }
  spec.width = read_number(text, at);
  spec.grouping = skip(",_");
  if (skip(".") != '\0') {
    if (at >= text.size() || text[at] < '0' || text[at] > '9') raise("Format specifier missing precision");
    spec.precision = read_number(text, at);
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) raise("Invalid format specifier");
  return spec;
}

std::string format_value(const Value& value, std::string_view text) {
  if (text.empty()) return to_string(value);
  Spec spec = parse_spec(text);
  if (value.is_string()) {
    if ((spec.type != '\0' && spec.type != 's') || spec.align == '=' || spec.sign != '-' || spec.alternate) {
      if (!(spec.zero && spec.align == '=' && (spec.type == '\0' || spec.type == 's')))
        raise("Invalid format specifier for str");
      spec.align = '<';
    }
    return pad(cut(value.str(), spec.precision), spec, '<', 0);
  }
  if (!value.is_number()) raise(fmt::format("unsupported format string passed to {}.__format__", value.type()));
  if (value.is_bool() && spec.type == '\0') return pad(cut(to_string(value), spec.precision), spec, '>', 0);
  const bool float_type = spec.type != '\0' && std::string_view("eEfFgG%").contains(spec.type);
  const bool int_type = spec.type == '\0' || std::string_view("bdoxXn").contains(spec.type);
  if (!float_type && !(int_type && (spec.type == '\0' || value.is_integral()))) {
    raise(fmt::format("Unknown format code '{}' for object of type '{}'", spec.type, value.type()));
  }
  if (value.is_float() || float_type) return format_float(value.as_double(), spec);
  if (spec.precision >= 0) raise("Precision not allowed in integer format specifier");
  if (spec.type == 'n') spec.type = 'd';
  return format_int(value.as_int(), spec);
}

class Braces {
 public:
  Braces(Interpreter& interpreter, const Arguments& arguments) : interpreter_(interpreter), arguments_(arguments) {}

  std::string run(std::string_view text, int depth) {
    if (depth > 2) raise("Max string recursion exceeded");
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
      const char c = text[at];
      const bool doubled = at + 1 < text.size() && text[at + 1] == c;
      if ((c == '{' || c == '}') && doubled && !(depth > 1)) {
        out += c;
        ++at;
      } else if (c == '}') {
        raise("Single '}' encountered in format string");
      } else if (c == '{') {
        const std::size_t end = closing(text, at);
        out += field(text.substr(at + 1, end - at - 1), depth);
        at = end;
      } else {
        out += c;
      }
      if (out.size() > kWeightMax) raise_limit("a value is too large");
    }
    return out;
  }

 private:
  static std::size_t closing(std::string_view text, std::size_t at) {
    int open = 0;
    for (; at < text.size(); ++at) {
      if (text[at] == '{') ++open;
      if (text[at] == '}' && --open == 0) return at;
    }
    raise("expected '}' before end of string");
  }

  std::string field(std::string_view text, int depth) {
    const std::size_t mark = std::min(text.find_first_of("!:"), text.size());
    const Value value = find(text.substr(0, mark));
    interpreter_.charge(value);
    std::string_view rest = text.substr(mark);
    char conversion = '\0';
    if (rest.starts_with('!')) {
      if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':')) raise("expected ':' after conversion specifier");
      conversion = rest[1];
      rest.remove_prefix(2);
    }
    const std::string spec = rest.empty() ? std::string() : run(rest.substr(1), depth + 1);
    if (conversion == 'r') return format_value(Value::string(repr(value)), spec);
    if (conversion == 's') return format_value(Value::string(to_string(value)), spec);
    if (conversion != '\0') raise(fmt::format("Unknown conversion specifier '{}'", conversion));
    return format_value(value, spec);
  }

  Value find(std::string_view path) {
    const std::size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = root(path.substr(0, end));
    for (std::size_t at = end; at < path.size();) {
      const bool index = path[at] == '[';
      const std::size_t stop = index ? path.find(']', at) : std::min(path.find_first_of(".[", at + 1), path.size());
      if (stop == std::string_view::npos) raise("Missing ']' in format string");
      const std::string name(path.substr(at + 1, stop - at - 1));
      if (name.empty()) raise("Empty attribute in format string");
      const bool number = index && name.size() < 10 && name.find_first_not_of("0123456789") == std::string::npos;
      value = index ? interpreter_.subscript(value, number ? Value::integer(std::stoi(name)) : Value::string(name))
                    : interpreter_.attribute(value, name);
      at = index ? stop + 1 : stop;
    }
    return value;
  }

  Value root(std::string_view name) {
    std::size_t at = 0;
    const int number = read_number(name, at);
    if (at == name.size()) {
      if (automatic_ && *automatic_ != name.empty()) raise("cannot mix automatic and manual field numbering");
      automatic_ = name.empty();
      const std::size_t index = name.empty() ? next_++ : static_cast<std::size_t>(number);
      if (index >= arguments_.positional.size()) raise("Replacement index out of range for positional args tuple");
      return arguments_.positional[index];
    }
    for (const auto& [known, value] : arguments_.keywords) {
      if (known == name) return value;
    }
    raise(repr_string(name));
  }

  Interpreter& interpreter_;
  const Arguments& arguments_;
  std::size_t next_ = 0;
  std::optional<bool> automatic_;
};

}  // namespace

Value format_percent(Interpreter& interpreter, const Value& format, const Value& arguments) {
  return Value::string(Percent(interpreter, format, arguments).run(), format.text().markup);
}

std::string format_braces(Interpreter& interpreter, std::string_view format, const Arguments& arguments) {
  return Braces(interpreter, arguments).run(format, 1);
}

}  // namespace plait::text::jinja
