// SPDX-License-Identifier: Apache-2.0
//
// Checks of the program's own logic. Input from outside never reaches one of these: it gets an Error.
//   PLAIT_CHECK(a <= b, a, b)   always on; a failure means corrupt state: prints the operands and aborts
//   PLAIT_ASSERT(a <= b, a, b)  debug builds only; for `Requires:` lines on hot paths
#pragma once

#include <fmt/format.h>

#include <string>

namespace plait::base {

/// Prints `file:line: what failed (operands)` to standard error and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& operands);

template <class... Args>
std::string print_operands(const char* names, const Args&... args) {
  if constexpr (sizeof...(args) == 0) {
    return {};
  } else {
    std::string text = fmt::format(" [{} =", names);
    ((text += fmt::format(" {}", args)), ...);
    return text + "]";
  }
}

}  // namespace plait::base

#define PLAIT_CHECK(condition, ...)                                                                        \
  do {                                                                                                     \
    if (!(condition)) [[unlikely]]                                                                         \
      ::plait::base::check_failed(__FILE__, __LINE__, #condition,                                          \
                                  ::plait::base::print_operands(#__VA_ARGS__ __VA_OPT__(, ) __VA_ARGS__)); \
  } while (false)

#ifdef NDEBUG
#define PLAIT_ASSERT(condition, ...) static_cast<void>(0)
#else
#define PLAIT_ASSERT(condition, ...) PLAIT_CHECK(condition __VA_OPT__(, ) __VA_ARGS__)
#endif
