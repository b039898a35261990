// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/unicode.h"

#include <algorithm>
#include <iterator>

#include "text/jinja/unicode_tables.h"
#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

// The last row that begins at or before c, or null.
template <class Row, std::size_t n, class Key>
const Row* row_of(const Row (&table)[n], char32_t c, Key key) {
  const Row* after = std::upper_bound(std::begin(table), std::end(table), c,
                                      [&](char32_t code, const Row& row) { return code < row.*key; });
  return after == std::begin(table) ? nullptr : after - 1;
}

template <std::size_t n>
bool in_table(const CodeRange (&table)[n], char32_t c) {
  const CodeRange* row = row_of(table, c, &CodeRange::first);
  return row != nullptr && c <= row->last;
}

template <std::size_t n>
char32_t mapped(const CaseRun (&table)[n], char32_t c) {
  // Runs with step 2 may interleave with the run before them.
  for (const CaseRun* row = row_of(table, c, &CaseRun::first); row != nullptr; --row) {
    if (c <= row->last && (c - row->first) % static_cast<char32_t>(row->step) == 0) {
      return static_cast<char32_t>(static_cast<std::int32_t>(c) + row->delta);
    }
    if (row == std::begin(table) || row_of(table, c, &CaseRun::first) - row >= 2) break;
  }
  return c;
}

bool ascii_between(char32_t c, char32_t low, char32_t high) { return c >= low && c <= high; }

}  // namespace

bool is_printable(char32_t c) { return c < 0x80 ? c >= 0x20 && c < 0x7f : !in_table(kNotPrintable, c); }
bool is_space(char32_t c) {
  return c < 0x80 ? c == ' ' || ascii_between(c, 0x09, 0x0d) || ascii_between(c, 0x1c, 0x1f) : in_table(kSpaces, c);
}
bool is_upper(char32_t c) { return c < 0x80 ? ascii_between(c, 'A', 'Z') : mapped(kToLower, c) != c; }
bool is_lower(char32_t c) {
  if (c < 0x80) return ascii_between(c, 'a', 'z');
  const CaseSpecial* row = row_of(kUpperSpecial, c, &CaseSpecial::from);
  return mapped(kToUpper, c) != c || (row != nullptr && row->from == c);
}
bool is_alpha(char32_t c) { return c < 0x80 ? is_upper(c) || is_lower(c) : in_table(kAlphabetic, c); }
bool is_decimal(char32_t c) { return c < 0x80 ? ascii_between(c, '0', '9') : in_table(kDecimal, c); }

void append_upper(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(is_lower(c) ? c - 32 : c);
    return;
  }
  const CaseSpecial* row = row_of(kUpperSpecial, c, &CaseSpecial::from);
  if (row != nullptr && row->from == c) {
    for (const char32_t to : row->to) {
      if (to != 0) append(out, to);
    }
    return;
  }
  append(out, mapped(kToUpper, c));
}

void append_lower(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(is_upper(c) ? c + 32 : c);
  } else if (c == 0x130) {
    out += "i\xcc\x87";  // capital I with dot: the only one that becomes two
  } else {
    append(out, mapped(kToLower, c));
  }
}

std::string upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) append_upper(out, next_valid(text, at));
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) append_lower(out, next_valid(text, at));
  return out;
}

std::size_t leading_space(std::string_view text, std::size_t from) {
  std::size_t at = from;
  while (at < text.size()) {
    std::size_t next = at;
    if (!is_space(next_valid(text, next))) break;
    at = next;
  }
  return at - from;
}

std::string_view strip_left(std::string_view text) { return text.substr(leading_space(text)); }

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    std::size_t begin = text.size() - 1;
    while ((static_cast<unsigned char>(text[begin]) & 0xc0U) == 0x80U) --begin;
    std::size_t at = begin;
    if (!is_space(next_valid(text, at))) break;
    text = text.substr(0, begin);
  }
  return text;
}

}  // namespace plait::text::jinja
