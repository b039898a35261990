// SPDX-License-Identifier: Apache-2.0
//
// The file system as this area sees it, behind an interface, so that tests can take the power away between any two
// calls. What a disk may do to that which was not synced is modelled by testing/crash_disk.h.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace plait::store {

/// An open file, held against other holders while the object lives. Owned by whoever opened it; must not outlive its
/// layer. Threads: one call at a time.
class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  [[nodiscard]] virtual base::Result<base::Bytes> size() = 0;
  /// Reads from `offset` on until `into` is full or the file ends: bytes read. Errors: io.
  [[nodiscard]] virtual base::Result<std::size_t> read(base::Bytes offset, std::span<std::byte> into) = 0;
  /// Writes all of `bytes` at `offset`; a gap before it reads as zeros. After an error any part of it may be in the
  /// file. Errors: out_of_resources (disk full, quota): the same call may be made again; io.
  [[nodiscard]] virtual base::Result<void> write(base::Bytes offset, std::span<const std::byte> bytes) = 0;
  /// Content and size are on the disk. After an error what was written since the last sync() may be lost for good even
  /// if a later sync() succeeds. Errors: out_of_resources, io.
  [[nodiscard]] virtual base::Result<void> sync() = 0;
  /// Errors: out_of_resources, io.
  [[nodiscard]] virtual base::Result<void> truncate(base::Bytes size) = 0;
};

/// Opens files and changes their names. Threads: calls may overlap.
class FileLayer {
 public:
  FileLayer() = default;
  FileLayer(const FileLayer&) = delete;
  FileLayer& operator=(const FileLayer&) = delete;
  virtual ~FileLayer() = default;

  /// Opens or makes a file; its name survives from sync_directory() of its folder on. Errors: busy (somebody holds it),
  /// not_found (folder), invalid_argument (no ordinary file), out_of_resources, io.
  [[nodiscard]] virtual base::Result<std::unique_ptr<File>> open(const std::filesystem::path& path) = 0;
  /// Replaces what had the name `to`; survives from sync_directory() on, and is never seen half done. Errors:
  /// not_found, io.
  [[nodiscard]] virtual base::Result<void> rename(const std::filesystem::path& from,
                                                  const std::filesystem::path& to) = 0;
  /// Reads from `offset` on until `into` is full or the file ends: bytes read. Others may hold the file. Errors:
  /// not_found, io.
  [[nodiscard]] virtual base::Result<std::size_t> read(const std::filesystem::path& path, base::Bytes offset,
                                                       std::span<std::byte> into) = 0;
  /// Takes the name away; survives from sync_directory() on. Who holds the file keeps it. Errors: not_found, io.
  [[nodiscard]] virtual base::Result<void> remove(const std::filesystem::path& path) = 0;
  /// The names in a folder, sorted. Errors: not_found, io.
  [[nodiscard]] virtual base::Result<std::vector<std::string>> list(const std::filesystem::path& folder) = 0;
  /// The names made and changed in the folder are on the disk. Errors: not_found, io.
  [[nodiscard]] virtual base::Result<void> sync_directory(const std::filesystem::path& folder) = 0;
};

/// The folder that holds `path`: "." for a bare name.
[[nodiscard]] std::filesystem::path folder_of(const std::filesystem::path& path);

/// The machine's own file system.
class OsFileLayer final : public FileLayer {
 public:
  [[nodiscard]] base::Result<std::unique_ptr<File>> open(const std::filesystem::path& path) override;
  [[nodiscard]] base::Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  [[nodiscard]] base::Result<std::size_t> read(const std::filesystem::path& path, base::Bytes offset,
                                               std::span<std::byte> into) override;
  [[nodiscard]] base::Result<void> remove(const std::filesystem::path& path) override;
  [[nodiscard]] base::Result<std::vector<std::string>> list(const std::filesystem::path& folder) override;
  [[nodiscard]] base::Result<void> sync_directory(const std::filesystem::path& folder) override;
};

}  // namespace plait::store
