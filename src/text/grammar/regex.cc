// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/regex.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/utf8.h"

namespace plait::text {
namespace {

using base::ErrorCode;
using base::Result;

constexpr int kRegexDepthMax = 100;
constexpr std::uint32_t kBoundMax = 100'000;

CodePoints digits() { return CodePoints({{'0', '9'}}); }
CodePoints words() { return CodePoints({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}); }
CodePoints line_ends() { return CodePoints({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}); }
CodePoints spaces() {
  return CodePoints({{'\t', '\r'},
                     {' ', ' '},
                     {0xA0, 0xA0},
                     {0x1680, 0x1680},
                     {0x2000, 0x200A},
                     {0x2028, 0x2029},
                     {0x202F, 0x202F},
                     {0x205F, 0x205F},
                     {0x3000, 0x3000},
                     {0xFEFF, 0xFEFF}});
}

int hex_digit(char32_t c) {
  if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<int>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<int>(c - 'A' + 10);
  return -1;
}

class RegexParser {
 public:
  RegexParser(GrammarSource& source, std::string_view pattern, const CharacterWriter& writer)
      : source_(source), pattern_(pattern), writer_(writer) {}

  Result<ExprId> parse() {
    if (!is_valid(pattern_)) return base::fail(ErrorCode::invalid_argument, "regular expression: not UTF-8");
    std::vector<ExprId> alternatives;
    do {
      const bool from_start = take('^');
      PLAIT_TRY(const ExprId middle, sequence(0));
      const bool to_end = take('$');
      if (at_ < pattern_.size() && peek() != '|') return problem("text behind `$`, or a `)` too many");
      const ExprId anything = source_.repeat(write(CodePoints::all()), 0);
      alternatives.push_back(
          source_.sequence({from_start ? source_.empty() : anything, middle, to_end ? source_.empty() : anything}));
    } while (take('|'));
    return source_.choice(std::move(alternatives));
  }

 private:
  [[nodiscard]] std::unexpected<base::Error> problem(std::string_view what) const {
    return base::fail(ErrorCode::invalid_argument, fmt::format("regular expression: {} at byte {}", what, at_));
  }
  [[nodiscard]] std::unexpected<base::Error> missing(std::string_view what) const {
    return base::fail(ErrorCode::unsupported,
                      fmt::format("regular expression: {} at byte {} cannot be enforced", what, at_));
  }

  [[nodiscard]] bool more() const { return at_ < pattern_.size(); }
  [[nodiscard]] char peek() const { return at_ < pattern_.size() ? pattern_[at_] : '\0'; }
  [[nodiscard]] bool ahead(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  bool take(char c) {
    if (!more() || pattern_[at_] != c) return false;
    ++at_;
    return true;
  }
  ExprId write(const CodePoints& set) { return writer_ ? writer_(source_, set) : source_.characters(set); }

  Result<ExprId> alternatives(int depth) {
    std::vector<ExprId> all;
    do {
      PLAIT_TRY(const ExprId one, sequence(depth));
      all.push_back(one);
    } while (take('|'));
    return source_.choice(std::move(all));
  }

  Result<ExprId> sequence(int depth) {
    if (depth > kRegexDepthMax) {
      return base::fail(ErrorCode::out_of_resources,
                        fmt::format("regular expression: groups nest deeper than {} levels", kRegexDepthMax));
    }
    std::vector<ExprId> parts;
    while (more() && peek() != '|' && peek() != ')') {
      if (peek() == '$' && depth == 0) break;
      if (peek() == '^' || peek() == '$') return missing("an anchor inside");
      PLAIT_TRY(const ExprId part, atom(depth));
      PLAIT_TRY(const ExprId repeated, quantified(part));
      parts.push_back(repeated);
    }
    return source_.sequence(std::move(parts));
  }

  Result<ExprId> atom(int depth) {
    if (take('(')) return group(depth);
    if (take('.')) return write(line_ends().complement());
    if (take('[')) {
      PLAIT_TRY(const CodePoints set, char_class());
      return write(set);
    }
    if (peek() == '\\') {
      PLAIT_TRY(const CodePoints set, escape(false));
      return write(set);
    }
    if (std::string_view("*+?{}]").contains(peek()))
      return problem(fmt::format("`{}` without anything before it", peek()));
    const char32_t c = next_valid(pattern_, at_);
    return write(CodePoints({{c, c}}));
  }

  Result<ExprId> group(int depth) {
    if (ahead("?:")) {
      at_ += 2;
    } else if (ahead("?=") || ahead("?!") || ahead("?<=") || ahead("?<!")) {
      return missing("look-around");
    } else if (ahead("?<")) {
      const std::size_t end = pattern_.find('>', at_);
      if (end == std::string_view::npos) return problem("a group name without an end");
      at_ = end + 1;
    } else if (peek() == '?') {
      return problem("an unknown kind of group");
    }
    PLAIT_TRY(const ExprId inside, alternatives(depth + 1));
    if (!take(')')) return problem("a group without `)`");
    return inside;
  }

  Result<ExprId> quantified(ExprId body) {
    std::uint32_t min = 0, max = Expr::kNoMaximum;
    if (take('*')) {
    } else if (take('+')) {
      min = 1;
    } else if (take('?')) {
      max = 1;
    } else if (take('{')) {
      PLAIT_TRY(min, bound());
      max = min;
      if (take(',')) {
        max = Expr::kNoMaximum;
        if (peek() != '}') {
          PLAIT_TRY(max, bound());
        }
      }
      if (!take('}')) return problem("a bound without `}`");
      if (min > max) return problem("bounds in the wrong order");
    } else {
      return body;
    }
    take('?');
    if (more() && std::string_view("*+?{").contains(peek())) return problem("a second quantifier");
    return source_.repeat(body, min, max);
  }

  Result<std::uint32_t> bound() {
    std::uint32_t value = 0;
    if (hex_digit(static_cast<unsigned char>(peek())) < 0 || peek() > '9') return problem("a bound without a number");
    while (more() && peek() >= '0' && peek() <= '9') {
      value = value * 10 + static_cast<std::uint32_t>(pattern_[at_++] - '0');
      if (value > kBoundMax) {
        return base::fail(ErrorCode::out_of_resources,
                          fmt::format("regular expression: a bound above {} at byte {}", kBoundMax, at_));
      }
    }
    return value;
  }

  Result<CodePoints> char_class() {
    const bool negated = take('^');
    std::vector<CodeRange> ranges;
    while (more() && peek() != ']') {
      PLAIT_TRY(const CodePoints first, class_atom());
      const bool range = peek() == '-' && !pattern_.substr(at_).starts_with("-]") && at_ + 1 < pattern_.size();
      if (!range) {
        ranges.insert(ranges.end(), first.ranges().begin(), first.ranges().end());
        continue;
      }
      ++at_;
      PLAIT_TRY(const CodePoints last, class_atom());
      const auto single = [](const CodePoints& set) {
        return set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].last;
      };
      if (!single(first) || !single(last)) return problem("a range of classes");
      if (first.ranges()[0].first > last.ranges()[0].first) return problem("a range in the wrong order");
      ranges.push_back({first.ranges()[0].first, last.ranges()[0].first});
    }
    if (!take(']')) return problem("a class without `]`");
    const CodePoints set(std::move(ranges));
    return negated ? set.complement() : set;
  }

  Result<CodePoints> class_atom() {
    if (!more()) return problem("a class without `]`");
    if (peek() == '\\') return escape(true);
    const char32_t c = next_valid(pattern_, at_);
    return CodePoints({{c, c}});
  }

  Result<CodePoints> escape(bool in_class) {
    ++at_;
    if (!more()) return problem("a `\\` at the end");
    const char c = pattern_[at_];
    switch (c) {
      case 'd':
        return ++at_, digits();
      case 'D':
        return ++at_, digits().complement();
      case 'w':
        return ++at_, words();
      case 'W':
        return ++at_, words().complement();
      case 's':
        return ++at_, spaces();
      case 'S':
        return ++at_, spaces().complement();
      case 'B':
        return missing("\\B");
      case 'b':
        if (!in_class) return missing("\\b");
        break;
      case 'k':
        return missing("a back reference");
      case 'p':
      case 'P':
        return missing("\\p{...}");
      default:
        if (c >= '1' && c <= '9') return missing("a back reference");
    }
    PLAIT_TRY(const char32_t code_point, character_escape());
    return CodePoints({{code_point, code_point}});
  }

  Result<char32_t> character_escape() {
    static constexpr std::string_view kLetters = "tnrfvb0", kMeanings{"\t\n\r\f\v\b\0", 7};
    const char c = pattern_[at_];
    if (const std::size_t i = kLetters.find(c); i != std::string_view::npos) {
      ++at_;
      return static_cast<unsigned char>(kMeanings[i]);
    }
    if (c == 'x' || c == 'u') {
      ++at_;
      return c == 'x' ? hex(2) : unicode();
    }
    if (c == 'c') {
      ++at_;
      const char letter = static_cast<char>(peek() | 0x20);
      if (letter < 'a' || letter > 'z') return problem("`\\c` without a letter");
      ++at_;
      return static_cast<char32_t>(letter - 'a' + 1);
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) return problem(fmt::format("an unknown escape `\\{}`", c));
    return next_valid(pattern_, at_);
  }

  Result<char32_t> hex(int digits_wanted) {
    char32_t value = 0;
    for (int i = 0; i < digits_wanted; ++i) {
      const int digit = hex_digit(static_cast<unsigned char>(peek()));
      if (digit < 0) return problem("too few hexadecimal digits");
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    return value;
  }

  Result<char32_t> unicode() {
    if (take('{')) {
      char32_t value = 0;
      while (more() && peek() != '}') {
        PLAIT_TRY(const char32_t digit, hex(1));
        value = value * 16 + digit;
        if (value > 0x10FFFF) return problem("a character above U+10FFFF");
      }
      if (!take('}')) return problem("`\\u{` without `}`");
      return scalar(value);
    }
    PLAIT_TRY(char32_t value, hex(4));
    if (value >= 0xD800 && value <= 0xDBFF && ahead("\\u")) {
      at_ += 2;
      PLAIT_TRY(const char32_t low, hex(4));
      if (low < 0xDC00 || low > 0xDFFF) return problem("half a surrogate pair");
      value = 0x10000 + ((value - 0xD800) << 10U) + (low - 0xDC00);
    }
    return scalar(value);
  }

  Result<char32_t> scalar(char32_t value) const {
    if (value >= 0xD800 && value <= 0xDFFF) return problem("half a surrogate pair");
    return value;
  }

  GrammarSource& source_;
  std::string_view pattern_;
  const CharacterWriter& writer_;
  std::size_t at_ = 0;
};

}  // namespace

Result<ExprId> add_regex(GrammarSource& source, std::string_view pattern, const CharacterWriter& writer) {
  return RegexParser(source, pattern, writer).parse();
}

Result<Grammar> regex_grammar(std::string_view pattern, const CompileLimits& limits) {
  GrammarSource source;
  const RuleId root = source.declare("root");
  PLAIT_TRY(const ExprId expr, add_regex(source, pattern));
  source.define(root, expr);
  source.set_root(root);
  return Grammar::compile(source, limits);
}

}  // namespace plait::text
