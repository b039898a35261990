// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plait::base {

/// Time that only goes forward, in seconds from an arbitrary beginning. Tests bring their own.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual double now() const = 0;
};

/// The machine's own clock. Any thread.
[[nodiscard]] const Clock& steady_clock();

}  // namespace plait::base
