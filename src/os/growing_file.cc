// SPDX-License-Identifier: Apache-2.0
#include "os/growing_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "os/file.h"

namespace plait::os {

using base::Bytes;
using base::Result;

Result<GrowingFile> GrowingFile::open(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
  if (descriptor < 0) return std::unexpected(file_error("cannot write", path, errno));
  GrowingFile file(path, descriptor, 0);
  struct stat status{};
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    return base::fail(base::ErrorCode::io, path.string() + " is not an ordinary file");
  }
  file.size_ = static_cast<Bytes>(status.st_size);
  return file;
}

GrowingFile::GrowingFile(GrowingFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

GrowingFile::~GrowingFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<void> GrowingFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return std::unexpected(file_error("cannot write", path_, errno));
    size_ += static_cast<Bytes>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> GrowingFile::truncate(Bytes size) {
  if (ftruncate(descriptor_, static_cast<off_t>(size)) != 0) {
    return std::unexpected(file_error("cannot shorten", path_, errno));
  }
  size_ = size;
  return {};
}

Result<void> GrowingFile::rename_to(const std::filesystem::path& path) {
  if (fsync(descriptor_) != 0) return std::unexpected(file_error("cannot write", path_, errno));
  if (rename(path_.c_str(), path.c_str()) != 0) return std::unexpected(file_error("cannot rename to", path, errno));
  path_ = path;
  return {};
}

Result<void> read_in_pieces(const std::filesystem::path& path,
                            const std::function<Result<void>(std::span<const std::byte>)>& on_piece) {
  constexpr std::size_t kPieceBytes = 1 << 20;
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::unexpected(file_error("cannot open", path, errno));
  const std::unique_ptr<const int, void (*)(const int*)> closer(&descriptor, [](const int* open) { close(*open); });
  std::vector<std::byte> buffer(kPieceBytes);
  for (;;) {
    const ssize_t got = read(descriptor, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(file_error("cannot read", path, errno));
    if (got == 0) return {};
    PLAIT_TRY_VOID(on_piece(std::span(buffer).first(static_cast<std::size_t>(got))));
  }
}

}  // namespace plait::os
