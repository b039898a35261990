// SPDX-License-Identifier: Apache-2.0
//
// Programs over values that come later, written from top to bottom: a coroutine that waits for a Value where it reads
// it, and is a Value itself.
//
//   Program<std::string> two_drafts(State root) {
//     const auto forks = root.fork(2);
//     const auto first = forks[0].gen("draft", {});           // both run from here on
//     const auto second = forks[1].gen("draft", {});
//     PLAIT_CO_TRY(const Capture one, co_await first);
//     PLAIT_CO_TRY(const Capture two, co_await second);
//     co_return one.text + two.text;
//   }
//
// It runs at once until it first has to wait, and goes on inside whatever keeps the value. Its frame is gone before
// whoever waits for it is told. A value that is never kept leaves it waiting for ever, so what it asked for has to end:
// State::cancel() sees to that for strands.
//
// Parameters live as long as the program; what they point to must, too. One thread, as everything here.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "reasoning/value.h"

namespace plait::reasoning {

template <class T>
class [[nodiscard]] Program {
 public:
  struct promise_type {
    Promise<T> promise = {};
    std::optional<base::Result<T>> result = {};

    Program get_return_object() { return Program(promise.value()); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Tell {
        bool await_ready() noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> frame) noexcept {
          const Promise<T> to = frame.promise().promise;
          base::Result<T> said = *std::move(frame.promise().result);
          frame.destroy();
          to.keep(std::move(said));
        }
        void await_resume() noexcept {}
      };
      return Tell{};
    }
    void return_value(base::Result<T> said) { result.emplace(std::move(said)); }
    void unhandled_exception() { PLAIT_CHECK(false); }  // nothing here throws but for want of memory
  };

  [[nodiscard]] const Value<T>& value() const { return value_; }

 private:
  explicit Program(Value<T> value) : value_(std::move(value)) {}

  Value<T> value_;
};

/// `co_await value` inside a Program: its result, an error included.
template <class T>
auto operator co_await(Value<T> value) {
  struct Wait {
    Value<T> value;
    [[nodiscard]] bool await_ready() const { return value.ready(); }
    void await_suspend(std::coroutine_handle<> frame) const {
      value.then([frame](const base::Result<T>&) { frame.resume(); });
    }
    [[nodiscard]] base::Result<T> await_resume() const { return value.result(); }
  };
  return Wait{std::move(value)};
}

template <class T>
auto operator co_await(const Program<T>& program) {
  return operator co_await(program.value());
}

}  // namespace plait::reasoning

#define PLAIT_CO_TRY_IMPL(name, declaration, ...)                \
  auto name = __VA_ARGS__;                                       \
  if (!name) co_return std::unexpected(std::move(name).error()); \
  declaration = *std::move(name)
/// As PLAIT_TRY, in a Program.
#define PLAIT_CO_TRY(declaration, ...) \
  PLAIT_CO_TRY_IMPL(PLAIT_TRY_JOIN(plait_co_try_, __LINE__), declaration, __VA_ARGS__)
