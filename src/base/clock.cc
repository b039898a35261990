// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <chrono>

namespace plait::base {
namespace {

class SteadyClock final : public Clock {
 public:
  [[nodiscard]] double now() const override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
};

}  // namespace

const Clock& steady_clock() {
  static const SteadyClock clock;
  return clock;
}

}  // namespace plait::base
