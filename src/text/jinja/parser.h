// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace plait::text::jinja {

/// Recursive descent over tokens, with Jinja's precedences. Raises Failure. One object parses one template.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  Program parse();

 private:
  // Guards recursion; one per level of nesting in the source.
  class Nesting {
   public:
    explicit Nesting(Parser& parser);
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser& parser_;
  };
  struct MacroNames {
    bool caller = false, kwargs = false, varargs = false;
  };

  // Tokens.
  [[nodiscard]] const Token& now() const { return tokens_[at_]; }
  [[nodiscard]] const Token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& take();
  [[nodiscard]] bool is_symbol(std::string_view text) const;
  [[nodiscard]] bool is_name(std::string_view text) const;
  bool skip_symbol(std::string_view text);
  bool skip_name(std::string_view text);
  void expect_symbol(std::string_view text);
  std::string expect_name();
  void expect_block_end();
  [[noreturn]] void unexpected(std::string_view wanted = {}) const;

  // Statements (parser.cc).
  Body parse_body(std::initializer_list<std::string_view> ends);
  std::unique_ptr<Statement> parse_statement();
  std::unique_ptr<Statement> parse_if();
  std::unique_ptr<Statement> parse_for();
  std::unique_ptr<Statement> parse_set();
  std::unique_ptr<Statement> parse_macro();
  std::unique_ptr<Statement> parse_call_block();
  std::unique_ptr<Statement> parse_filter_block();
  std::unique_ptr<Statement> parse_with();
  std::unique_ptr<Statement> parse_loop_control(StatementKind kind);
  std::vector<Parameter> parse_parameters();
  Target parse_target(bool with_attribute, bool with_tuple);
  Target parse_target_part(bool with_attribute);
  Body parse_inner(std::string_view end, bool keeps_loop);
  std::unique_ptr<Statement> make(StatementKind kind) const;

  // Expressions (parser_expression.cc).
  ExpressionPtr parse_expression(bool with_conditional = true);
  ExpressionPtr parse_conditional();
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concat();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filter = true);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_tuple(bool with_conditional, bool explicit_parentheses, std::string_view end_name = {});
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr node);
  ExpressionPtr parse_filters(ExpressionPtr node);
  ExpressionPtr parse_subscript(ExpressionPtr node);
  ExpressionPtr parse_index(ExpressionPtr object);
  ExpressionPtr parse_call(ExpressionPtr callee);
  ExpressionPtr parse_filter_chain(ExpressionPtr input, bool start_inline);
  ExpressionPtr parse_test(ExpressionPtr input);
  void parse_arguments(Expression& call);
  [[nodiscard]] bool tuple_ends(std::string_view end_name) const;
  ExpressionPtr make(ExpressionKind kind, std::string name = {}) const;
  template <class... Items>
  ExpressionPtr make(ExpressionKind kind, std::string name, Items... items) const;
  void add(Expression& parent, ExpressionPtr child) const;
  void note_name(std::string_view name);

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::size_t nesting_ = 0;
  std::size_t loops_ = 0;  // around the current place, for break and continue
  bool soft_ = false;      // inside a condition an unknown filter fails only when it is reached
  std::vector<MacroNames> macros_;
};

}  // namespace plait::text::jinja
