// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "store/lines.h"

namespace plait::cli {

/// The lines of a file that may be too large to hold, one after the other. Movable; not thread-safe.
class LineFile {
 public:
  /// A file, or standard input for "-". Errors: not_found; invalid_argument for a folder; io.
  [[nodiscard]] static base::Result<LineFile> open(const std::string& path);

  /// The next line without its newline; of a longer one than `bytes_max` the first bytes_max + 1 bytes. Nothing at the
  /// end. Errors: io.
  [[nodiscard]] base::Result<std::optional<std::string>> next(std::size_t bytes_max) { return lines_.next(bytes_max); }
  /// Whether it can be read twice.
  [[nodiscard]] bool is_regular() const { return regular_; }

 private:
  LineFile(store::Lines lines, bool regular) : lines_(std::move(lines)), regular_(regular) {}

  store::Lines lines_;
  bool regular_;
};

}  // namespace plait::cli
