// SPDX-License-Identifier: Apache-2.0
//
// Whole files: read with a bound, write so that readers see the old content or the new one and never a part.
// Threads: free functions without state; callable from any thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace plait::os {

/// The message for a failed system call on a path, with a code that fits errno: not_found (ENOENT, ENOTDIR),
/// out_of_resources (no space, quota, memory, file handles), io for the rest. `doing` is a verb: "cannot open".
[[nodiscard]] base::Error file_error(std::string_view doing, const std::filesystem::path& path, int error_number);

/// The content of a regular file or pipe. Errors: not_found; invalid_argument for a folder; out_of_resources when it is
/// longer than `bytes_max`; io.
[[nodiscard]] base::Result<std::string> read_file(const std::filesystem::path& path, base::Bytes bytes_max);

/// Writes to a new file beside `path`, flushes it to the disk and renames it over `path`; missing parent folders are
/// not made. An existing file keeps its permission bits, a new one gets 0644 less the umask. On any error `path` is
/// untouched and the new file is gone. Errors: not_found (folder), out_of_resources (disk full, quota), io (read-only
/// folder, no permission).
[[nodiscard]] base::Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Gives the file `from` the name `to`, replacing what had that name. Durable after sync_directory() of both folders.
/// Errors: not_found, io.
[[nodiscard]] base::Result<void> rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Reads from `offset` on until `into` is full or the file ends: bytes read. Takes no lock. Errors: not_found, io.
[[nodiscard]] base::Result<std::size_t> read_part(const std::filesystem::path& path, base::Bytes offset,
                                                  std::span<std::byte> into);

/// Takes a file's name away. Durable after sync_directory() of its folder. Errors: not_found, io.
[[nodiscard]] base::Result<void> remove_file(const std::filesystem::path& path);

/// Flushes a folder's entries to the disk: names made, changed or removed before survive a power cut. A file system
/// that cannot do this for folders counts as done. Errors: not_found, io.
[[nodiscard]] base::Result<void> sync_directory(const std::filesystem::path& folder);

/// The names of everything in a folder, sorted. Errors: not_found, io.
[[nodiscard]] base::Result<std::vector<std::string>> list_directory(const std::filesystem::path& folder);

/// Bytes that an ordinary user can still write on the file system of `path`, which must exist. Errors: not_found, io.
[[nodiscard]] base::Result<base::Bytes> free_space(const std::filesystem::path& path);

}  // namespace plait::os
