// SPDX-License-Identifier: Apache-2.0
#include "cli/line_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>

#include "os/file.h"

namespace plait::cli {
namespace {

struct Closer {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

store::Lines lines_of(std::string path, std::FILE* file) {
  return store::Lines([path = std::move(path), file = std::shared_ptr<std::FILE>(file, Closer())](
                          std::span<std::byte> into) -> base::Result<std::size_t> {
    const std::size_t got = std::fread(into.data(), 1, into.size(), file.get());
    if (got == 0 && std::ferror(file.get()) != 0) return std::unexpected(os::file_error("cannot read", path, errno));
    return got;
  });
}

}  // namespace

base::Result<LineFile> LineFile::open(const std::string& path) {
  if (path == "-") return LineFile(lines_of("standard input", stdin), false);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return base::fail(base::ErrorCode::invalid_argument, path + " is a folder, not a file");
  }
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return std::unexpected(os::file_error("cannot open", path, errno));
  return LineFile(lines_of(path, file), std::filesystem::is_regular_file(path, ignored));
}

}  // namespace plait::cli
