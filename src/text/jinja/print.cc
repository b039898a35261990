// SPDX-License-Identifier: Apache-2.0
//
// Text forms of values: Python's str() and repr(), and json.dumps().
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "text/jinja/unicode.h"
#include "text/jinja/value.h"
#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

void check_depth(std::size_t depth) {
  if (depth > kNestingMax) raise_limit("values are nested too deeply");
}

void append_escape(std::string& out, char32_t c) {
  const auto code = static_cast<std::uint32_t>(c);
  if (c <= 0xff) {
    out += fmt::format("\\x{:02x}", code);
  } else if (c <= 0xffff) {
    out += fmt::format("\\u{:04x}", code);
  } else {
    out += fmt::format("\\U{:08x}", code);
  }
}

std::string repr_sequence(const Sequence& sequence, std::size_t depth) {
  if (sequence.kind == SequenceKind::range) {
    std::string text = fmt::format("range({}, {}", int_to_string(sequence.start), int_to_string(sequence.stop));
    if (sequence.step != 1) text += ", " + int_to_string(sequence.step);
    return text + ")";
  }
  if (sequence.kind == SequenceKind::generator) return "<generator object>";
  std::string inner;
  for (const Value& item : sequence.items) {
    if (!inner.empty()) inner += ", ";
    inner += repr(item, depth + 1);
  }
  switch (sequence.kind) {
    case SequenceKind::tuple:
      return sequence.items.size() == 1 ? fmt::format("({},)", inner) : fmt::format("({})", inner);
    case SequenceKind::keys:
      return "dict_keys([" + inner + "])";
    case SequenceKind::values:
      return "dict_values([" + inner + "])";
    case SequenceKind::items:
      return "dict_items([" + inner + "])";
    default:
      return fmt::format("[{}]", inner);
  }
}

std::string repr_dict(const Dict& dict, std::size_t depth) {
  std::string inner;
  for (const auto& [key, value] : dict.members()) {
    if (!inner.empty()) inner += ", ";
    inner += fmt::format("{}: {}", repr(key, depth + 1), repr(value, depth + 1));
  }
  return fmt::format("{{{}}}", inner);
}

std::string repr_space(const Namespace& space, std::size_t depth) {
  std::vector<std::string> names;
  for (const auto& [name, unused] : space.values) names.push_back(name);
  std::ranges::sort(names);
  std::string inner;
  for (const std::string& name : names) {
    if (!inner.empty()) inner += ", ";
    inner += fmt::format("{}: {}", repr_string(name), repr(space.values.at(name), depth + 1));
  }
  return "<Namespace {" + inner + "}>";
}

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  void write(const Value& value, int level) {
    check_depth(static_cast<std::size_t>(level));
    if (value.is_none()) {
      out += "null";
    } else if (value.is_bool()) {
      out += value.boolean() ? "true" : "false";
    } else if (value.is_int()) {
      out += int_to_string(value.as_int());
    } else if (value.is_float()) {
      write_float(value.as_double());
    } else if (value.is_string()) {
      write_string(value.str());
    } else if (value.is_sequence(SequenceKind::list) || value.is_sequence(SequenceKind::tuple)) {
      write_list(value.seq().items, level);
    } else if (value.is_dict()) {
      write_dict(value.dict(), level);
    } else {
      raise(fmt::format("Object of type {} is not JSON serializable", value.type()));
    }
  }

  std::string out;

 private:
  void write_float(double value) {
    out += std::isnan(value) ? "NaN" : std::isinf(value) ? (value > 0 ? "Infinity" : "-Infinity") : float_repr(value);
  }

  void write_string(std::string_view text) {
    out += '"';
    for (std::size_t at = 0; at < text.size();) write_character(next_valid(text, at));
    out += '"';
  }

  void write_character(char32_t c) {
    constexpr std::string_view kShort = "\"\\\n\r\t\f\b";
    constexpr std::string_view kLetters = "\"\\nrtfb";
    const auto found = c < 0x80 ? kShort.find(static_cast<char>(c)) : std::string_view::npos;
    if (found != std::string_view::npos) {
      out += '\\';
      out += kLetters[found];
    } else if (c < 0x20 || (style_.ascii && c > 0x7e && c <= 0xffff)) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
    } else if (style_.ascii && c > 0xffff) {
      const auto high = static_cast<std::uint32_t>(c) - 0x10000U;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800U + (high >> 10U), 0xdc00U + (high & 0x3ffU));
    } else {
      append(out, c);
    }
  }

  void line(int level) {
    if (style_.indent < 0) return;
    out += '\n';
    out.append(static_cast<std::size_t>(style_.indent) * static_cast<std::size_t>(level), ' ');
  }

  void write_list(const std::vector<Value>& items, int level) {
    if (items.empty()) {
      out += "[]";
      return;
    }
    out += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += style_.item_separator;
      line(level + 1);
      write(items[i], level + 1);
    }
    line(level);
    out += ']';
  }

  static std::string key_text(const Value& key) {
    if (key.is_string()) return key.str();
    if (key.is_bool()) return key.boolean() ? "true" : "false";
    if (key.is_none()) return "null";
    if (key.is_int()) return int_to_string(key.as_int());
    if (key.is_float()) return float_repr(key.as_double());
    raise(fmt::format("keys must be str, int, float, bool or None, not {}", key.type()));
  }

  void write_dict(const Dict& dict, int level) {
    if (dict.size() == 0) {
      out += "{}";
      return;
    }
    std::vector<const Dict::Member*> members;
    for (const Dict::Member& member : dict.members()) members.push_back(&member);
    if (style_.sort_keys) {
      std::ranges::stable_sort(members, [](const auto* a, const auto* b) { return compare(a->first, b->first) < 0; });
    }
    out += '{';
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i > 0) out += style_.item_separator;
      line(level + 1);
      write_string(key_text(members[i]->first));
      out += style_.key_separator;
      write(members[i]->second, level + 1);
    }
    line(level);
    out += '}';
  }

  const JsonStyle& style_;
};

}  // namespace

std::string int_to_string(Int value) {
  std::array<char, 48> digits{};
  std::size_t at = digits.size();
  __extension__ using Unsigned = unsigned __int128;
  auto rest = value < 0 ? Unsigned{0} - static_cast<Unsigned>(value) : static_cast<Unsigned>(value);
  do {
    digits[--at] = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  } while (rest != 0);
  if (value < 0) digits[--at] = '-';
  return {digits.data() + at, digits.size() - at};
}

// The shortest digits that read back as the same number; an exponent below 1e-4 and from 1e16.
std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const std::size_t e = text.find('e');
  int exponent = 0;
  const std::string_view tail = text.substr(text[e + 1] == '+' ? e + 2 : e + 1);
  std::from_chars(tail.data(), tail.data() + tail.size(), exponent);
  if (exponent < -4 || exponent >= 16) {
    return fmt::format("{}e{}{:02}", text.substr(0, e), exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  std::array<char, 64> plain{};
  const auto stop = std::to_chars(plain.data(), plain.data() + plain.size(), value, std::chars_format::fixed).ptr;
  std::string fixed(plain.data(), static_cast<std::size_t>(stop - plain.data()));
  if (fixed.find('.') == std::string::npos) fixed += ".0";
  return fixed;
}

std::string repr_string(std::string_view text) {
  const bool single = text.find('\'') == std::string_view::npos || text.find('"') != std::string_view::npos;
  const char32_t quote = single ? '\'' : '"';
  std::string out(1, static_cast<char>(quote));
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_valid(text, at);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == quote || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (!is_printable(c)) {
      append_escape(out, c);
    } else {
      append(out, c);
    }
  }
  return out + static_cast<char>(quote);
}

std::string repr(const Value& value, std::size_t depth) {
  check_depth(depth);
  if (value.is_string()) {
    return value.text().markup ? "Markup(" + repr_string(value.str()) + ")" : repr_string(value.str());
  }
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.boolean() ? "True" : "False";
  if (value.is_int()) return int_to_string(value.as_int());
  if (value.is_float()) return float_repr(value.as_double());
  if (value.is_sequence()) return repr_sequence(value.seq(), depth);
  if (value.is_dict()) return repr_dict(value.dict(), depth);
  if (value.is_object(Object::Kind::space)) {
    // Namespaces may hold themselves, so one within another container is not followed.
    if (depth > 0) raise_limit("a namespace inside another value has no text");
    return repr_space(static_cast<const Namespace&>(*value.object()), depth);
  }
  return fmt::format("<{}>", value.type());
}

std::string to_string(const Value& value) {
  if (value.is_string()) return value.str();
  if (value.is_undefined()) return {};
  return repr(value);
}

std::string to_json(const Value& value, const JsonStyle& style) {
  JsonWriter writer(style);
  writer.write(value, 0);
  return std::move(writer.out);
}

}  // namespace plait::text::jinja
