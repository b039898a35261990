// SPDX-License-Identifier: Apache-2.0
#include "os/random_access_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "os/file.h"

namespace plait::os {

using base::Bytes;
using base::Result;

Result<RandomAccessFile> RandomAccessFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe must not wait for its other end. It has no effect on ordinary files.
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  if (descriptor < 0) return std::unexpected(file_error("cannot open", path, errno));
  RandomAccessFile file(path, descriptor);
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) return std::unexpected(file_error("cannot open", path, errno));
  if (!S_ISREG(status.st_mode)) {
    return base::fail(base::ErrorCode::invalid_argument, fmt::format("'{}' is not an ordinary file", path.string()));
  }
  while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) {
      return base::fail(base::ErrorCode::busy, fmt::format("'{}' is in use by another process", path.string()));
    }
    if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP) break;
    return std::unexpected(file_error("cannot lock", path, errno));
  }
  return file;
}

RandomAccessFile::~RandomAccessFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<Bytes> RandomAccessFile::size() const {
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) return std::unexpected(file_error("cannot read", path_, errno));
  return static_cast<Bytes>(status.st_size);
}

Result<std::size_t> RandomAccessFile::read(Bytes offset, std::span<std::byte> into) const {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = ::pread(descriptor_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(file_error("cannot read", path_, errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<void> RandomAccessFile::write(Bytes offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return std::unexpected(file_error("cannot write", path_, errno));
    offset += static_cast<Bytes>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> RandomAccessFile::sync() {
  if (::fdatasync(descriptor_) != 0) return std::unexpected(file_error("cannot flush", path_, errno));
  return {};
}

Result<void> RandomAccessFile::truncate(Bytes size) {
  while (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return std::unexpected(file_error("cannot cut", path_, errno));
  }
  return {};
}

}  // namespace plait::os
