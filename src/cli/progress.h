// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/units.h"

namespace plait::cli {

/// What is counted.
enum class ProgressUnit { bytes, pieces };

/// One line of a progress bar, at most `width` columns: "fetching  45 % [=====>      ]  44.3 MiB of 93.8 MiB  12.1
/// MiB/s  0:04". `rate`: bytes per second, 0 if unknown; then rate and time left are not shown. `note` stands before
/// the time left.
[[nodiscard]] std::string progress_line(std::string_view what, base::Bytes done, base::Bytes total, double rate,
                                        int width, ProgressUnit unit = ProgressUnit::bytes, std::string_view note = {});

/// A bar on standard error while long work runs. Draws nothing unless standard error is a terminal and `wanted`.
/// Not thread-safe.
class ProgressBar {
 public:
  explicit ProgressBar(bool wanted, ProgressUnit unit = ProgressUnit::bytes);
  ~ProgressBar();  ///< Wipes the bar.
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Shows `done` of `total`, at most ten times a second; costs little when called more often. Another `what` starts
  /// anew.
  void update(std::string_view what, base::Bytes done, base::Bytes total, std::string_view note = {});
  /// Wipes the bar, so that something else can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool active_;
  ProgressUnit unit_;
  bool drawn_ = false;
  std::string what_;
  base::Bytes first_done_ = 0;  // the rate counts from here: what an earlier pull left is not speed
  Clock::time_point first_ = {};
  Clock::time_point last_ = {};
};

}  // namespace plait::cli
