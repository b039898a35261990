// SPDX-License-Identifier: Apache-2.0
#include "store/lines.h"

#include <algorithm>
#include <cstring>

namespace plait::store {

base::Result<std::optional<std::string>> Lines::next(std::size_t bytes_max) {
  std::string line;
  bool any = false;
  while (true) {
    if (from_ == to_) {
      from_ = 0;
      PLAIT_TRY(to_, read_(buffer_));
      if (to_ == 0) return any ? std::optional(std::move(line)) : std::nullopt;
    }
    any = true;
    const char* start = reinterpret_cast<const char*>(buffer_.data()) + from_;
    const auto* newline = static_cast<const char*>(std::memchr(start, '\n', to_ - from_));
    const std::size_t length = newline == nullptr ? to_ - from_ : static_cast<std::size_t>(newline - start);
    line.append(start, std::min(length, bytes_max + 1 - std::min(line.size(), bytes_max + 1)));
    from_ += length + (newline == nullptr ? 0 : 1);
    if (newline != nullptr) return line;
  }
}

}  // namespace plait::store
