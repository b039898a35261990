// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

namespace plait::base {

std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::invalid_data:
      return "invalid_data";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::out_of_resources:
      return "out_of_resources";
    case ErrorCode::io:
      return "io";
    case ErrorCode::network:
      return "network";
    case ErrorCode::busy:
      return "busy";
    case ErrorCode::interrupted:
      return "interrupted";
    case ErrorCode::internal:
      return "internal";
  }
  return "unknown";
}

std::string Error::chain() const {
  std::string text = message;
  for (const std::string& line : context) text += "\n  " + line;
  return text;
}

}  // namespace plait::base
