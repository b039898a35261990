// SPDX-License-Identifier: Apache-2.0
//
// A result that may come later. Whoever asked for it goes on, and waits only where it is read.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/result.h"

namespace plait::reasoning {

/// The reading end. Copies speak of the same result. One thread, as everything here.
template <class T>
class Value {
 public:
  using Call = std::function<void(const base::Result<T>&)>;

  [[nodiscard]] bool ready() const { return shared_->result.has_value(); }
  /// An error surfaces here and nowhere else. Requires: ready().
  [[nodiscard]] const base::Result<T>& result() const {
    PLAIT_CHECK(ready());
    return *shared_->result;
  }
  /// Calls back once: now if it is ready, else when it becomes so, perhaps within Engine::step().
  void then(Call call) const {
    if (ready()) return call(*shared_->result);
    shared_->calls.push_back(std::move(call));
  }

 private:
  template <class U>
  friend class Promise;
  struct Shared {
    std::optional<base::Result<T>> result = {};
    std::vector<Call> calls = {};
  };
  explicit Value(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  std::shared_ptr<Shared> shared_;
};

/// The writing end.
template <class T>
class Promise {
 public:
  [[nodiscard]] Value<T> value() const { return Value<T>(shared_); }
  [[nodiscard]] bool kept() const { return shared_->result.has_value(); }
  /// Requires: the first time.
  void keep(base::Result<T> result) const {
    const auto shared = shared_;  // a call may end whoever holds this
    PLAIT_CHECK(!shared->result.has_value());
    shared->result.emplace(std::move(result));
    for (const auto& call : std::exchange(shared->calls, {})) call(*shared->result);
  }

 private:
  std::shared_ptr<typename Value<T>::Shared> shared_ = std::make_shared<typename Value<T>::Shared>();
};

}  // namespace plait::reasoning
