// SPDX-License-Identifier: Apache-2.0
//
// Reads the members of a JSON object from outside one by one: each has a kind and a range, null means absent, and what
// nobody asked for is known at the end.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "text/json.h"

namespace plait::serving {

/// Why a request is not answered, as the client is to see it.
struct Refusal {
  int status = 400;  ///< As in HTTP.
  std::string message = {};
  std::string param = {};  ///< The field, "messages[0].role"; empty: null.
  std::string code = {};   ///< "context_length_exceeded"; empty: null.

  friend bool operator==(const Refusal&, const Refusal&) = default;
};

/// What OpenAI's clients know a status by: "authentication_error", "rate_limit_error", …
[[nodiscard]] std::string_view error_type(int status);
/// Has a refusal speak of `theirs` where it says `ours`: once in its message, once in its field.
void rename_field(Refusal& refusal, std::string_view ours, std::string_view theirs);
/// {"error": {"message", "type", "param", "code"}}; the type follows from the status.
[[nodiscard]] text::Json refusal_body(const Refusal& refusal);

template <class T>
using Accepted = std::expected<T, Refusal>;

/// The JSON of a request's body, of any kind.
[[nodiscard]] Accepted<text::Json> parse_body(std::string_view body);

/// A field that does not say what it should. `what` goes on after the field's name: "must be a string".
[[nodiscard]] std::unexpected<Refusal> bad_value(std::string param, std::string_view what);
/// A field that asks for something plait does not do.
[[nodiscard]] std::unexpected<Refusal> not_supported(std::string param, std::string_view what);

/// A range of numbers, its upper end included.
struct Range {
  double low = 0;
  double high = 0;
  bool open_low = false;  ///< `low` itself is outside.
};

/// The members of one object. It must outlive the reader. One thread.
class Fields {
 public:
  /// `prefix` stands before the names in refusals: "plait.". Requires: an object.
  explicit Fields(const text::Json& object, std::string prefix = {});

  /// The member; null if it is absent or null.
  [[nodiscard]] const text::Json* find(std::string_view name);
  /// Refused if it is there and of another kind or out of range; nothing if it is absent.
  [[nodiscard]] Accepted<std::optional<bool>> flag(std::string_view name);
  [[nodiscard]] Accepted<std::optional<std::int64_t>> whole(std::string_view name, std::int64_t low, std::int64_t high);
  [[nodiscard]] Accepted<std::optional<double>> number(std::string_view name, Range range);
  [[nodiscard]] Accepted<std::optional<std::string>> text(std::string_view name);
  [[nodiscard]] Accepted<const text::Json*> object(std::string_view name);

  [[nodiscard]] std::string full_name(std::string_view name) const { return prefix_ + std::string(name); }
  /// Full names of the members that nobody asked for, each at most 100 bytes long.
  [[nodiscard]] std::vector<std::string> unknown() const;

 private:
  const text::Json& object_;
  std::string prefix_;
  std::vector<std::string_view> known_;
};

/// A list of token ids below `vocabulary`. `param` is its name in refusals.
[[nodiscard]] Accepted<std::vector<base::TokenId>> token_list(const text::Json& list, std::size_t vocabulary,
                                                              const std::string& param);

}  // namespace plait::serving
