// SPDX-License-Identifier: Apache-2.0
//
// A parsed template. Trees know their depth; the parser refuses what nests beyond kTreeDepthMax, so that walking and
// freeing them needs bounded stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace plait::text::jinja {

inline constexpr std::size_t kTreeDepthMax = 250;

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

enum class ExpressionKind : std::uint8_t {
  constant,     ///< value
  name,         ///< name
  list,         ///< items
  tuple,        ///< items
  dict,         ///< items: key, value, key, value, ...
  unary,        ///< name: "-" or "+"; items: operand
  binary,       ///< name: + - * / // % **; items: left, right
  concat,       ///< items
  compare,      ///< items: first and the others; operators: one for each of the others
  logical_and,  ///< items: left, right
  logical_or,   ///< items: left, right
  logical_not,  ///< items: operand
  conditional,  ///< items: test, then, else (may be null)
  attribute,    ///< name; items: object
  subscript,    ///< items: object, index
  slice,        ///< items: object, start, stop, step (each may be null)
  call,         ///< items: callee, then positional arguments; keywords; splat_list, splat_dict
  filter,       ///< name; items: input (null inside a filter block), then arguments; keywords and splats as in call
  test,         ///< name; items: input, then arguments; keywords and splats as in call
};

struct Expression {
  ExpressionKind kind;
  int line = 0;
  std::size_t depth = 1;
  std::string name = {};
  Value value = {};
  std::vector<ExpressionPtr> items = {};
  std::vector<std::string> operators = {};
  std::vector<std::pair<std::string, ExpressionPtr>> keywords = {};
  ExpressionPtr splat_list = {};
  ExpressionPtr splat_dict = {};
};

/// What can be assigned: a name, a namespace's attribute (`attribute` not empty), or a tuple of targets.
struct Target {
  std::string name = {};
  std::string attribute = {};
  std::vector<Target> parts = {};
  bool is_tuple = false;
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

struct Parameter {
  std::string name;
  ExpressionPtr fallback;  ///< May be null.
};

enum class StatementKind : std::uint8_t {
  data,          ///< text
  output,        ///< expressions[0]
  branch,        ///< expressions: tests; bodies: one for each test, then perhaps the else body
  loop,          ///< target; expressions: iterable, filter (may be null); bodies: body, else body; recursive
  set,           ///< target; expressions[0]
  set_block,     ///< target; expressions: filter chain (may be null); bodies[0]
  macro,         ///< text: name; parameters; bodies[0]
  call_block,    ///< expressions[0]: the call; parameters of `caller`; bodies[0]
  filter_block,  ///< expressions[0]: filter chain; bodies[0]
  with,          ///< targets and expressions in pairs; bodies[0]
  scope,         ///< bodies[0] in a scope of its own
  loop_break,
  loop_continue,
};

struct Statement {
  StatementKind kind;
  int line = 0;
  std::string text = {};
  std::vector<ExpressionPtr> expressions = {};
  std::vector<Body> bodies = {};
  std::vector<Target> targets = {};
  std::vector<Parameter> parameters = {};
  bool recursive = false;
  bool has_else = false;
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;  ///< Macros: which names the body mentions.
};

struct Program {
  Body body;
};

}  // namespace plait::text::jinja
