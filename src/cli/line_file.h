// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace plait::cli {

/// The lines of a file that may be too large to hold, one after the other. Movable; not thread-safe.
class LineFile {
 public:
  /// A file, or standard input for "-". Errors: not_found; invalid_argument for a folder; io.
  [[nodiscard]] static base::Result<LineFile> open(const std::string& path);

  /// The next line without its newline; of a longer one than `bytes_max` the first bytes_max + 1 bytes. Nothing at the
  /// end. Errors: io.
  [[nodiscard]] base::Result<std::optional<std::string>> next(std::size_t bytes_max);
  /// Whether it can be read twice.
  [[nodiscard]] bool is_regular() const { return regular_; }

 private:
  struct Closer {
    void operator()(std::FILE* file) const;
  };
  LineFile(std::string path, std::FILE* file, bool regular)
      : path_(std::move(path)), file_(file), regular_(regular), buffer_(kBufferBytes) {}
  base::Result<bool> refill();

  static constexpr std::size_t kBufferBytes = 1 << 16;

  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
  bool regular_;
  std::vector<char> buffer_;
  std::size_t from_ = 0;  // buffer_[from_, to_) is still to be given out
  std::size_t to_ = 0;
};

}  // namespace plait::cli
