// SPDX-License-Identifier: Apache-2.0
//
// The unfinished file of a download, and the note beside it that says how to go on with it.
//
// NAME.gguf grows as .NAME.part; .NAME.part.json says where the bytes came from. Only finish() makes NAME.gguf appear,
// by renaming, so that a file under its final name is always whole. Used under the model's lock only.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "os/growing_file.h"

namespace plait::hub {

/// How far a download came, for the next attempt.
struct PartState {
  std::string source = {};     ///< What the bytes came from: the URL, or the packages' identity.
  std::string validator = {};  ///< HTTP: a strong ETag to send with If-Range; may be empty.
  std::size_t parts = 0;       ///< Packages: how many are in the file completely.
  base::Bytes bytes = 0;       ///< Packages: the file's length after these.
};

class PartFile {
 public:
  /// Opens or makes the unfinished file of `name` in `folder`. Errors: out_of_resources, io (read-only, no permission).
  [[nodiscard]] static base::Result<PartFile> open(const std::filesystem::path& folder, const std::string& name);

  [[nodiscard]] base::Bytes size() const { return file_.size(); }
  [[nodiscard]] const std::filesystem::path& path() const { return file_.path(); }

  /// What the last attempt noted; empty if nothing, or if the note cannot be read.
  [[nodiscard]] PartState state() const;
  [[nodiscard]] base::Result<void> set_state(const PartState& state) const;

  [[nodiscard]] base::Result<void> append(std::span<const std::byte> bytes) { return file_.append(bytes); }
  /// Cuts the file to `size` bytes. Requires: size <= size().
  [[nodiscard]] base::Result<void> truncate(base::Bytes size) { return file_.truncate(size); }

  /// Flushes the file to the disk and gives it its final name, replacing what was there.
  [[nodiscard]] base::Result<void> finish(const std::filesystem::path& final_path);
  /// Removes the file and its note.
  void discard();

 private:
  explicit PartFile(os::GrowingFile file);

  os::GrowingFile file_;
  std::filesystem::path note_;
};

}  // namespace plait::hub
