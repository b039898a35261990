// SPDX-License-Identifier: Apache-2.0
//
// Where the time of forward passes goes.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>

namespace plait::models {

enum class StepPart { embedding, norm, quantise, product, rotate_store, attention, activation, residual, logits };

inline constexpr std::array<std::string_view, 9> kStepPartNames{
    "embedding", "norms",      "quantise rows", "products",       "rotate and store",
    "attention", "activation", "residual",      "output and caps"};

/// Adds up seconds by part: each lap goes to the part that it names. One thread.
class StepClock {
 public:
  using Clock = std::chrono::steady_clock;

  void start() { last_ = Clock::now(); }
  void lap(StepPart part) {
    const Clock::time_point now = Clock::now();
    seconds_[static_cast<std::size_t>(part)] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }
  [[nodiscard]] double seconds(StepPart part) const { return seconds_[static_cast<std::size_t>(part)]; }
  [[nodiscard]] double total() const {
    double sum = 0;
    for (const double value : seconds_) sum += value;
    return sum;
  }

 private:
  Clock::time_point last_ = {};
  std::array<double, kStepPartNames.size()> seconds_ = {};
};

}  // namespace plait::models
