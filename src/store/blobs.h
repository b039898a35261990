// SPDX-License-Identifier: Apache-2.0
//
// Whole contents under names, in a folder of their own: there completely and for good, or not at all.
//
//   PLAIT_TRY(const auto blobs, Blobs::open(layer, folder));
//   PLAIT_TRY(auto writer, blobs->begin("file-1"));
//   PLAIT_TRY_VOID(writer->append(piece));                     // any number of times
//   PLAIT_TRY_VOID(writer->keep());                            // now it is there, also after a power cut
//
// A content is written beside its place, synced and then renamed. What a crash leaves half-written is removed by the
// next open(), and by the writer if it is not kept.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "store/file_layer.h"

namespace plait::store {

/// Threads: any, several at once; names that are written at the same time must differ.
class Blobs {
 public:
  /// A content on its way. Must not outlive its Blobs. Threads: one at a time.
  class Writer {
   public:
    /// Drops what was not kept.
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    /// Errors: out_of_resources (disk full, quota), io. After one, keep() fails as well.
    [[nodiscard]] base::Result<void> append(std::string_view bytes);
    /// Gives the content its name, replacing what had it. Errors: those of append(); then nothing has changed.
    [[nodiscard]] base::Result<void> keep();
    [[nodiscard]] base::Bytes size() const { return size_; }

   private:
    friend class Blobs;
    Writer(const Blobs& blobs, std::string name, std::unique_ptr<File> file)
        : blobs_(blobs), name_(std::move(name)), file_(std::move(file)) {}

    const Blobs& blobs_;
    const std::string name_;
    std::unique_ptr<File> file_;
    base::Bytes size_ = 0;
    std::optional<base::Error> failed_;
    bool kept_ = false;
  };

  /// An existing folder. `layer` must outlive the object. Errors: not_found, io.
  [[nodiscard]] static base::Result<std::unique_ptr<Blobs>> open(FileLayer& layer, std::filesystem::path folder);
  Blobs(const Blobs&) = delete;
  Blobs& operator=(const Blobs&) = delete;

  /// A name has 1 to 100 of a-z, A-Z, 0-9, '-' and '_'. Errors: invalid_argument (another name), out_of_resources, io.
  [[nodiscard]] base::Result<std::unique_ptr<Writer>> begin(std::string name) const;
  /// begin(), append() and keep() in one.
  [[nodiscard]] base::Result<void> put(std::string name, std::string_view content) const;
  /// Bytes of a content from `offset` on until `into` is full or it ends: how many. Errors: not_found, io.
  [[nodiscard]] base::Result<std::size_t> read(std::string_view name, base::Bytes offset,
                                               std::span<std::byte> into) const;
  /// For good once it returns. Errors: not_found, io.
  [[nodiscard]] base::Result<void> remove(std::string_view name) const;
  /// Of all contents, sorted. Errors: io.
  [[nodiscard]] base::Result<std::vector<std::string>> names() const;
  /// Where a content lies, for who keeps a file there by other means. Errors: invalid_argument (the name).
  [[nodiscard]] base::Result<std::filesystem::path> path_of(std::string_view name) const;
  [[nodiscard]] FileLayer& layer() const { return layer_; }

 private:
  Blobs(FileLayer& layer, std::filesystem::path folder) : layer_(layer), folder_(std::move(folder)) {}
  [[nodiscard]] std::filesystem::path part_of(const std::string& name) const;

  FileLayer& layer_;
  const std::filesystem::path folder_;
};

}  // namespace plait::store
