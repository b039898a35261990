// SPDX-License-Identifier: Apache-2.0
#include "store/blobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace plait::store {
namespace {

using base::ErrorCode;
using base::Result;

constexpr std::string_view kPart = ".part";  // no name has a dot
constexpr std::size_t kNameBytesMax = 100;

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && std::ranges::all_of(name, [](char c) {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') || c == '-' || c == '_';
  });
}

}  // namespace

Result<std::unique_ptr<Blobs>> Blobs::open(FileLayer& layer, std::filesystem::path folder) {
  std::unique_ptr<Blobs> blobs(new Blobs(layer, std::move(folder)));
  PLAIT_TRY(const auto names, layer.list(blobs->folder_));
  for (const std::string& name : names) {
    if (name.ends_with(kPart)) PLAIT_TRY_VOID(layer.remove(blobs->folder_ / name));
  }
  return blobs;
}

std::filesystem::path Blobs::part_of(const std::string& name) const { return folder_ / (name + std::string(kPart)); }

Result<std::filesystem::path> Blobs::path_of(std::string_view name) const {
  if (!is_name(name)) return base::fail(ErrorCode::invalid_argument, "no name of a content");
  return folder_ / name;
}

Result<std::unique_ptr<Blobs::Writer>> Blobs::begin(std::string name) const {
  PLAIT_TRY_VOID(path_of(name));
  PLAIT_TRY(auto file, layer_.open(part_of(name)));
  PLAIT_TRY_VOID(file->truncate(0));  // a writer before this one may have died
  return std::unique_ptr<Writer>(new Writer(*this, std::move(name), std::move(file)));
}

Result<void> Blobs::put(std::string name, std::string_view content) const {
  PLAIT_TRY(const auto writer, begin(std::move(name)));
  PLAIT_TRY_VOID(writer->append(content));
  return writer->keep();
}

Result<std::size_t> Blobs::read(std::string_view name, base::Bytes offset, std::span<std::byte> into) const {
  PLAIT_TRY(const auto path, path_of(name));
  return layer_.read(path, offset, into);
}

Result<void> Blobs::remove(std::string_view name) const {
  PLAIT_TRY(const auto path, path_of(name));
  PLAIT_TRY_VOID(layer_.remove(path));
  return layer_.sync_directory(folder_);
}

Result<std::vector<std::string>> Blobs::names() const {
  PLAIT_TRY(auto names, layer_.list(folder_));
  std::erase_if(names, [](const std::string& name) { return !is_name(name); });
  return names;
}

Blobs::Writer::~Writer() {
  if (kept_) return;
  file_.reset();
  static_cast<void>(blobs_.layer_.remove(blobs_.part_of(name_)));  // else the next open() does it
}

Result<void> Blobs::Writer::append(std::string_view bytes) {
  if (failed_) return std::unexpected(*failed_);
  if (auto written = file_->write(size_, std::as_bytes(std::span(bytes))); !written) {
    failed_ = written.error();
    return written;
  }
  size_ += bytes.size();
  return {};
}

Result<void> Blobs::Writer::keep() {
  if (failed_) return std::unexpected(*failed_);
  PLAIT_TRY(const auto path, blobs_.path_of(name_));
  PLAIT_TRY_VOID(file_->sync());
  PLAIT_TRY_VOID(blobs_.layer_.rename(blobs_.part_of(name_), path));
  kept_ = true;
  return blobs_.layer_.sync_directory(blobs_.folder_);
}

}  // namespace plait::store
