// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace plait::text::jinja {

/// How the engine gives up; caught in template.cc and turned into a base::Error. Never leaves the text area.
struct Failure {
  base::ErrorCode code = base::ErrorCode::invalid_data;
  std::string message;
  int line = 0;  ///< 0: not known where it was thrown.
};

[[noreturn]] inline void raise(std::string message, int line = 0) {
  throw Failure{base::ErrorCode::invalid_data, std::move(message), line};
}
[[noreturn]] inline void raise_limit(std::string message, int line = 0) {
  throw Failure{base::ErrorCode::out_of_resources, std::move(message), line};
}

}  // namespace plait::text::jinja
