// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "text/jinja/library.h"
#include "text/jinja/parser.h"

namespace plait::text::jinja {
namespace {

bool is_literal_name(std::string_view name) {
  return name == "true" || name == "True" || name == "false" || name == "False" || name == "none" || name == "None";
}

Value literal(std::string_view name) {
  if (name == "true" || name == "True") return Value(true);
  if (name == "false" || name == "False") return Value(false);
  return {};
}

Value parse_integer(std::string_view digits, int line) {
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0') {
    const char kind = static_cast<char>(digits[1] | 0x20);
    base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
    if (base != 10) digits.remove_prefix(2);
  }
  Int value = 0;
  for (const char c : digits) {
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (__builtin_mul_overflow(value, Int{base}, &value) || __builtin_add_overflow(value, Int{digit}, &value)) {
      raise_limit("a number has more than 128 bits", line);
    }
  }
  return Value::integer(value);
}

}  // namespace

ExpressionPtr Parser::make(ExpressionKind kind, std::string name) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = now().line;
  node->name = std::move(name);
  return node;
}

template <class... Items>
ExpressionPtr Parser::make(ExpressionKind kind, std::string name, Items... items) const {
  ExpressionPtr node = make(kind, std::move(name));
  (add(*node, std::move(items)), ...);
  return node;
}

void Parser::add(Expression& parent, ExpressionPtr child) const {
  if (child != nullptr) {
    parent.depth = std::max(parent.depth, child->depth + 1);
    if (parent.depth > kTreeDepthMax) raise_limit("an expression is nested too deeply", now().line);
  }
  parent.items.push_back(std::move(child));
}

void Parser::note_name(std::string_view name) {
  for (MacroNames& macro : macros_) {
    macro.caller |= name == "caller";
    macro.kwargs |= name == "kwargs";
    macro.varargs |= name == "varargs";
  }
}

ExpressionPtr Parser::parse_expression(bool with_conditional) {
  const Nesting nesting(*this);
  return with_conditional ? parse_conditional() : parse_or();
}

ExpressionPtr Parser::parse_conditional() {
  ExpressionPtr node = parse_or();
  while (skip_name("if")) {
    const bool soft = std::exchange(soft_, true);
    ExpressionPtr test = parse_or();
    ExpressionPtr otherwise;
    if (skip_name("else")) {
      const Nesting nesting(*this);
      otherwise = parse_conditional();
    }
    soft_ = soft;
    node = make(ExpressionKind::conditional, {}, std::move(test), std::move(node), std::move(otherwise));
  }
  return node;
}

ExpressionPtr Parser::parse_or() {
  ExpressionPtr node = parse_and();
  while (skip_name("or")) {
    ExpressionPtr right = parse_and();
    node = make(ExpressionKind::logical_or, {}, std::move(node), std::move(right));
  }
  return node;
}

ExpressionPtr Parser::parse_and() {
  ExpressionPtr node = parse_not();
  while (skip_name("and")) {
    ExpressionPtr right = parse_not();
    node = make(ExpressionKind::logical_and, {}, std::move(node), std::move(right));
  }
  return node;
}

ExpressionPtr Parser::parse_not() {
  if (!skip_name("not")) return parse_compare();
  const Nesting nesting(*this);
  return make(ExpressionKind::logical_not, {}, parse_not());
}

ExpressionPtr Parser::parse_compare() {
  ExpressionPtr first = parse_sum();
  ExpressionPtr node;
  while (true) {
    std::string op;
    if (now().kind == TokenKind::symbol && (is_symbol("==") || is_symbol("!=") || is_symbol("<") || is_symbol("<=") ||
                                            is_symbol(">") || is_symbol(">="))) {
      op = take().text;
    } else if (skip_name("in")) {
      op = "in";
    } else if (is_name("not") && ahead().kind == TokenKind::name && ahead().text == "in") {
      take();
      take();
      op = "not in";
    } else {
      return node == nullptr ? std::move(first) : std::move(node);
    }
    if (node == nullptr) node = make(ExpressionKind::compare, {}, std::move(first));
    node->operators.push_back(std::move(op));
    add(*node, parse_sum());
  }
}

ExpressionPtr Parser::parse_sum() {
  ExpressionPtr node = parse_concat();
  while (is_symbol("+") || is_symbol("-")) {
    std::string op = take().text;
    ExpressionPtr right = parse_concat();
    node = make(ExpressionKind::binary, std::move(op), std::move(node), std::move(right));
  }
  return node;
}

ExpressionPtr Parser::parse_concat() {
  ExpressionPtr first = parse_product();
  if (!is_symbol("~")) return first;
  ExpressionPtr node = make(ExpressionKind::concat, {}, std::move(first));
  while (skip_symbol("~")) add(*node, parse_product());
  return node;
}

ExpressionPtr Parser::parse_product() {
  ExpressionPtr node = parse_power();
  while (is_symbol("*") || is_symbol("/") || is_symbol("//") || is_symbol("%")) {
    std::string op = take().text;
    ExpressionPtr right = parse_power();
    node = make(ExpressionKind::binary, std::move(op), std::move(node), std::move(right));
  }
  return node;
}

ExpressionPtr Parser::parse_power() {
  ExpressionPtr node = parse_unary();
  while (skip_symbol("**")) {
    ExpressionPtr right = parse_unary();
    node = make(ExpressionKind::binary, "**", std::move(node), std::move(right));
  }
  return node;
}

ExpressionPtr Parser::parse_unary(bool with_filter) {
  ExpressionPtr node;
  if (is_symbol("-") || is_symbol("+")) {
    const Nesting nesting(*this);
    std::string op = take().text;
    node = make(ExpressionKind::unary, std::move(op), parse_unary(false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filter ? parse_filters(std::move(node)) : std::move(node);
}

ExpressionPtr Parser::parse_primary() {
  const Token& token = now();
  ExpressionPtr node;
  switch (token.kind) {
    case TokenKind::name:
      node = make(is_literal_name(token.text) ? ExpressionKind::constant : ExpressionKind::name, token.text);
      if (node->kind == ExpressionKind::constant) node->value = literal(token.text);
      note_name(token.text);
      take();
      return node;
    case TokenKind::string: {
      node = make(ExpressionKind::constant);
      std::string text;
      while (now().kind == TokenKind::string) text += take().text;
      node->value = Value::string(std::move(text));
      return node;
    }
    case TokenKind::integer:
      node = make(ExpressionKind::constant);
      node->value = parse_integer(token.text, token.line);
      take();
      return node;
    case TokenKind::floating: {
      node = make(ExpressionKind::constant);
      double value = 0;
      const auto read = std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
      // Out of range: towards zero or infinity, as the C library decides.
      if (read.ec == std::errc::result_out_of_range) value = std::strtod(token.text.c_str(), nullptr);
      node->value = Value(value);
      take();
      return node;
    }
    default:
      break;
  }
  if (skip_symbol("(")) {
    node = parse_tuple(true, true);
    expect_symbol(")");
    return node;
  }
  if (is_symbol("[")) return parse_list();
  if (is_symbol("{")) return parse_dict();
  unexpected();
}

bool Parser::tuple_ends(std::string_view end_name) const {
  return now().kind == TokenKind::variable_end || now().kind == TokenKind::block_end || is_symbol(")") ||
         now().kind == TokenKind::end || (!end_name.empty() && is_name(end_name));
}

ExpressionPtr Parser::parse_tuple(bool with_conditional, bool explicit_parentheses, std::string_view end_name) {
  const Nesting nesting(*this);
  ExpressionPtr node = make(ExpressionKind::tuple);
  bool is_tuple = false;
  while (true) {
    if (!node->items.empty()) {
      if (!skip_symbol(",")) break;
      is_tuple = true;
    }
    if (tuple_ends(end_name)) break;
    add(*node, parse_expression(with_conditional));
  }
  if (!is_tuple && !node->items.empty()) return std::move(node->items.front());
  if (!is_tuple && !explicit_parentheses) unexpected("an expression");
  return node;
}

ExpressionPtr Parser::parse_list() {
  ExpressionPtr node = make(ExpressionKind::list);
  expect_symbol("[");
  while (!is_symbol("]")) {
    if (!node->items.empty()) expect_symbol(",");
    if (is_symbol("]")) break;
    add(*node, parse_expression());
  }
  expect_symbol("]");
  return node;
}

ExpressionPtr Parser::parse_dict() {
  ExpressionPtr node = make(ExpressionKind::dict);
  expect_symbol("{");
  while (!is_symbol("}")) {
    if (!node->items.empty()) expect_symbol(",");
    if (is_symbol("}")) break;
    add(*node, parse_expression());
    expect_symbol(":");
    add(*node, parse_expression());
  }
  expect_symbol("}");
  return node;
}

ExpressionPtr Parser::parse_postfix(ExpressionPtr node) {
  while (true) {
    if (is_symbol(".") || is_symbol("[")) {
      node = parse_subscript(std::move(node));
    } else if (is_symbol("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr Parser::parse_filters(ExpressionPtr node) {
  while (true) {
    if (is_symbol("|")) {
      node = parse_filter_chain(std::move(node), false);
    } else if (is_name("is")) {
      node = parse_test(std::move(node));
    } else if (is_symbol("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr Parser::parse_subscript(ExpressionPtr node) {
  if (skip_symbol(".")) {
    if (now().kind == TokenKind::name) {
      ExpressionPtr result = make(ExpressionKind::attribute, now().text, std::move(node));
      take();
      return result;
    }
    if (now().kind != TokenKind::integer) unexpected("a name or a number");
    ExpressionPtr index = make(ExpressionKind::constant);
    index->value = parse_integer(now().text, now().line);
    take();
    return make(ExpressionKind::subscript, {}, std::move(node), std::move(index));
  }
  expect_symbol("[");
  ExpressionPtr result = parse_index(std::move(node));
  if (is_symbol(",")) {
    if (result->kind == ExpressionKind::slice) unexpected("']'");
    ExpressionPtr indexes = make(ExpressionKind::tuple, {}, std::move(result->items[1]));
    while (skip_symbol(",")) add(*indexes, parse_expression());
    result->items.pop_back();
    add(*result, std::move(indexes));
  }
  expect_symbol("]");
  return result;
}

// One index or slice, up to `]` or `,`.
ExpressionPtr Parser::parse_index(ExpressionPtr object) {
  ExpressionPtr start;
  if (is_symbol("]")) {  // an empty tuple of indexes
    return make(ExpressionKind::subscript, {}, std::move(object), make(ExpressionKind::tuple));
  }
  if (!is_symbol(":")) {
    start = parse_expression();
    if (!is_symbol(":")) return make(ExpressionKind::subscript, {}, std::move(object), std::move(start));
  }
  expect_symbol(":");
  ExpressionPtr stop;
  ExpressionPtr step;
  const auto ends = [&] { return is_symbol("]") || is_symbol(","); };
  if (!ends() && !is_symbol(":")) stop = parse_expression();
  if (skip_symbol(":") && !ends()) step = parse_expression();
  return make(ExpressionKind::slice, {}, std::move(object), std::move(start), std::move(stop), std::move(step));
}

void Parser::parse_arguments(Expression& call) {
  expect_symbol("(");
  bool first = true;
  const auto ensure = [&](bool valid) {
    if (!valid) raise("invalid syntax for function call expression", now().line);
  };
  while (!is_symbol(")")) {
    if (!std::exchange(first, false)) {
      expect_symbol(",");
      if (is_symbol(")")) break;
    }
    if (skip_symbol("*")) {
      ensure(call.splat_list == nullptr && call.splat_dict == nullptr);
      call.splat_list = parse_expression();
    } else if (skip_symbol("**")) {
      ensure(call.splat_dict == nullptr);
      call.splat_dict = parse_expression();
    } else if (now().kind == TokenKind::name && ahead().kind == TokenKind::symbol && ahead().text == "=") {
      ensure(call.splat_dict == nullptr);
      std::string name = take().text;
      take();
      ExpressionPtr value = parse_expression();
      call.depth = std::max(call.depth, value->depth + 1);
      call.keywords.emplace_back(std::move(name), std::move(value));
    } else {
      ensure(call.splat_list == nullptr && call.splat_dict == nullptr && call.keywords.empty());
      add(call, parse_expression());
    }
  }
  expect_symbol(")");
}

ExpressionPtr Parser::parse_call(ExpressionPtr callee) {
  ExpressionPtr node = make(ExpressionKind::call, {}, std::move(callee));
  parse_arguments(*node);
  return node;
}

ExpressionPtr Parser::parse_filter_chain(ExpressionPtr input, bool start_inline) {
  while (is_symbol("|") || start_inline) {
    if (!start_inline) take();
    start_inline = false;
    std::string name = expect_name();
    while (skip_symbol(".")) name.append(1, '.').append(expect_name());
    if (!soft_ && !has_filter(name)) raise(fmt::format("No filter named '{}'.", name), now().line);
    ExpressionPtr node = make(ExpressionKind::filter, std::move(name), std::move(input));
    if (is_symbol("(")) parse_arguments(*node);
    input = std::move(node);
  }
  return input;
}

ExpressionPtr Parser::parse_test(ExpressionPtr input) {
  take();
  const bool negated = skip_name("not");
  std::string name = expect_name();
  while (skip_symbol(".")) name.append(1, '.').append(expect_name());
  if (!soft_ && !has_test(name)) raise(fmt::format("No test named '{}'.", name), now().line);
  ExpressionPtr node = make(ExpressionKind::test, std::move(name), std::move(input));
  const TokenKind kind = now().kind;
  if (is_symbol("(")) {
    parse_arguments(*node);
  } else if ((kind == TokenKind::name || kind == TokenKind::string || kind == TokenKind::integer ||
              kind == TokenKind::floating || is_symbol("[") || is_symbol("{")) &&
             !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) raise("You cannot chain multiple tests with is", now().line);
    add(*node, parse_postfix(parse_primary()));
  }
  return negated ? make(ExpressionKind::logical_not, {}, std::move(node)) : std::move(node);
}

}  // namespace plait::text::jinja
