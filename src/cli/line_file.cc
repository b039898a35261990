// SPDX-License-Identifier: Apache-2.0
#include "cli/line_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "os/file.h"

namespace plait::cli {

void LineFile::Closer::operator()(std::FILE* file) const {
  if (file != stdin) std::fclose(file);
}

base::Result<LineFile> LineFile::open(const std::string& path) {
  if (path == "-") return LineFile("standard input", stdin, false);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return base::fail(base::ErrorCode::invalid_argument, path + " is a folder, not a file");
  }
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return std::unexpected(os::file_error("cannot open", path, errno));
  return LineFile(path, file, std::filesystem::is_regular_file(path, ignored));
}

/// False at the end.
base::Result<bool> LineFile::refill() {
  from_ = 0;
  to_ = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
  if (to_ == 0 && std::ferror(file_.get()) != 0) return std::unexpected(os::file_error("cannot read", path_, errno));
  return to_ > 0;
}

base::Result<std::optional<std::string>> LineFile::next(std::size_t bytes_max) {
  std::string line;
  bool any = false;
  while (true) {
    if (from_ == to_) {
      PLAIT_TRY(const bool more, refill());
      if (!more) return any ? std::optional(std::move(line)) : std::nullopt;
    }
    any = true;
    const char* start = buffer_.data() + from_;
    const auto* newline = static_cast<const char*>(std::memchr(start, '\n', to_ - from_));
    const std::size_t length = newline == nullptr ? to_ - from_ : static_cast<std::size_t>(newline - start);
    line.append(start, std::min(length, bytes_max + 1 - std::min(line.size(), bytes_max + 1)));
    from_ += length + (newline == nullptr ? 0 : 1);
    if (newline != nullptr) return line;
  }
}

}  // namespace plait::cli
