// SPDX-License-Identifier: Apache-2.0
//
// One holder at a time, among processes and threads of this machine: an advisory lock on a file.
#pragma once

#include <filesystem>
#include <functional>
#include <utility>

#include "base/result.h"

namespace plait::os {

/// Holds the lock while it lives; the system releases it when the process dies. The lock file itself stays: removing it
/// would let two holders in. Movable, not copyable.
class FileLock {
 public:
  /// Makes the file if need be. Errors: busy if somebody holds it; not_found (folder); io (no permission, read-only).
  [[nodiscard]] static base::Result<FileLock> try_acquire(const std::filesystem::path& path);
  /// Waits for it. `keep_waiting` is asked about ten times a second. Errors: as above, and interrupted when it says no.
  [[nodiscard]] static base::Result<FileLock> acquire(const std::filesystem::path& path,
                                                      const std::function<bool()>& keep_waiting);

  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace plait::os
