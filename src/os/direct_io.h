// SPDX-License-Identifier: Apache-2.0
//
// A file that is read and written at any place while the caller does something else, past the page cache where the file
// system allows it.
//
//   PLAIT_TRY(auto file, os::open_temporary_file(folder, {}));
//   file->submit_write(buffer, 0, 17);                    // returns at once; the buffer must stay as it is
//   ...
//   std::vector<os::AsyncFile::Completion> done;
//   file->wait(done, 1s);                                 // done[0].token == 17
//
// Two implementations, chosen when the file is opened: io_uring (through liburing), where the kernel does the work;
// and, where the kernel refuses io_uring (containers often forbid it), one thread that calls pread and pwrite.
// Likewise O_DIRECT, and ordinary cached I/O where the file system refuses it. What is in use: mode().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace plait::os {

/// Buffers, sizes and offsets are multiples of this, whatever mode() says: O_DIRECT wants multiples of the disk's
/// logical block, which is 512 or 4096, and code that works in one mode must work in all.
inline constexpr base::Bytes kDirectAlignment = 4096;

struct AsyncFileMode {
  enum class Engine { io_uring, thread };
  Engine engine = Engine::thread;
  bool direct = false;  ///< O_DIRECT. Else the page cache is in between, and speeds are those of memory.
  friend bool operator==(const AsyncFileMode&, const AsyncFileMode&) = default;
};

/// Operations run in any order and side by side: two that touch the same bytes, at least one writing, must not be in
/// flight together. Not thread-safe: one thread at a time calls it.
class AsyncFile {
 public:
  struct Completion {
    std::uint64_t token = 0;
    /// All bytes were moved, or why not: out_of_resources (disk full, quota, size limit), io. After an error of a read
    /// the buffer, after one of a write the place in the file holds anything. Reading past the end is an error.
    base::Result<void> result;
  };

  AsyncFile() = default;
  AsyncFile(const AsyncFile&) = delete;
  AsyncFile& operator=(const AsyncFile&) = delete;
  /// Waits for what is in flight.
  virtual ~AsyncFile() = default;

  /// Starts reading buffer.size() bytes at `offset`. Never waits and never fails: errors come with the completion. The
  /// buffer must live, and must not be touched, until then. Short reads are continued inside.
  /// Requires: address, size and offset are multiples of kDirectAlignment; size > 0.
  virtual void submit_read(std::span<std::byte> buffer, base::Bytes offset, std::uint64_t token) = 0;
  /// The same for writing; the buffer must not change until the completion.
  virtual void submit_write(std::span<const std::byte> buffer, base::Bytes offset, std::uint64_t token) = 0;

  /// Adds what is done to `completions`, in any order. Does not wait.
  virtual void poll(std::vector<Completion>& completions) = 0;
  /// Like poll(), but sleeps until there is at least one, up to `timeout` and not at all when nothing is in flight.
  virtual void wait(std::vector<Completion>& completions, std::chrono::nanoseconds timeout) = 0;

  /// Submitted, and not yet seen by poll() or wait().
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
  [[nodiscard]] virtual AsyncFileMode mode() const = 0;
};

struct AsyncFileOptions {
  /// Operations that the kernel gets at a time; more wait in a queue here. A disk is busy with 8 to 32 large ones.
  unsigned depth = 64;
  /// false: never io_uring. For tests, and for machines where it is known to hurt.
  bool use_io_uring = true;
  /// false: never O_DIRECT.
  bool use_direct = true;
  /// Disk space to claim at once, in bytes, so that a full disk is found now and the file lies in few pieces. 0:
  /// none. File systems that cannot do that are left in peace.
  base::Bytes reserve_bytes = 0;
};

/// Opens or makes a file for reading and writing. Errors: not_found (folder), out_of_resources, io, invalid_argument.
[[nodiscard]] base::Result<std::unique_ptr<AsyncFile>> open_async_file(const std::filesystem::path& path,
                                                                       const AsyncFileOptions& options);

/// A new file in `folder` without a name: it vanishes with the object, or with the process however that ends.
/// Errors as above.
[[nodiscard]] base::Result<std::unique_ptr<AsyncFile>> open_temporary_file(const std::filesystem::path& folder,
                                                                           const AsyncFileOptions& options);

}  // namespace plait::os
