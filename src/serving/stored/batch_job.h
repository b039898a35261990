// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "serving/stored/batches.h"

namespace plait::serving {

/// A batch that is not over.
struct Batches::Job {
  const std::string id;
  const std::string owner;
  const std::string client;  // of the scheduler
  const double weight = 1;
  const std::string input;  // the file's id
  const std::string endpoint;
  const std::int64_t expires = 0;

  // Under mutex_, and changed by change() only, but for the counts.
  text::Json shown = {};
  std::size_t completed = 0;  // so far; `shown` has them when it is over
  std::size_t failed = 0;

  // Under mutex_.
  std::uint64_t arrival = 0;
  bool runs = false;
  double not_before = 0;  // by the steady clock
};

inline constexpr std::string_view kBatchKind = "batch";

/// Whether a batch with this status is over.
[[nodiscard]] bool is_over(std::string_view status);

}  // namespace plait::serving
