// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace plait::store {

/// The lines of something that may be too large to hold, one after the other. Movable; not thread-safe.
class Lines {
 public:
  /// Fills `into` with what comes next, as far as it likes: how many bytes; 0 at the end.
  using Read = std::function<base::Result<std::size_t>(std::span<std::byte> into)>;

  explicit Lines(Read read) : read_(std::move(read)), buffer_(kBufferBytes) {}

  /// The next line without its newline; of a longer one than `bytes_max` the first bytes_max + 1 bytes. Nothing at the
  /// end. Errors: those of `read`.
  [[nodiscard]] base::Result<std::optional<std::string>> next(std::size_t bytes_max);

 private:
  static constexpr std::size_t kBufferBytes = 1 << 16;

  Read read_;
  std::vector<std::byte> buffer_;
  std::size_t from_ = 0;  // buffer_[from_, to_) is still to be given out
  std::size_t to_ = 0;
};

}  // namespace plait::store
