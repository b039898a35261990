// SPDX-License-Identifier: Apache-2.0
//
// Walks a program and writes text. One object renders once; it owns scopes, namespaces and loops, and counts what is
// used up.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/value.h"
#include "text/template.h"

namespace plait::text::jinja {

/// Bounds the stack that a render needs.
inline constexpr std::size_t kDepthMax = 1200;

/// A scope: names and the scope around it. Kept until the end once a macro was made inside.
struct Scope {
  explicit Scope(Scope* outer_scope) : outer(outer_scope) {}
  Scope* outer;
  std::vector<std::pair<std::string, Value>> names;  // few; the last one wins
  bool captured = false;

  [[nodiscard]] const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
};

/// The variable `loop` of a for loop.
struct Loop : Object {
  Loop() : Object(Kind::loop) {}
  std::vector<Value> items;
  std::size_t index0 = 0;
  std::size_t depth0 = 0;
  std::optional<Value> last_changed;
  const Statement* statement = nullptr;  // for recursive loops
  Scope* scope = nullptr;                // where the loop stands
};

struct Cycler : Object {
  Cycler() : Object(Kind::cycler) {}
  std::vector<Value> items;
  std::size_t at = 0;
};

struct Joiner : Object {
  Joiner() : Object(Kind::joiner) {}
  std::string separator;
  bool used = false;
};

class Interpreter {
 public:
  Interpreter(const Json& variables, const RenderOptions& options);
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  /// Raises Failure; line() tells where.
  std::string render(const Program& program);
  [[nodiscard]] int line() const { return line_; }

  // For the library.
  Value call(const Value& callee, Arguments& arguments);
  Value attribute(const Value& object, std::string_view name);  ///< object.name
  Value subscript(const Value& object, const Value& index);     ///< object[index]
  /// Counts work in bytes made or read; raises beyond the limit.
  void charge(std::size_t bytes);
  void charge(const Value& value) { charge(value.extent().weight); }  ///< All it holds.
  void charge_shallow(const Value& value);                            ///< A string's bytes or a container's slots.
  void step();
  Namespace* make_namespace();
  Cycler* make_cycler();
  Joiner* make_joiner();
  [[nodiscard]] const RenderOptions& options() const { return options_; }
  Value recurse(Loop& loop, const Value& items);

 private:
  enum class Flow : std::uint8_t { next, loop_break, loop_continue };
  class Deeper {  // one level of expressions, bodies or calls within each other
   public:
    explicit Deeper(Interpreter& interpreter) : depth_(interpreter.depth_) {
      if (depth_ >= kDepthMax) raise_limit("the template nests too deeply while it runs");
      ++depth_;
    }
    ~Deeper() { --depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    std::size_t& depth_;
  };
  class ScopeGuard;

  // Statements (interpreter.cc).
  Flow run(const Body& body);
  Flow run(const Statement& statement);
  Flow run_branch(const Statement& statement);
  Flow run_loop(const Statement& statement, const Value& iterable, std::size_t depth);
  Flow run_with(const Statement& statement);
  std::vector<Value> loop_items(const Statement& statement, const Value& iterable);
  void run_set(const Statement& statement);
  Flow run_block(const Statement& statement);
  void run_call_block(const Statement& statement);
  void assign(const Target& target, const Value& value);
  Value make_macro(const Statement& statement, std::string name);
  Value call_macro(const Statement& statement, Scope* home, Arguments& arguments);
  void bind_rest(const Statement& statement, Arguments& arguments, std::vector<bool>& used, std::size_t taken);
  void write(std::string_view text);

  // Expressions (evaluate.cc).
  Value evaluate(const Expression& node);
  Value evaluate_name(const Expression& node);
  Value evaluate_items(const Expression& node);
  Value evaluate_compare(const Expression& node);
  Value evaluate_concat(const Expression& node);
  Value evaluate_slice(const Expression& node);
  Value evaluate_call(const Expression& node);
  Value evaluate_filter(const Expression& node, const Value* block_input);
  Value evaluate_test(const Expression& node);
  Arguments arguments_of(const Expression& node);
  bool compare_one(std::string_view op, const Value& a, const Value& b);
  std::optional<Value> object_attribute(Object& object, std::string_view name);
  std::optional<Value> loop_attribute(Loop& loop, std::string_view name);

  const RenderOptions& options_;
  std::unordered_map<std::string, Value> variables_;
  std::deque<std::unique_ptr<Object>> objects_;
  std::deque<std::unique_ptr<Scope>> kept_scopes_;
  Scope root_{nullptr};
  Scope* scope_ = &root_;
  std::string out_;
  int line_ = 1;
  std::size_t depth_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t work_bytes_ = 0;
};

}  // namespace plait::text::jinja
