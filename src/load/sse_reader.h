// SPDX-License-Identifier: Apache-2.0
//
// Server-sent events (HTML Living Standard, 9.2) as they come, cut anywhere.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace plait::load {

/// One stream. Names, ids and comments are skipped; the lines of one event's data are joined with line breaks.
class SseReader {
 public:
  static constexpr std::size_t kEventBytesMax = std::size_t{8} << 20U;

  /// Takes the next bytes and calls `event` with the data of each event that they complete; the view is valid during
  /// the call. False if a line or an event is longer than kEventBytesMax; then it takes nothing any more.
  bool feed(std::string_view bytes, const std::function<void(std::string_view data)>& event);

 private:
  void take_line(std::string_view line, const std::function<void(std::string_view data)>& event);

  std::string line_;  ///< The beginning of one whose end has not come.
  std::string data_;
  bool has_data_ = false;
  bool after_return_ = false;  ///< A line feed that comes next belongs to the line before.
  bool first_ = true;
  bool too_long_ = false;
};

}  // namespace plait::load
