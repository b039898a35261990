// SPDX-License-Identifier: Apache-2.0
//
// An expected failure is a value: Result<T> holds a T or an Error.
//
//   Result<Config> read(const Path& path) {
//     PLAIT_TRY(auto text, os::read_file(path));        // returns the error to the caller
//     return parse(text);
//   }
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plait::base {

/// What kind of failure it was. The command line turns codes into exit codes; tests check codes, never wording.
enum class ErrorCode {
  invalid_argument,  ///< The caller asked for something that makes no sense: a bad option, a bad request field.
  invalid_data,      ///< A file or message from outside is damaged or lies.
  unsupported,       ///< Well-formed, but something plait does not do.
  not_found,         ///< No such file, model, tensor, key.
  out_of_resources,  ///< Memory, disk space, file handles, or a limit that was set.
  io,                ///< The machine failed at reading or writing.
  network,           ///< A connection failed, timed out or gave a bad answer.
  busy,              ///< Somebody else holds it; trying later may work.
  interrupted,       ///< The user or a deadline stopped it.
  internal,          ///< A bug in plait that fails only this request.
};

/// The code's name, as in `invalid_data`.
[[nodiscard]] std::string_view name(ErrorCode code);

/// A failure: what happened in one line (what, where, what to do next), and outer layers' context, innermost first.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::vector<std::string> context = {};

  /// The message alone: what a user sees.
  [[nodiscard]] const std::string& text() const { return message; }
  /// The message with its chain of contexts: what `-v` shows.
  [[nodiscard]] std::string chain() const;

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = std::expected<T, Error>;

/// `return fail(ErrorCode::invalid_data, "...")` in a function that returns any Result.
[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected<Error>(Error{code, std::move(message), {}});
}

/// Passes an Error on with one more line of context.
[[nodiscard]] inline std::unexpected<Error> fail(Error error, std::string context) {
  error.context.push_back(std::move(context));
  return std::unexpected<Error>(std::move(error));
}

}  // namespace plait::base

#define PLAIT_TRY_JOIN2(a, b) a##b
#define PLAIT_TRY_JOIN(a, b) PLAIT_TRY_JOIN2(a, b)
#define PLAIT_TRY_IMPL(name, declaration, ...)                \
  auto name = (__VA_ARGS__);                                  \
  if (!name) return std::unexpected(std::move(name).error()); \
  declaration = *std::move(name)
/// PLAIT_TRY(auto value, expression): value from a Result<T>, or return its error.
#define PLAIT_TRY(declaration, ...) PLAIT_TRY_IMPL(PLAIT_TRY_JOIN(plait_try_, __LINE__), declaration, __VA_ARGS__)
/// PLAIT_TRY_VOID(expression): go on if a Result<void> (or any Result) holds a value, or return its error.
#define PLAIT_TRY_VOID(...)                                         \
  do {                                                              \
    if (auto plait_try_result = (__VA_ARGS__); !plait_try_result) { \
      return std::unexpected(std::move(plait_try_result).error());  \
    }                                                               \
  } while (false)
