// SPDX-License-Identifier: Apache-2.0
#include "load/sse_reader.h"

namespace plait::load {

bool SseReader::feed(std::string_view bytes, const std::function<void(std::string_view data)>& event) {
  while (!bytes.empty() && !too_long_) {
    if (after_return_ && bytes.front() == '\n') bytes.remove_prefix(1);
    after_return_ = false;
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + data_.size() + part.size() > kEventBytesMax) {
      too_long_ = true;
      break;
    }
    if (end == std::string_view::npos) {
      line_ += part;
      break;
    }
    after_return_ = bytes[end] == '\r';
    if (line_.empty()) {
      take_line(part, event);
    } else {
      line_ += part;
      take_line(line_, event);
      line_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
  return !too_long_;
}

void SseReader::take_line(std::string_view line, const std::function<void(std::string_view data)>& event) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (first_ && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  first_ = false;
  if (line.empty()) {
    if (has_data_) event(data_);
    data_.clear();
    has_data_ = false;
    return;
  }
  const std::size_t colon = line.find(':');
  if (line.substr(0, colon) != "data") return;
  line.remove_prefix(colon == std::string_view::npos ? line.size() : colon + 1);
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (has_data_) data_ += '\n';
  data_ += line;
  has_data_ = true;
}

}  // namespace plait::load
