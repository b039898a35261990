// SPDX-License-Identifier: Apache-2.0
//
// Values as Python templates know them. All but namespaces, loops and half-read generators are immutable and shared, so
// copies are cheap. Containers know how deeply they nest and refuse to nest beyond kNestingMax: recursion over values
// is bounded by that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/failure.h"
#include "text/json.h"

namespace plait::text::jinja {

__extension__ using Int = __int128;

inline constexpr std::size_t kNestingMax = 200;
/// What a value and all it holds may weigh when written out, in bytes: shared parts count each time, as they do in
/// texts.
inline constexpr std::size_t kWeightMax = std::size_t{64} << 20U;

/// How deep a value nests and what it weighs. Grows with what is put in; raises beyond the limits.
struct Extent {
  std::size_t depth = 1;
  std::size_t weight = 1;
  void hold(const Extent& inner);
};

class Value;
class Interpreter;
struct Arguments;

/// Valid UTF-8 with its length in code points.
struct Text {
  std::string bytes;
  std::size_t length = 0;
  bool markup = false;  ///< Marked as safe HTML: what is joined to it gets escaped.
  [[nodiscard]] bool ascii() const { return length == bytes.size(); }
};

struct Undefined {
  std::string hint;  ///< What a use of it says.
};

enum class SequenceKind : std::uint8_t { list, tuple, range, keys, values, items, generator };

struct Sequence {
  SequenceKind kind = SequenceKind::list;
  std::vector<Value> items;
  Extent extent;
  std::size_t read = 0;               ///< Generators: what was already taken.
  Int start = 0, stop = 0, step = 1;  ///< Ranges: for printing.
  bool is_group = false;              ///< Tuples: made by groupby, has `grouper` and `list`.
};

class Dict {
 public:
  using Member = std::pair<Value, Value>;
  /// Sets or replaces. Raises for keys that have no hash.
  void set(const Value& key, Value value);
  /// Null if absent. Raises for keys that have no hash.
  [[nodiscard]] const Value* find(const Value& key) const;
  [[nodiscard]] const Value* find(std::string_view key) const;
  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] const Extent& extent() const { return extent_; }

 private:
  [[nodiscard]] std::size_t slot(const std::string& key) const;
  std::vector<Member> members_;
  std::unordered_map<std::string, std::size_t> index_;  // by canonical key
  Extent extent_;
};

/// Things with identity and state; owned by the Interpreter, so that cycles do no harm.
struct Object {
  enum class Kind : std::uint8_t { space, loop, cycler, joiner };
  explicit Object(Kind k) : kind(k) {}
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  Kind kind;
};

struct Callable {
  using Function = std::function<Value(Interpreter&, Arguments&)>;
  std::string name;
  Function function;
  Extent extent;
};

struct None {};

class Value {
 public:
  using TextRef = std::shared_ptr<const Text>;
  using SequenceRef = std::shared_ptr<Sequence>;
  using DictRef = std::shared_ptr<const Dict>;
  using CallableRef = std::shared_ptr<const Callable>;
  using UndefinedRef = std::shared_ptr<const Undefined>;

  Value() = default;  ///< None.
  // NOLINTBEGIN(google-explicit-constructor): what a template computes becomes a value without ceremony
  Value(bool value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(Object* object) : data_(object) {}
  Value(CallableRef callable) : data_(std::move(callable)) {}
  Value(DictRef dict) : data_(std::move(dict)) {}
  Value(SequenceRef sequence) : data_(std::move(sequence)) {}
  // NOLINTEND(google-explicit-constructor)
  static Value integer(Int value);
  static Value count(std::size_t value) { return integer(static_cast<Int>(value)); }
  static Value string(std::string valid_utf8, bool markup = false);
  static Value undefined(std::string hint);
  static Value sequence(SequenceKind kind, std::vector<Value> items);
  static Value list(std::vector<Value> items) { return sequence(SequenceKind::list, std::move(items)); }
  static Value tuple(std::vector<Value> items) { return sequence(SequenceKind::tuple, std::move(items)); }
  static Value generator(std::vector<Value> items) { return sequence(SequenceKind::generator, std::move(items)); }
  static Value dict(Dict dict);
  static Value function(std::string name, Callable::Function function, const Value* self = nullptr);
  static Value from_json(const Json& json);

  [[nodiscard]] bool is_undefined() const { return std::holds_alternative<UndefinedRef>(data_); }
  [[nodiscard]] bool is_none() const { return std::holds_alternative<None>(data_); }
  [[nodiscard]] bool is_bool() const { return std::holds_alternative<bool>(data_); }
  [[nodiscard]] bool is_float() const { return std::holds_alternative<double>(data_); }
  [[nodiscard]] bool is_int() const { return std::holds_alternative<Int>(data_); }
  [[nodiscard]] bool is_integral() const { return is_int() || is_bool(); }  ///< As Python: bools are ints.
  [[nodiscard]] bool is_number() const { return is_integral() || is_float(); }
  [[nodiscard]] bool is_string() const { return std::holds_alternative<TextRef>(data_); }
  [[nodiscard]] bool is_sequence() const { return std::holds_alternative<SequenceRef>(data_); }
  [[nodiscard]] bool is_sequence(SequenceKind kind) const { return is_sequence() && seq().kind == kind; }
  [[nodiscard]] bool is_dict() const { return std::holds_alternative<DictRef>(data_); }
  [[nodiscard]] bool is_object() const { return std::holds_alternative<Object*>(data_); }
  [[nodiscard]] bool is_object(Object::Kind kind) const { return is_object() && object()->kind == kind; }
  [[nodiscard]] bool is_callable() const { return std::holds_alternative<CallableRef>(data_); }

  [[nodiscard]] bool boolean() const { return std::get<bool>(data_); }
  [[nodiscard]] Int as_int() const { return is_bool() ? Int{boolean()} : std::get<Int>(data_); }
  [[nodiscard]] double as_double() const {
    return is_float() ? std::get<double>(data_) : static_cast<double>(as_int());
  }
  [[nodiscard]] const Text& text() const { return *std::get<TextRef>(data_); }
  [[nodiscard]] const std::string& str() const { return text().bytes; }
  [[nodiscard]] Sequence& seq() const { return *std::get<SequenceRef>(data_); }
  [[nodiscard]] const Dict& dict() const { return *std::get<DictRef>(data_); }
  [[nodiscard]] Object* object() const { return std::get<Object*>(data_); }
  [[nodiscard]] const Callable& callable() const { return *std::get<CallableRef>(data_); }
  [[nodiscard]] const std::string& hint() const { return std::get<UndefinedRef>(data_)->hint; }

  [[nodiscard]] Extent extent() const;          ///< Depth 0 for what holds nothing.
  [[nodiscard]] bool same(const Value&) const;  ///< Python's `is`.
  [[nodiscard]] std::string_view type() const;  ///< Python's name of the type.

 private:
  std::variant<None, UndefinedRef, bool, Int, double, TextRef, SequenceRef, DictRef, Object*, CallableRef> data_;
};

// Here, because a Member is complete only after Value.
inline std::size_t Dict::size() const { return members_.size(); }

struct Namespace : Object {
  Namespace() : Object(Kind::space) {}
  std::unordered_map<std::string, Value> values;
};

/// What a call was given.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;

  /// Puts keywords behind the positional ones in the order of `names`; absent ones stay undefined-free: nullptr in the
  /// result. Raises for too many, unknown or repeated ones, or fewer than `required`.
  [[nodiscard]] std::vector<const Value*> bind(std::string_view function, std::initializer_list<std::string_view> names,
                                               std::size_t required = 0) const;
  /// Raises if there are any.
  void none(std::string_view function) const;
};

// Python's meaning of values. All raise where Python would.
bool truth(const Value& value);
bool equal(const Value& a, const Value& b, std::size_t depth = 0);
int compare(const Value& a, const Value& b);  ///< <0, 0, >0, and 2 for "neither" (NaN); raises for kinds without order.
bool contains(const Value& container, const Value& item);
std::size_t length(const Value& value);
/// The items that iteration gives: code points of strings, keys of dicts; takes what is left of a generator.
std::vector<Value> iterate(const Value& value);
bool iterable(const Value& value);
[[noreturn]] void raise_undefined(const Value& value);
Value copy_of(const std::vector<Value>& items);

// Text forms (print.cc).
std::string to_string(const Value& value);  ///< str()
std::string repr(const Value& value, std::size_t depth = 0);
std::string repr_string(std::string_view text);
std::string int_to_string(Int value);
std::string float_repr(double value);
struct JsonStyle {
  bool ascii = false;
  int indent = -1;  ///< Negative: one line.
  bool sort_keys = false;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
std::string to_json(const Value& value, const JsonStyle& style);

}  // namespace plait::text::jinja
