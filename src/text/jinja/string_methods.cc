// SPDX-License-Identifier: Apache-2.0
//
// Methods of strings, with Python's meaning: positions and widths count code points.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

using Method = Value (*)(Interpreter&, const Text& self, Arguments&);

Value like(const Text& self, std::string text) { return Value::string(std::move(text), self.markup); }

template <std::string (*convert)(std::string_view)>
Value converted(Interpreter&, const Text& self, Arguments& arguments) {
  arguments.none("str method");
  return like(self, convert(self.bytes));
}

std::string capitalised(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const bool first = at == 0;
    const char32_t c = next_valid(text, at);
    if (first) {
      append_upper(out, c);
    } else {
      append_lower(out, c);
    }
  }
  return out;
}

std::string titled(std::string_view text) {
  std::string out;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_valid(text, at);
    const bool cased = is_upper(c) || is_lower(c);
    if (cased && !inside) {
      append_upper(out, c);
    } else {
      append_lower(out, c);
    }
    inside = cased;
  }
  return out;
}

std::string swapped(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_valid(text, at);
    if (is_upper(c)) {
      append_lower(out, c);
    } else {
      append_upper(out, c);
    }
  }
  return out;
}

std::string_view strip_of(std::string_view text, std::string_view chars, bool left, bool right) {
  const auto listed = [&](std::string_view character) { return chars.find(character) != std::string_view::npos; };
  while (left && !text.empty()) {
    std::size_t at = 0;
    static_cast<void>(next_valid(text, at));
    if (!listed(text.substr(0, at))) break;
    text.remove_prefix(at);
  }
  while (right && !text.empty()) {
    std::size_t begin = text.size() - 1;
    while ((static_cast<unsigned char>(text[begin]) & 0xc0U) == 0x80U) --begin;
    if (!listed(text.substr(begin))) break;
    text = text.substr(0, begin);
  }
  return text;
}

template <bool left, bool right>
Value strip(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("strip", {"chars"});
  std::string_view text = self.bytes;
  if (bound[0] == nullptr || bound[0]->is_none()) {
    if (left) text = strip_left(text);
    if (right) text = strip_right(text);
  } else {
    const std::string chars = string_argument("strip", *bound[0]);
    const std::size_t before = text.size();
    text = strip_of(text, chars, left, right);
    interpreter.charge((before - text.size()) * chars.size());
  }
  return like(self, std::string(text));
}

// Tuple of alternatives or one string, within optional bounds.
template <bool at_end>
Value has_affix(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind(at_end ? "endswith" : "startswith", {"affix", "start", "end"}, 1);
  std::string_view text = self.bytes;
  Value part;
  if (bound[1] != nullptr || bound[2] != nullptr) {
    part = slice(interpreter, Value::string(self.bytes), bound[1] == nullptr ? Value() : *bound[1],
                 bound[2] == nullptr ? Value() : *bound[2], {});
    text = part.str();
    if (bound[1] != nullptr && bound[1]->is_integral() && bound[1]->as_int() > static_cast<Int>(self.length)) {
      return Value(false);
    }
  }
  const auto matches = [&](const Value& affix) {
    if (!affix.is_string()) {
      if (affix.is_undefined()) raise_undefined(affix);
      raise("startswith/endswith first arg must be str or a tuple of str");
    }
    return at_end ? text.ends_with(affix.str()) : text.starts_with(affix.str());
  };
  if (!bound[0]->is_sequence(SequenceKind::tuple)) return Value(matches(*bound[0]));
  return Value(std::ranges::any_of(bound[0]->seq().items, matches));
}

Value split_space(Interpreter& interpreter, const Text& self, Int most) {
  std::vector<Value> parts;
  std::string_view rest = strip_left(self.bytes);
  while (!rest.empty()) {
    interpreter.charge(sizeof(Value));
    if (most >= 0 && static_cast<Int>(parts.size()) >= most) {
      parts.push_back(Value::string(std::string(strip_right(rest))));
      if (strip_right(rest).size() != rest.size()) parts.back() = Value::string(std::string(rest));
      return Value::list(std::move(parts));
    }
    std::size_t end = 0;
    for (std::size_t at = 0; at < rest.size(); end = at) {
      if (is_space(next_valid(rest, at))) break;
    }
    parts.push_back(Value::string(std::string(rest.substr(0, end))));
    rest = strip_left(rest.substr(end));
  }
  return Value::list(std::move(parts));
}

Value rsplit_space(Interpreter& interpreter, const Text& self, Int most) {
  std::vector<Value> parts;
  std::string_view rest = strip_right(self.bytes);
  while (!rest.empty()) {
    interpreter.charge(sizeof(Value));
    std::size_t begin = rest.size();
    while (begin > 0 && (most < 0 || static_cast<Int>(parts.size()) < most)) {
      std::size_t before = begin - 1;
      while ((static_cast<unsigned char>(rest[before]) & 0xc0U) == 0x80U) --before;
      std::size_t at = before;
      if (is_space(next_valid(rest, at))) break;
      begin = before;
    }
    if (begin == rest.size()) {  // no more cuts are allowed
      parts.push_back(Value::string(std::string(rest)));
      break;
    }
    parts.push_back(Value::string(std::string(rest.substr(begin))));
    rest = strip_right(rest.substr(0, begin));
  }
  std::ranges::reverse(parts);
  return Value::list(std::move(parts));
}

template <bool from_right>
Value split(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("split", {"sep", "maxsplit"});
  const Int most = bound[1] == nullptr ? -1 : int_argument("split", *bound[1]);
  if (bound[0] == nullptr || bound[0]->is_none()) {
    return from_right ? rsplit_space(interpreter, self, most) : split_space(interpreter, self, most);
  }
  const std::string separator = string_argument("split", *bound[0]);
  if (separator.empty()) raise("empty separator");
  std::vector<Value> parts;
  std::string_view rest = self.bytes;
  while (most < 0 || static_cast<Int>(parts.size()) < most) {
    const std::size_t found = from_right ? rest.rfind(separator) : rest.find(separator);
    if (found == std::string_view::npos) break;
    interpreter.charge(sizeof(Value));
    const std::string_view after = rest.substr(found + separator.size());
    parts.push_back(Value::string(std::string(from_right ? after : rest.substr(0, found))));
    rest = from_right ? rest.substr(0, found) : after;
  }
  parts.push_back(Value::string(std::string(rest)));
  if (from_right) std::ranges::reverse(parts);
  return Value::list(std::move(parts));
}

Value split_lines(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("splitlines", {"keepends"});
  const bool keep = bound[0] != nullptr && truth(*bound[0]);
  std::vector<Value> lines;
  const std::string& text = self.bytes;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = at;
    const char32_t c = next_valid(text, at);
    const bool ends = (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!ends) continue;
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    interpreter.charge(sizeof(Value));
    lines.push_back(Value::string(text.substr(begin, (keep ? at : end) - begin)));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(Value::string(text.substr(begin)));
  return Value::list(std::move(lines));
}

template <bool from_right>
Value partition(Interpreter&, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("partition", {"sep"}, 1);
  const std::string separator = string_argument("partition", *bound[0]);
  if (separator.empty()) raise("empty separator");
  const std::size_t found = from_right ? self.bytes.rfind(separator) : self.bytes.find(separator);
  const Value none = Value::string({});
  if (found == std::string::npos) {
    const Value whole = Value::string(self.bytes);
    return from_right ? Value::tuple({none, none, whole}) : Value::tuple({whole, none, none});
  }
  return Value::tuple({Value::string(self.bytes.substr(0, found)), Value::string(separator),
                       Value::string(self.bytes.substr(found + separator.size()))});
}

Value replace(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("replace", {"old", "new", "count"}, 2);
  const Int count = bound[2] == nullptr ? -1 : int_argument("replace", *bound[2]);
  return like(self, replace_all(interpreter, self.bytes, string_argument("replace", *bound[0]),
                                string_argument("replace", *bound[1]), count));
}

// Position in code points of `needle` within optional bounds, or -1.
template <bool from_right, bool raises>
Value find(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("find", {"sub", "start", "end"}, 1);
  const std::string needle = string_argument("find", *bound[0]);
  const Value part = slice(interpreter, Value::string(self.bytes), bound[1] == nullptr ? Value() : *bound[1],
                           bound[2] == nullptr ? Value() : *bound[2], {});
  Int start = bound[1] == nullptr || bound[1]->is_none() ? 0 : int_argument("find", *bound[1]);
  if (start < 0) start = std::max<Int>(0, start + static_cast<Int>(self.length));
  const std::string& text = part.str();
  const std::size_t found = start > static_cast<Int>(self.length) ? std::string::npos
                            : from_right                          ? text.rfind(needle)
                                                                  : text.find(needle);
  if (found == std::string::npos) {
    if (raises) raise("substring not found");
    return Value::integer(-1);
  }
  return Value::integer(start + static_cast<Int>(count_code_points(std::string_view(text).substr(0, found))));
}

Value count(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("count", {"sub", "start", "end"}, 1);
  const std::string needle = string_argument("count", *bound[0]);
  const Value part = slice(interpreter, Value::string(self.bytes), bound[1] == nullptr ? Value() : *bound[1],
                           bound[2] == nullptr ? Value() : *bound[2], {});
  if (needle.empty()) return Value::count(part.text().length + 1);
  std::size_t times = 0;
  for (std::size_t at = part.str().find(needle); at != std::string::npos;
       at = part.str().find(needle, at + needle.size())) {
    ++times;
  }
  return Value::count(times);
}

Value join(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("join", {"iterable"}, 1);
  interpreter.charge_shallow(*bound[0]);
  std::string out;
  bool first = true;
  for (const Value& item : iterate(*bound[0])) {
    if (!item.is_string()) raise(fmt::format("sequence item: expected str instance, {} found", item.type()));
    if (!std::exchange(first, false)) out += self.bytes;
    out += item.str();
    interpreter.charge(item.str().size() + self.bytes.size());
    if (out.size() > kWeightMax) raise_limit("a value is too large");
  }
  return like(self, std::move(out));
}

// -1: left, 0: centre, 1: right
template <int side>
Value justify(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("justify", {"width", "fillchar"}, 1);
  const Int width = int_argument("justify", *bound[0]);
  const std::string fill = bound[1] == nullptr ? " " : string_argument("justify", *bound[1]);
  if (count_code_points(fill) != 1) raise("The fill character must be exactly one character long");
  if (width <= static_cast<Int>(self.length)) return like(self, self.bytes);
  if (width > static_cast<Int>(kWeightMax / 4)) raise_limit("a value is too large");
  const std::size_t pad = static_cast<std::size_t>(width) - self.length;
  interpreter.charge(pad * fill.size());
  // The odd one goes to the left if the width is odd, as CPython does.
  const std::size_t left = side < 0 ? 0 : side > 0 ? pad : pad / 2 + (pad & static_cast<std::size_t>(width) & 1U);
  std::string out;
  for (std::size_t i = 0; i < left; ++i) out += fill;
  out += self.bytes;
  for (std::size_t i = left; i < pad; ++i) out += fill;
  return like(self, std::move(out));
}

Value zero_fill(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("zfill", {"width"}, 1);
  const Int width = int_argument("zfill", *bound[0]);
  if (width <= static_cast<Int>(self.length)) return like(self, self.bytes);
  if (width > static_cast<Int>(kWeightMax / 4)) raise_limit("a value is too large");
  const std::size_t pad = static_cast<std::size_t>(width) - self.length;
  interpreter.charge(pad);
  const bool sign = self.bytes.starts_with('-') || self.bytes.starts_with('+');
  return like(self, self.bytes.substr(0, sign ? 1 : 0) + std::string(pad, '0') + self.bytes.substr(sign ? 1 : 0));
}

template <bool prefix>
Value remove_affix(Interpreter&, const Text& self, Arguments& arguments) {
  const auto bound = arguments.bind("removeprefix", {"affix"}, 1);
  const std::string affix = string_argument("removeprefix", *bound[0]);
  std::string_view text = self.bytes;
  if (prefix && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (!prefix && text.ends_with(affix)) text.remove_suffix(affix.size());
  return like(self, std::string(text));
}

// True if every character satisfies and there is one.
template <bool (*predicate)(char32_t)>
Value every(Interpreter&, const Text& self, Arguments& arguments) {
  arguments.none("str method");
  for (std::size_t at = 0; at < self.bytes.size();) {
    if (!predicate(next_valid(self.bytes, at))) return Value(false);
  }
  return Value(!self.bytes.empty());
}

bool is_alnum(char32_t c) { return is_alpha(c) || is_decimal(c); }
bool is_ascii(char32_t c) { return c < 0x80; }

template <bool wanted>
Value cased(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  return Value(apply_test(interpreter, wanted ? "upper" : "lower", Value::string(self.bytes), arguments));
}

Value format(Interpreter& interpreter, const Text& self, Arguments& arguments) {
  return like(self, format_braces(interpreter, self.bytes, arguments));
}

constexpr std::pair<std::string_view, Method> kMethods[] = {
    {"upper", converted<upper>},
    {"lower", converted<lower>},
    {"casefold", converted<lower>},
    {"capitalize", converted<capitalised>},
    {"title", converted<titled>},
    {"swapcase", converted<swapped>},
    {"strip", strip<true, true>},
    {"lstrip", strip<true, false>},
    {"rstrip", strip<false, true>},
    {"startswith", has_affix<false>},
    {"endswith", has_affix<true>},
    {"split", split<false>},
    {"rsplit", split<true>},
    {"splitlines", split_lines},
    {"partition", partition<false>},
    {"rpartition", partition<true>},
    {"replace", replace},
    {"find", find<false, false>},
    {"rfind", find<true, false>},
    {"index", find<false, true>},
    {"rindex", find<true, true>},
    {"count", count},
    {"join", join},
    {"ljust", justify<-1>},
    {"center", justify<0>},
    {"rjust", justify<1>},
    {"zfill", zero_fill},
    {"removeprefix", remove_affix<true>},
    {"removesuffix", remove_affix<false>},
    {"isalpha", every<is_alpha>},
    {"isalnum", every<is_alnum>},
    {"isdigit", every<is_decimal>},
    {"isdecimal", every<is_decimal>},
    {"isnumeric", every<is_decimal>},
    {"isspace", every<is_space>},
    {"isascii", every<is_ascii>},
    {"isupper", cased<true>},
    {"islower", cased<false>},
    {"format", format},
};

}  // namespace

std::optional<Value> find_string_method(const Value& self, std::string_view name) {
  for (const auto& [known, method] : kMethods) {
    if (known != name) continue;
    return Value::function(
        std::string(name),
        [self, function = method](Interpreter& interpreter, Arguments& arguments) {
          interpreter.charge(self.str().size());
          Value result = function(interpreter, self.text(), arguments);
          interpreter.charge_shallow(result);
          return result;
        },
        &self);
  }
  return std::nullopt;
}

std::string replace_all(Interpreter& interpreter, std::string_view text, std::string_view from, std::string_view to,
                        Int count) {
  std::string out;
  std::size_t at = 0;
  for (Int done = 0; count < 0 || done < count; ++done) {
    std::size_t found = at;
    if (from.empty()) {  // before every character and at the end
      if (done > 0) {
        if (at >= text.size()) break;
        static_cast<void>(next_valid(text, found));
      }
    } else {
      found = text.find(from, at);
      if (found == std::string_view::npos) break;
    }
    interpreter.charge(found - at + to.size());
    out += text.substr(at, found - at);
    out += to;
    if (out.size() > kWeightMax) raise_limit("a value is too large");
    at = found + from.size();
  }
  out += text.substr(at);
  interpreter.charge(out.size());
  return out;
}

}  // namespace plait::text::jinja
