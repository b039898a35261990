// SPDX-License-Identifier: Apache-2.0
#include "os/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "os/file.h"

namespace plait::os {

base::Result<FileLock> FileLock::try_acquire(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return std::unexpected(file_error("cannot lock", path, errno));
  FileLock lock(descriptor);
  while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) {
      return base::fail(base::ErrorCode::busy, path.string() + " is held by another process");
    }
    return std::unexpected(file_error("cannot lock", path, errno));
  }
  return lock;
}

base::Result<FileLock> FileLock::acquire(const std::filesystem::path& path, const std::function<bool()>& keep_waiting) {
  for (;;) {
    auto lock = try_acquire(path);
    if (lock || lock.error().code != base::ErrorCode::busy) return lock;
    if (!keep_waiting()) return base::fail(base::ErrorCode::interrupted, "stopped waiting for " + path.string());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace plait::os
