// SPDX-License-Identifier: Apache-2.0
//
// Where the time of forward passes goes.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>

namespace plait::models {

/// `rows`: residual additions, norms and the quantising of rows between products.
enum class StepPart { embedding, rows, product, rotate_store, attention, activation, logits };

inline constexpr std::array<std::string_view, 7> kStepPartNames{
    "embedding", "rows between products", "products", "rotate and store", "attention", "activation", "output and caps"};

/// Adds up seconds by part: each lap goes to the part that it names. One thread at a time.
class StepClock {
 public:
  using Clock = std::chrono::steady_clock;

  /// The seconds since it was made, if there is a clock; else nothing, at no cost.
  class Stopwatch {
   public:
    explicit Stopwatch(const StepClock* clock) : runs_(clock != nullptr) {
      if (runs_) start_ = Clock::now();
    }
    [[nodiscard]] double seconds() const {
      return runs_ ? std::chrono::duration<double>(Clock::now() - start_).count() : 0;
    }

   private:
    bool runs_;
    Clock::time_point start_ = {};
  };

  void start() { last_ = Clock::now(); }
  void lap(StepPart part) {
    const Clock::time_point now = Clock::now();
    seconds_[static_cast<std::size_t>(part)] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }
  /// Some seconds of laps were another part's.
  void move(StepPart from, StepPart to, double seconds) {
    seconds_[static_cast<std::size_t>(from)] -= seconds;
    seconds_[static_cast<std::size_t>(to)] += seconds;
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
