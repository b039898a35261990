// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/library.h"

namespace plait::text::jinja {
namespace {

constexpr std::size_t kNestingInSourceMax = 100;

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::block_end:
      return "end of statement block";
    case TokenKind::variable_end:
      return "end of print statement";
    case TokenKind::end:
      return "end of template";
    case TokenKind::data:
    case TokenKind::block_begin:
    case TokenKind::variable_begin:
      return "template data";
    default:
      return fmt::format("'{}'", token.text);
  }
}

bool loads_templates(std::string_view tag) {
  return tag == "include" || tag == "import" || tag == "from" || tag == "extends" || tag == "block";
}

}  // namespace

Parser::Nesting::Nesting(Parser& parser) : parser_(parser) {
  if (parser.nesting_ >= kNestingInSourceMax) raise_limit("the template is nested too deeply", parser.now().line);
  ++parser.nesting_;
}

const Token& Parser::take() {
  const Token& token = tokens_[at_];
  if (token.kind != TokenKind::end) ++at_;
  return token;
}

bool Parser::is_symbol(std::string_view text) const { return now().kind == TokenKind::symbol && now().text == text; }
bool Parser::is_name(std::string_view text) const { return now().kind == TokenKind::name && now().text == text; }

bool Parser::skip_symbol(std::string_view text) {
  if (!is_symbol(text)) return false;
  take();
  return true;
}

bool Parser::skip_name(std::string_view text) {
  if (!is_name(text)) return false;
  take();
  return true;
}

void Parser::expect_symbol(std::string_view text) {
  if (!skip_symbol(text)) unexpected(fmt::format("'{}'", text));
}

std::string Parser::expect_name() {
  if (now().kind != TokenKind::name) unexpected("a name");
  return take().text;
}

void Parser::expect_block_end() {
  if (now().kind != TokenKind::block_end) unexpected("end of statement block");
  take();
}

void Parser::unexpected(std::string_view wanted) const {
  const std::string expected = wanted.empty() ? std::string() : fmt::format(", expected {}", wanted);
  raise(fmt::format("unexpected {}{}", describe(now()), expected), now().line);
}

std::unique_ptr<Statement> Parser::make(StatementKind kind) const {
  auto node = std::make_unique<Statement>();
  node->kind = kind;
  node->line = now().line;
  return node;
}

Program Parser::parse() {
  Program program;
  program.body = parse_body({});
  return program;
}

// Statements up to a tag that begins with one of `ends`; that tag's name is the next token then.
Body Parser::parse_body(std::initializer_list<std::string_view> ends) {
  const Nesting nesting(*this);
  Body body;
  while (true) {
    switch (now().kind) {
      case TokenKind::data:
        body.push_back(make(StatementKind::data));
        body.back()->text = take().text;
        break;
      case TokenKind::variable_begin:
        take();
        body.push_back(make(StatementKind::output));
        body.back()->expressions.push_back(parse_tuple(true, false));
        if (now().kind != TokenKind::variable_end) unexpected("end of print statement");
        take();
        break;
      case TokenKind::block_begin:
        take();
        if (now().kind == TokenKind::name && std::ranges::find(ends, std::string_view(now().text)) != ends.end()) {
          return body;
        }
        body.push_back(parse_statement());
        expect_block_end();
        break;
      default:
        if (ends.size() != 0)
          raise(fmt::format("Unexpected end of template, expected '{}'", *ends.begin()), now().line);
        return body;
    }
  }
}

// A body that ends at the tag `end`, which is taken. `keeps_loop`: break and continue inside belong to the loop around.
Body Parser::parse_inner(std::string_view end, bool keeps_loop) {
  skip_symbol(":");
  expect_block_end();
  const bool soft = std::exchange(soft_, false);
  const std::size_t loops = std::exchange(loops_, keeps_loop ? loops_ : 0);
  Body body = parse_body({end});
  take();
  soft_ = soft;
  loops_ = loops;
  return body;
}

std::unique_ptr<Statement> Parser::parse_statement() {
  if (now().kind != TokenKind::name) unexpected("a tag name");
  const std::string& tag = now().text;
  if (tag == "if") return parse_if();
  if (tag == "for") return parse_for();
  if (tag == "set") return parse_set();
  if (tag == "macro") return parse_macro();
  if (tag == "call") return parse_call_block();
  if (tag == "filter") return parse_filter_block();
  if (tag == "with") return parse_with();
  if (tag == "break") return parse_loop_control(StatementKind::loop_break);
  if (tag == "continue") return parse_loop_control(StatementKind::loop_continue);
  if (tag == "generation") {
    auto node = make(StatementKind::scope);
    take();
    node->bodies.push_back(parse_inner("endgeneration", false));
    return node;
  }
  if (tag == "print") {
    take();
    auto node = make(StatementKind::output);
    node->expressions.push_back(parse_tuple(true, false));
    return node;
  }
  if (loads_templates(tag)) {
    throw Failure{base::ErrorCode::unsupported, fmt::format("the tag '{}' is not supported", tag), now().line};
  }
  raise(fmt::format("Encountered unknown tag '{}'.", tag), now().line);
}

std::unique_ptr<Statement> Parser::parse_if() {
  auto node = make(StatementKind::branch);
  const bool soft = std::exchange(soft_, true);
  take();
  while (true) {
    node->expressions.push_back(parse_tuple(false, false));
    skip_symbol(":");
    expect_block_end();
    node->bodies.push_back(parse_body({"elif", "else", "endif"}));
    const std::string tag = take().text;
    if (tag == "elif") continue;
    if (tag == "else") {
      skip_symbol(":");
      expect_block_end();
      node->bodies.push_back(parse_body({"endif"}));
      node->has_else = true;
      take();
    }
    break;
  }
  soft_ = soft;
  return node;
}

std::unique_ptr<Statement> Parser::parse_for() {
  auto node = make(StatementKind::loop);
  take();
  node->targets.push_back(parse_target(false, true));
  if (!skip_name("in")) unexpected("'in'");
  node->expressions.push_back(parse_tuple(false, false, "recursive"));
  const bool soft = std::exchange(soft_, false);
  node->expressions.push_back(skip_name("if") ? parse_expression() : nullptr);
  node->recursive = skip_name("recursive");
  skip_symbol(":");
  expect_block_end();
  ++loops_;
  node->bodies.push_back(parse_body({"endfor", "else"}));
  --loops_;
  if (take().text == "else") {
    skip_symbol(":");
    expect_block_end();
    node->bodies.push_back(parse_body({"endfor"}));
    node->has_else = true;
    take();
  }
  soft_ = soft;
  return node;
}

Target Parser::parse_target_part(bool with_attribute) {
  if (skip_symbol("(")) {
    const Nesting nesting(*this);
    Target target = parse_target(with_attribute, true);
    expect_symbol(")");
    return target;
  }
  Target target;
  const int line = now().line;
  target.name = expect_name();
  if (with_attribute && is_symbol(".")) {
    take();
    target.attribute = expect_name();
    note_name(target.name);
  } else if (target.name == "true" || target.name == "True" || target.name == "false" || target.name == "False" ||
             target.name == "none" || target.name == "None") {
    raise("can't assign to 'const'", line);
  }
  return target;
}

Target Parser::parse_target(bool with_attribute, bool with_tuple) {
  Target first = parse_target_part(with_attribute);
  if (!with_tuple || !is_symbol(",")) return first;
  Target tuple;
  tuple.is_tuple = true;
  tuple.parts.push_back(std::move(first));
  while (skip_symbol(",")) {
    if (is_symbol(")") || is_symbol("=") || is_name("in") || now().kind == TokenKind::block_end) break;
    tuple.parts.push_back(parse_target_part(with_attribute));
  }
  return tuple;
}

std::unique_ptr<Statement> Parser::parse_set() {
  auto node = make(StatementKind::set);
  take();
  node->targets.push_back(parse_target(true, true));
  if (skip_symbol("=")) {
    node->expressions.push_back(parse_tuple(true, false));
    return node;
  }
  node->kind = StatementKind::set_block;
  node->expressions.push_back(parse_filter_chain(nullptr, false));
  node->bodies.push_back(parse_inner("endset", true));
  return node;
}

std::vector<Parameter> Parser::parse_parameters() {
  std::vector<Parameter> parameters;
  expect_symbol("(");
  while (!is_symbol(")")) {
    if (!parameters.empty()) expect_symbol(",");
    Parameter parameter;
    parameter.name = expect_name();
    if (skip_symbol("=")) {
      parameter.fallback = parse_expression();
    } else if (!parameters.empty() && parameters.back().fallback != nullptr) {
      raise("non-default argument follows default argument", now().line);
    }
    parameters.push_back(std::move(parameter));
  }
  expect_symbol(")");
  return parameters;
}

std::unique_ptr<Statement> Parser::parse_macro() {
  auto node = make(StatementKind::macro);
  take();
  node->text = expect_name();
  node->parameters = parse_parameters();
  macros_.emplace_back();
  node->bodies.push_back(parse_inner("endmacro", false));
  node->uses_caller = macros_.back().caller;
  node->uses_kwargs = macros_.back().kwargs;
  node->uses_varargs = macros_.back().varargs;
  macros_.pop_back();
  return node;
}

std::unique_ptr<Statement> Parser::parse_call_block() {
  auto node = make(StatementKind::call_block);
  take();
  if (is_symbol("(")) node->parameters = parse_parameters();
  node->expressions.push_back(parse_expression());
  if (node->expressions[0]->kind != ExpressionKind::call) raise("expected call", node->line);
  macros_.emplace_back();
  node->bodies.push_back(parse_inner("endcall", false));
  node->uses_kwargs = macros_.back().kwargs;
  node->uses_varargs = macros_.back().varargs;
  macros_.pop_back();
  return node;
}

std::unique_ptr<Statement> Parser::parse_filter_block() {
  auto node = make(StatementKind::filter_block);
  take();
  node->expressions.push_back(parse_filter_chain(nullptr, true));
  node->bodies.push_back(parse_inner("endfilter", true));
  return node;
}

std::unique_ptr<Statement> Parser::parse_with() {
  auto node = make(StatementKind::with);
  take();
  while (now().kind != TokenKind::block_end) {
    if (!node->targets.empty()) expect_symbol(",");
    node->targets.push_back(parse_target(false, true));
    expect_symbol("=");
    node->expressions.push_back(parse_expression());
  }
  node->bodies.push_back(parse_inner("endwith", true));
  return node;
}

std::unique_ptr<Statement> Parser::parse_loop_control(StatementKind kind) {
  auto node = make(kind);
  if (loops_ == 0) raise(fmt::format("'{}' outside loop", now().text), now().line);
  take();
  return node;
}

}  // namespace plait::text::jinja
