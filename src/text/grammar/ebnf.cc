// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/ebnf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "text/utf8.h"

namespace plait::text {
namespace {

using base::ErrorCode;
using base::Result;

constexpr std::size_t kBytesMax = std::size_t{1} << 20U;
constexpr int kEbnfDepthMax = 100;
constexpr std::uint32_t kBoundMax = 100'000;

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class EbnfParser {
 public:
  explicit EbnfParser(std::string_view text) : text_(text) {}

  Result<GrammarSource> parse() {
    skip();
    while (more()) {
      const std::string_view name = take_name();
      if (name.empty() || !take("::=")) return problem("a rule begins with `name ::=`");
      const RuleId rule = rule_of(name);
      if (!defined_.emplace(rule.value(), true).second) return problem(fmt::format("rule `{}` is there twice", name));
      PLAIT_TRY(const ExprId expr, alternatives(0));
      source_.define(rule, expr);
    }
    for (const auto& [name, rule] : rules_) {
      if (!defined_.contains(rule.value())) return problem(fmt::format("there is no rule `{}`", name));
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) return problem("there is no rule `root`");
    source_.set_root(root->second);
    return std::move(source_);
  }

 private:
  [[nodiscard]] std::unexpected<base::Error> problem(std::string_view what) const {
    const auto line = 1 + std::ranges::count(text_.substr(0, at_), '\n');
    return base::fail(ErrorCode::invalid_argument, fmt::format("grammar: {} (line {})", what, line));
  }
  [[nodiscard]] bool more() const { return at_ < text_.size(); }
  [[nodiscard]] char peek() const { return more() ? text_[at_] : '\0'; }

  void skip() {
    while (more()) {
      if (peek() == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (std::string_view(" \t\r\n").contains(peek())) {
        ++at_;
      } else {
        return;
      }
    }
  }
  bool take(std::string_view what) {
    if (!text_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    skip();
    return true;
  }
  std::string_view take_name() {
    const std::size_t begin = at_;
    while (more() && is_name(text_[at_])) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    skip();
    return name;
  }
  RuleId rule_of(std::string_view name) {
    const auto found = rules_.find(name);
    if (found != rules_.end()) return found->second;
    return rules_.emplace(name, source_.declare(name)).first->second;
  }

  Result<ExprId> alternatives(int depth) {
    if (depth > kEbnfDepthMax) {
      return base::fail(ErrorCode::out_of_resources, fmt::format("grammar: groups nest deeper than {}", kEbnfDepthMax));
    }
    std::vector<ExprId> all;
    do {
      PLAIT_TRY(const ExprId one, sequence(depth));
      all.push_back(one);
    } while (take("|"));
    return source_.choice(std::move(all));
  }

  Result<ExprId> sequence(int depth) {
    std::vector<ExprId> parts;
    while (more() && peek() != '|' && peek() != ')') {
      if (is_name(peek())) {
        const std::size_t begin = at_;
        const std::string_view name = take_name();
        if (text_.substr(at_).starts_with("::=")) {  // the next rule
          at_ = begin;
          break;
        }
        PLAIT_TRY(const ExprId part, quantified(source_.rule(rule_of(name))));
        parts.push_back(part);
        continue;
      }
      PLAIT_TRY(const ExprId one, atom(depth));
      PLAIT_TRY(const ExprId part, quantified(one));
      parts.push_back(part);
    }
    if (depth == 0 && peek() == ')') return problem("a `)` too many");
    return source_.sequence(std::move(parts));
  }

  Result<ExprId> atom(int depth) {
    if (take("(")) {
      PLAIT_TRY(const ExprId inside, alternatives(depth + 1));
      if (!take(")")) return problem("a group without `)`");
      return inside;
    }
    if (take(".")) return source_.characters(CodePoints::all());
    if (peek() == '"') return literal();
    if (peek() == '[') return char_class();
    return problem(fmt::format("unexpected `{}`", sanitize(text_.substr(at_, 1))));
  }

  Result<ExprId> literal() {
    ++at_;
    std::string bytes;
    while (more() && peek() != '"') {
      if (peek() == '\n') return problem("a literal without its end");
      PLAIT_TRY(const char32_t c, character());
      append(bytes, c);
    }
    if (!take("\"")) return problem("a literal without its end");
    return source_.literal(bytes);
  }

  Result<ExprId> char_class() {
    ++at_;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    std::vector<CodeRange> ranges;
    while (more() && peek() != ']') {
      PLAIT_TRY(const char32_t first, character());
      char32_t last = first;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        PLAIT_TRY(last, character());
        if (first > last) return problem("a range in the wrong order");
      }
      ranges.push_back({first, last});
    }
    if (!take("]")) return problem("a class without `]`");
    const CodePoints set(std::move(ranges));
    return source_.characters(negated ? set.complement() : set);
  }

  Result<char32_t> character() {
    if (peek() != '\\') return next_valid(text_, at_);
    if (++at_ >= text_.size()) return problem("a `\\` at the end");
    const char c = text_[at_++];
    switch (c) {
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case 'x':
        return hex(2);
      case 'u':
        return hex(4);
      case 'U':
        return hex(8);
      default:
        if (std::string_view("\\\"[]-^").contains(c)) return static_cast<char32_t>(c);
        return problem("an unknown escape");
    }
  }

  Result<char32_t> hex(int digits) {
    std::uint64_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const std::size_t digit = std::string_view("0123456789abcdef").find(static_cast<char>(peek() | 0x20));
      if (!more() || peek() < '0' || digit == std::string_view::npos) return problem("too few hexadecimal digits");
      value = value * 16 + digit;
      ++at_;
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return problem("no such character");
    return static_cast<char32_t>(value);
  }

  Result<ExprId> quantified(ExprId body) {
    for (int i = 0;; ++i) {
      std::uint32_t min = 0, max = Expr::kNoMaximum;
      if (take("*")) {
      } else if (take("+")) {
        min = 1;
      } else if (take("?")) {
        max = 1;
      } else if (take("{")) {
        PLAIT_TRY(min, bound());
        max = min;
        if (take(",")) {
          max = Expr::kNoMaximum;
          if (peek() != '}') {
            PLAIT_TRY(max, bound());
          }
        }
        if (!take("}")) return problem("a bound without `}`");
        if (min > max) return problem("bounds in the wrong order");
      } else {
        return body;
      }
      if (i == kEbnfDepthMax) return problem("too many quantifiers");
      body = source_.repeat(body, min, max);
    }
  }

  Result<std::uint32_t> bound() {
    std::uint32_t value = 0;
    if (peek() < '0' || peek() > '9') return problem("a bound without a number");
    while (more() && peek() >= '0' && peek() <= '9') {
      value = value * 10 + static_cast<std::uint32_t>(text_[at_++] - '0');
      if (value > kBoundMax) {
        return base::fail(ErrorCode::out_of_resources, fmt::format("grammar: a bound above {}", kBoundMax));
      }
    }
    skip();
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  GrammarSource source_;
  std::map<std::string, RuleId, std::less<>> rules_;
  std::map<std::uint32_t, bool> defined_;
};

}  // namespace

Result<GrammarSource> parse_ebnf(std::string_view text) {
  if (text.size() > kBytesMax) {
    return base::fail(ErrorCode::out_of_resources, fmt::format("grammar: more than {} bytes of text", kBytesMax));
  }
  if (!is_valid(text)) return base::fail(ErrorCode::invalid_argument, "grammar: the text is not UTF-8");
  return EbnfParser(text).parse();
}

Result<Grammar> ebnf_grammar(std::string_view text, const CompileLimits& limits) {
  PLAIT_TRY(const GrammarSource source, parse_ebnf(text));
  return Grammar::compile(source, limits);
}

}  // namespace plait::text
