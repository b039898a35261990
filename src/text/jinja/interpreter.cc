// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/jinja/library.h"

namespace plait::text::jinja {

// A scope inside `outer` for as long as the guard lives.
class Interpreter::ScopeGuard {
 public:
  ScopeGuard(Interpreter& interpreter, Scope* outer)
      : interpreter_(interpreter), before_(interpreter.scope_), scope_(std::make_unique<Scope>(outer)) {
    interpreter.scope_ = scope_.get();
  }
  ~ScopeGuard() {
    interpreter_.scope_ = before_;
    if (scope_->captured) interpreter_.kept_scopes_.push_back(std::move(scope_));
  }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Interpreter& interpreter_;
  Scope* before_;
  std::unique_ptr<Scope> scope_;
};

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->outer) {
    for (const auto& [known, value] : scope->names) {
      if (known == name) return &value;
    }
  }
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [known, old] : names) {
    if (known == name) {
      old = std::move(value);
      return;
    }
  }
  names.emplace_back(name, std::move(value));
}

Interpreter::Interpreter(const Json& variables, const RenderOptions& options) : options_(options) {
  if (!variables.is_object()) return;
  for (const auto& [name, value] : variables.items()) variables_.insert_or_assign(name, Value::from_json(value));
}

std::string Interpreter::render(const Program& program) {
  run(program.body);
  return std::move(out_);
}

void Interpreter::charge(std::size_t bytes) {
  work_bytes_ += bytes;
  if (work_bytes_ > options_.limits.work_bytes_max) raise_limit("the template works on too much data");
}

void Interpreter::charge_shallow(const Value& value) {
  if (value.is_string()) {
    charge(value.str().size());
  } else if (value.is_sequence()) {
    charge(value.seq().items.size() * sizeof(Value));
  } else if (value.is_dict()) {
    charge(value.dict().size() * sizeof(Dict::Member));
  }
}

void Interpreter::step() {
  if (++steps_ > options_.limits.steps_max) raise_limit("the template takes too many steps");
}

Namespace* Interpreter::make_namespace() {
  charge(128);
  objects_.push_back(std::make_unique<Namespace>());
  return static_cast<Namespace*>(objects_.back().get());
}

Cycler* Interpreter::make_cycler() {
  charge(128);
  objects_.push_back(std::make_unique<Cycler>());
  return static_cast<Cycler*>(objects_.back().get());
}

Joiner* Interpreter::make_joiner() {
  charge(128);
  objects_.push_back(std::make_unique<Joiner>());
  return static_cast<Joiner*>(objects_.back().get());
}

void Interpreter::write(std::string_view text) {
  if (text.size() > options_.limits.output_bytes_max - out_.size()) raise_limit("the template writes too much");
  charge(text.size());
  out_ += text;
}

Interpreter::Flow Interpreter::run(const Body& body) {
  const Deeper deeper(*this);
  for (const auto& statement : body) {
    const Flow flow = run(*statement);
    if (flow != Flow::next) return flow;
  }
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const Statement& statement) {
  step();
  line_ = statement.line;
  switch (statement.kind) {
    case StatementKind::data:
      write(statement.text);
      break;
    case StatementKind::output: {
      const Value value = evaluate(*statement.expressions[0]);
      charge(value);
      write(value.is_string() ? value.str() : to_string(value));
      break;
    }
    case StatementKind::branch:
      return run_branch(statement);
    case StatementKind::loop:
      return run_loop(statement, evaluate(*statement.expressions[0]), 0);
    case StatementKind::set:
      assign(statement.targets[0], evaluate(*statement.expressions[0]));
      break;
    case StatementKind::set_block:
    case StatementKind::filter_block:
      return run_block(statement);
    case StatementKind::macro:
      scope_->set(statement.text, make_macro(statement, statement.text));
      break;
    case StatementKind::call_block:
      run_call_block(statement);
      break;
    case StatementKind::with:
      return run_with(statement);
    case StatementKind::scope: {
      const ScopeGuard guard(*this, scope_);
      return run(statement.bodies[0]);
    }
    case StatementKind::loop_break:
      return Flow::loop_break;
    case StatementKind::loop_continue:
      return Flow::loop_continue;
  }
  return Flow::next;
}

Interpreter::Flow Interpreter::run_branch(const Statement& statement) {
  for (std::size_t i = 0; i < statement.expressions.size(); ++i) {
    if (truth(evaluate(*statement.expressions[i]))) return run(statement.bodies[i]);
  }
  return statement.has_else ? run(statement.bodies.back()) : Flow::next;
}

Interpreter::Flow Interpreter::run_with(const Statement& statement) {
  std::vector<Value> values;
  for (const ExpressionPtr& expression : statement.expressions) values.push_back(evaluate(*expression));
  const ScopeGuard guard(*this, scope_);
  for (std::size_t i = 0; i < values.size(); ++i) assign(statement.targets[i], values[i]);
  return run(statement.bodies[0]);
}

std::vector<Value> Interpreter::loop_items(const Statement& statement, const Value& iterable) {
  charge_shallow(iterable);
  std::vector<Value> items;
  if (iterable.is_object(Object::Kind::loop)) {
    const Loop& loop = static_cast<const Loop&>(*iterable.object());
    items = loop.items;
  } else {
    items = iterate(iterable);
  }
  if (statement.expressions[1] == nullptr) return items;
  std::vector<Value> kept;
  for (Value& item : items) {
    step();
    const ScopeGuard guard(*this, scope_);
    assign(statement.targets[0], item);
    if (truth(evaluate(*statement.expressions[1]))) kept.push_back(std::move(item));
  }
  return kept;
}

Interpreter::Flow Interpreter::run_loop(const Statement& statement, const Value& iterable, std::size_t depth) {
  const Deeper deeper(*this);
  charge(128);
  objects_.push_back(std::make_unique<Loop>());
  Loop& loop = static_cast<Loop&>(*objects_.back());
  loop.items = loop_items(statement, iterable);
  loop.depth0 = depth;
  loop.scope = scope_;
  if (statement.recursive) loop.statement = &statement;
  bool completed_once = false;
  for (loop.index0 = 0; loop.index0 < loop.items.size(); ++loop.index0) {
    step();
    const ScopeGuard guard(*this, loop.scope);
    scope_->set("loop", Value(&loop));
    assign(statement.targets[0], loop.items[loop.index0]);
    const Flow flow = run(statement.bodies[0]);
    if (flow == Flow::loop_break) break;
    completed_once |= flow == Flow::next;
  }
  if (statement.has_else && !completed_once) {
    const ScopeGuard guard(*this, loop.scope);
    return run(statement.bodies[1]);
  }
  return Flow::next;
}

// `loop(items)` inside a recursive loop: the loop again, one level deeper, as a text.
Value Interpreter::recurse(Loop& loop, const Value& items) {
  if (loop.statement == nullptr) raise("The loop must have the 'recursive' marker to be called recursively.");
  std::string before = std::exchange(out_, {});
  Scope* scope = std::exchange(scope_, loop.scope);
  run_loop(*loop.statement, items, loop.depth0 + 1);
  scope_ = scope;
  return Value::string(std::exchange(out_, std::move(before)));
}

Interpreter::Flow Interpreter::run_block(const Statement& statement) {
  std::string before = std::exchange(out_, {});
  Flow flow = Flow::next;
  {
    const ScopeGuard guard(*this, scope_);
    flow = run(statement.bodies[0]);
  }
  Value text = Value::string(std::exchange(out_, std::move(before)));
  if (flow != Flow::next) return flow;
  const Expression* chain = statement.expressions[0].get();
  const Value result = chain == nullptr ? std::move(text) : evaluate_filter(*chain, &text);
  if (statement.kind == StatementKind::set_block) {
    assign(statement.targets[0], result);
  } else {
    write(to_string(result));
  }
  return Flow::next;
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (target.is_tuple) {
    charge_shallow(value);
    if (!iterable(value)) raise(fmt::format("cannot unpack non-iterable {} object", value.type()));
    const std::vector<Value> items = iterate(value);
    if (items.size() != target.parts.size()) {
      raise(fmt::format("expected {} values to unpack, got {}", target.parts.size(), items.size()));
    }
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
    return;
  }
  if (target.attribute.empty()) {
    scope_->set(target.name, value);
    return;
  }
  const Value* found = scope_->find(target.name);
  if (found == nullptr || !found->is_object(Object::Kind::space)) {
    raise("cannot assign attribute on non-namespace object");
  }
  charge(64);
  static_cast<Namespace&>(*found->object()).values.insert_or_assign(target.attribute, value);
}

Value Interpreter::make_macro(const Statement& statement, std::string name) {
  charge(128);
  for (Scope* scope = scope_; scope != nullptr; scope = scope->outer) scope->captured = true;
  return Value::function(std::move(name), [&statement, home = scope_](Interpreter& interpreter, Arguments& arguments) {
    return interpreter.call_macro(statement, home, arguments);
  });
}

// What the parameters did not take becomes `varargs`, `kwargs` and `caller`, for macros that mention them.
void Interpreter::bind_rest(const Statement& statement, Arguments& arguments, std::vector<bool>& used,
                            std::size_t taken) {
  std::vector<Value> varargs(arguments.positional.begin() + static_cast<std::ptrdiff_t>(taken),
                             arguments.positional.end());
  if (!varargs.empty() && !statement.uses_varargs) {
    raise(fmt::format("macro '{}' takes not more than {} argument(s)", statement.text, statement.parameters.size()));
  }
  if (statement.uses_varargs) scope_->set("varargs", Value::tuple(std::move(varargs)));
  Dict kwargs;
  Value caller = Value::undefined("No caller defined");
  for (std::size_t i = 0; i < used.size(); ++i) {
    const auto& [name, value] = arguments.keywords[i];
    if (used[i]) continue;
    if (statement.uses_caller && name == "caller") {
      caller = value;
    } else if (statement.uses_kwargs && name != "caller") {
      kwargs.set(Value::string(name), value);
    } else {
      raise(fmt::format("macro '{}' takes no keyword argument '{}'", statement.text, name));
    }
  }
  const bool named = std::ranges::any_of(statement.parameters, [](const Parameter& p) { return p.name == "caller"; });
  if (statement.uses_caller && !named) scope_->set("caller", caller);
  if (statement.uses_kwargs) scope_->set("kwargs", Value::dict(std::move(kwargs)));
}

Value Interpreter::call_macro(const Statement& statement, Scope* home, Arguments& arguments) {
  const Deeper deeper(*this);
  const int line = line_;
  std::string before = std::exchange(out_, {});
  {
    const ScopeGuard guard(*this, home);
    std::vector<bool> used(arguments.keywords.size(), false);
    std::size_t taken = 0;
    for (const Parameter& parameter : statement.parameters) {
      const auto keyword = std::ranges::find(arguments.keywords, parameter.name, [](const auto& k) { return k.first; });
      if (taken < arguments.positional.size()) {
        if (keyword != arguments.keywords.end()) {
          raise(fmt::format("macro '{}' got multiple values for argument '{}'", statement.text, parameter.name));
        }
        scope_->set(parameter.name, arguments.positional[taken++]);
      } else if (keyword != arguments.keywords.end()) {
        used[static_cast<std::size_t>(keyword - arguments.keywords.begin())] = true;
        scope_->set(parameter.name, keyword->second);
      } else if (parameter.fallback != nullptr) {
        scope_->set(parameter.name, evaluate(*parameter.fallback));
      } else {
        scope_->set(parameter.name, Value::undefined(fmt::format("parameter '{}' was not provided", parameter.name)));
      }
    }
    bind_rest(statement, arguments, used, taken);
    run(statement.bodies[0]);
  }
  line_ = line;
  return Value::string(std::exchange(out_, std::move(before)));
}

void Interpreter::run_call_block(const Statement& statement) {
  const Expression& node = *statement.expressions[0];
  const Value callee = evaluate(*node.items[0]);
  Arguments arguments = arguments_of(node);
  arguments.keywords.emplace_back("caller", make_macro(statement, "caller"));
  write(to_string(call(callee, arguments)));
}

// `call` of anything callable; see evaluate.cc for what is.
Value Interpreter::call(const Value& callee, Arguments& arguments) {
  step();
  const Deeper deeper(*this);
  if (callee.is_callable()) return callee.callable().function(*this, arguments);
  if (callee.is_undefined()) raise_undefined(callee);
  if (callee.is_object(Object::Kind::loop)) {
    const auto bound = arguments.bind("loop", {"iterable"}, 1);
    return recurse(static_cast<Loop&>(*callee.object()), *bound[0]);
  }
  if (callee.is_object(Object::Kind::joiner)) {
    Joiner& joiner = static_cast<Joiner&>(*callee.object());
    return Value::string(std::exchange(joiner.used, true) ? joiner.separator : std::string());
  }
  raise(fmt::format("'{}' object is not callable", callee.type()));
}

}  // namespace plait::text::jinja
