// SPDX-License-Identifier: Apache-2.0
//
// Two states, as in Jinja: text up to the next `{{`, `{%` or `{#`, and the inside of a tag.
#include "text/jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "text/jinja/failure.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace plait::text::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Line ends become \n, and one at the very end goes, as Jinja does.
std::string normalise(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)), rest_(source_) {}

  std::vector<Token> run() {
    while (at_ < rest_.size()) text();
    emit(TokenKind::end, {});
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < rest_.size() ? rest_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool next_is(std::string_view what) const { return rest_.substr(at_).starts_with(what); }

  void emit(TokenKind kind, std::string value) { tokens_.push_back({kind, std::move(value), line_}); }

  // Moves on and remembers whether what was read ended a line.
  void advance(std::size_t count) {
    const std::string_view read = rest_.substr(at_, count);
    line_ += static_cast<int>(std::ranges::count(read, '\n'));
    if (!read.empty()) line_starting_ = read.back() == '\n';
    at_ += count;
  }

  void emit_data(std::string_view data) {
    if (!data.empty()) emit(TokenKind::data, std::string(data));
  }

  // The text before a tag: `-` strips all space at its end; else space between the line's begin and a block tag goes.
  [[nodiscard]] std::string_view before_tag(std::string_view text, char sign, bool block) const {
    if (sign == '-') return strip_right(text);
    if (sign == '+' || !block) return text;
    const std::size_t newline = text.rfind('\n');
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    if ((line > 0 || line_starting_) && line < text.size() && strip_left(text.substr(line)).empty()) {
      return text.substr(0, line);
    }
    return text;
  }

  void text() {
    std::size_t tag = at_;
    while (true) {
      tag = rest_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= rest_.size()) {
        emit_data(rest_.substr(at_));
        at_ = rest_.size();
        return;
      }
      const char second = rest_[tag + 1];
      if (second == '{' || second == '%' || second == '#') break;
      ++tag;
    }
    const char kind = rest_[tag + 1];
    const char third = tag + 2 < rest_.size() ? rest_[tag + 2] : '\0';
    const char sign = third == '-' || third == '+' ? third : '\0';
    emit_data(before_tag(rest_.substr(at_, tag - at_), sign, kind != '{'));
    advance(tag - at_);
    const std::size_t opening = sign == '\0' ? 2 : 3;
    if (kind == '#') return comment(opening);
    if (kind == '%') {
      if (const auto length = raw_begin(opening)) return raw(*length);
    }
    emit(kind == '%' ? TokenKind::block_begin : TokenKind::variable_begin, {});
    advance(opening);
    inside(kind == '%' ? '%' : '}');
  }

  void comment(std::size_t opening) {
    const int line = line_;
    const std::size_t found = rest_.find("#}", at_ + opening);
    if (found == std::string_view::npos) raise("Missing end of comment tag", line);
    const char sign = found > at_ + opening ? rest_[found - 1] : '\0';
    std::size_t end = found + 2;
    if (sign == '-') {
      end += leading_space(rest_, end);
    } else if (sign != '+' && end < rest_.size() && rest_[end] == '\n') {
      ++end;
    }
    advance(end - at_);
  }

  // Length of a `{% raw %}` tag here, if it is one.
  [[nodiscard]] std::optional<std::size_t> raw_begin(std::size_t opening) const {
    std::size_t at = at_ + opening;
    at += leading_space(rest_, at);
    if (!rest_.substr(at).starts_with("raw")) return std::nullopt;
    at += 3;
    at += leading_space(rest_, at);
    if (rest_.substr(at).starts_with("-%}")) {
      at += 3;
      return at + leading_space(rest_, at) - at_;
    }
    if (rest_.substr(at).starts_with("%}")) return at + 2 - at_;
    return std::nullopt;
  }

  void raw(std::size_t opening) {
    const int line = line_;
    advance(opening);
    for (std::size_t tag = rest_.find("{%", at_); tag != std::string_view::npos; tag = rest_.find("{%", tag + 1)) {
      std::size_t at = tag + 2;
      const char sign = at < rest_.size() && (rest_[at] == '-' || rest_[at] == '+') ? rest_[at] : '\0';
      at += sign == '\0' ? 0 : 1;
      at += leading_space(rest_, at);
      if (!rest_.substr(at).starts_with("endraw")) continue;
      at += 6;
      at += leading_space(rest_, at);
      const auto end = block_end_length(at);
      if (!end) continue;
      emit_data(before_tag(rest_.substr(at_, tag - at_), sign, true));
      advance(at + *end - at_);
      return;
    }
    raise("Missing end of raw directive", line);
  }

  // `%}` with one line end, `-%}` with all space after it, `+%}`.
  [[nodiscard]] std::optional<std::size_t> block_end_length(std::size_t at) const {
    const std::string_view rest = rest_.substr(at);
    if (rest.starts_with("+%}")) return 3;
    if (rest.starts_with("-%}")) return 3 + leading_space(rest, 3);
    if (rest.starts_with("%}")) return rest.size() > 2 && rest[2] == '\n' ? 3 : 2;
    return std::nullopt;
  }

  [[nodiscard]] std::optional<std::size_t> variable_end_length() const {
    const std::string_view rest = rest_.substr(at_);
    if (rest.starts_with("-}}")) return 3 + leading_space(rest, 3);
    if (rest.starts_with("}}")) return 2;
    return std::nullopt;
  }

  void inside(char kind) {
    std::string brackets;
    while (at_ < rest_.size()) {
      if (brackets.empty()) {
        const auto end = kind == '%' ? block_end_length(at_) : variable_end_length();
        if (end) {
          emit(kind == '%' ? TokenKind::block_end : TokenKind::variable_end, {});
          advance(*end);
          return;
        }
      }
      if (const std::size_t space = leading_space(rest_, at_); space > 0) {
        advance(space);
      } else {
        token(brackets);
      }
    }
  }

  void token(std::string& brackets) {
    const char c = peek();
    if (const std::size_t length = float_length(); length > 0) {
      number(TokenKind::floating, length);
    } else if (is_digit(c)) {
      number(TokenKind::integer, integer_length());
    } else if (is_word(c)) {
      std::size_t size = 0;
      while (is_word(peek(size))) ++size;
      emit(TokenKind::name, std::string(rest_.substr(at_, size)));
      advance(size);
    } else if (c == '"' || c == '\'') {
      string(c);
    } else {
      symbol(brackets);
    }
  }

  void number(TokenKind kind, std::size_t size) {
    std::string digits(rest_.substr(at_, size));
    std::erase(digits, '_');
    emit(kind, std::move(digits));
    advance(size);
  }

  // (\d+_)*\d+ from `at`
  [[nodiscard]] std::size_t digits_length(std::size_t at) const {
    std::size_t length = 0;
    while (is_digit(peek(at + length)) || (length > 0 && peek(at + length) == '_' && is_digit(peek(at + length + 1)))) {
      ++length;
    }
    return length;
  }

  [[nodiscard]] std::size_t float_length() const {
    if (at_ > 0 && rest_[at_ - 1] == '.') return 0;
    const std::size_t whole = digits_length(0);
    if (whole == 0) return 0;
    std::size_t length = whole;
    if (peek(length) == '.') {
      const std::size_t fraction = digits_length(length + 1);
      if (fraction == 0) return 0;
      length += 1 + fraction;
    }
    if (peek(length) == 'e' || peek(length) == 'E') {
      const std::size_t sign = peek(length + 1) == '+' || peek(length + 1) == '-' ? 1 : 0;
      const std::size_t exponent = digits_length(length + 1 + sign);
      if (exponent > 0) return length + 1 + sign + exponent;
    }
    return length > whole ? length : 0;
  }

  [[nodiscard]] std::size_t integer_length() const {
    const auto run = [&](auto accepts) {
      std::size_t length = 2;
      while (accepts(peek(length)) || (peek(length) == '_' && accepts(peek(length + 1)))) ++length;
      return length;
    };
    if (peek() == '0') {
      std::size_t prefixed = 0;
      const char base = static_cast<char>(peek(1) | 0x20);
      if (base == 'b') prefixed = run([](char c) { return c == '0' || c == '1'; });
      if (base == 'o') prefixed = run([](char c) { return c >= '0' && c <= '7'; });
      if (base == 'x') {
        prefixed = run([](char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); });
      }
      if (prefixed > 2) return prefixed;
      std::size_t length = 1;
      while (peek(length) == '0' || (peek(length) == '_' && peek(length + 1) == '0')) ++length;
      return length;
    }
    return digits_length(0);
  }

  void string(char quote) {
    std::size_t end = at_ + 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) raise(fmt::format("unexpected char {} at {}", quote, at_), line_);
    emit(TokenKind::string, unescape(rest_.substr(at_ + 1, end - at_ - 1)));
    advance(end + 1 - at_);
  }

  [[nodiscard]] std::string unescape(std::string_view text) const {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      ++i;
      constexpr std::string_view kPlain = "\\'\"abfnrtv";
      constexpr std::string_view kMeaning = "\\'\"\a\b\f\n\r\t\v";
      const char c = text[i];
      if (const std::size_t found = kPlain.find(c); found != std::string_view::npos) {
        out += kMeaning[found];
      } else if (c == '\n') {
        continue;
      } else if (c == 'x' || c == 'u' || c == 'U') {
        append_code(out, text.substr(i + 1), c == 'x' ? 2 : c == 'u' ? 4 : 8, 16);
        i += c == 'x' ? 2 : c == 'u' ? 4 : 8;
      } else if (c >= '0' && c <= '7') {
        std::size_t length = 1;
        while (length < 3 && i + length < text.size() && text[i + length] >= '0' && text[i + length] <= '7') ++length;
        append_code(out, text.substr(i), length, 8);
        i += length - 1;
      } else if (c == 'N') {
        raise("character names in strings are not supported", line_);
      } else {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  void append_code(std::string& out, std::string_view digits, std::size_t length, std::uint32_t base) const {
    std::uint32_t code = 0;
    for (std::size_t i = 0; i < length; ++i) {
      const char c = i < digits.size() ? digits[i] : '\0';
      const char lower = static_cast<char>(c | 0x20);
      const int digit = is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 99;
      if (digit >= static_cast<int>(base)) raise("truncated escape in a string", line_);
      code = code * base + static_cast<std::uint32_t>(digit);
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) raise("illegal character escape in a string", line_);
    append(out, static_cast<char32_t>(code));
  }

  void symbol(std::string& brackets) {
    constexpr std::array<std::string_view, 26> kSymbols = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                           "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                           ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (const std::string_view symbol : kSymbols) {
      if (!next_is(symbol)) continue;
      if (symbol == "{") brackets += '}';
      if (symbol == "(") brackets += ')';
      if (symbol == "[") brackets += ']';
      if (symbol == "}" || symbol == ")" || symbol == "]") {
        if (brackets.empty()) raise(fmt::format("unexpected '{}'", symbol), line_);
        if (brackets.back() != symbol[0]) {
          raise(fmt::format("unexpected '{}', expected '{}'", symbol, brackets.back()), line_);
        }
        brackets.pop_back();
      }
      emit(TokenKind::symbol, std::string(symbol));
      advance(symbol.size());
      return;
    }
    raise(fmt::format("unexpected char '{}' at {}", peek(), at_), line_);
  }

  std::string source_;
  std::string_view rest_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(normalise(source)).run(); }

}  // namespace plait::text::jinja
