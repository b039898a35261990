// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace plait::serving {

/// One finished request, without its contents.
struct AccessRecord {
  std::chrono::system_clock::time_point time;  ///< When its first byte came.
  std::string id;
  std::string client;       ///< The key's name, else the address.
  std::string method;       ///< Empty, as `path`, if the request could not be read.
  std::string path;         ///< Without query.
  int status = 0;           ///< 0: the client was gone before an answer began.
  std::uint64_t bytes = 0;  ///< Of the answer, with its head.
  double seconds = 0;
  bool gone = false;  ///< The client went away, or was dropped, before the answer's end.
};

/// One line of JSON without its newline: {"time": "2026-01-31T12:00:00.123Z", "id", "client", "method", "path",
/// "status", "bytes", "seconds"}, and "gone": true where it is.
[[nodiscard]] std::string access_log_line(const AccessRecord& record);

}  // namespace plait::serving
