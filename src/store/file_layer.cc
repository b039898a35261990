// SPDX-License-Identifier: Apache-2.0
#include "store/file_layer.h"

#include <utility>

#include "os/file.h"
#include "os/random_access_file.h"

namespace plait::store {
namespace {

using base::Bytes;
using base::Result;

class OsFile final : public File {
 public:
  explicit OsFile(os::RandomAccessFile file) : file_(std::move(file)) {}
  Result<Bytes> size() override { return file_.size(); }
  Result<std::size_t> read(Bytes offset, std::span<std::byte> into) override { return file_.read(offset, into); }
  Result<void> write(Bytes offset, std::span<const std::byte> bytes) override { return file_.write(offset, bytes); }
  Result<void> sync() override { return file_.sync(); }
  Result<void> truncate(Bytes size) override { return file_.truncate(size); }

 private:
  os::RandomAccessFile file_;
};

}  // namespace

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

Result<std::unique_ptr<File>> OsFileLayer::open(const std::filesystem::path& path) {
  PLAIT_TRY(auto file, os::RandomAccessFile::open(path));
  return std::make_unique<OsFile>(std::move(file));
}

Result<void> OsFileLayer::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  return os::rename_file(from, to);
}

Result<std::size_t> OsFileLayer::read(const std::filesystem::path& path, Bytes offset, std::span<std::byte> into) {
  return os::read_part(path, offset, into);
}

Result<void> OsFileLayer::remove(const std::filesystem::path& path) { return os::remove_file(path); }

Result<std::vector<std::string>> OsFileLayer::list(const std::filesystem::path& folder) {
  return os::list_directory(folder);
}

Result<void> OsFileLayer::sync_directory(const std::filesystem::path& folder) { return os::sync_directory(folder); }

}  // namespace plait::store
