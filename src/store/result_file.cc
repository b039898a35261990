// SPDX-License-Identifier: Apache-2.0
#include "store/result_file.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "store/file_window.h"

namespace plait::store {
namespace {

using base::Bytes;
using base::ErrorCode;
using base::Result;

// The bytes of the line that begins at `offset`, with its newline; 0 if it has none, also when it is longer than
// `bytes_max` and a newline, which `too_long` then says.
Result<std::size_t> line_length(FileWindow& file, Bytes offset, Bytes bytes_max, bool& too_long) {
  Bytes length = 0;
  while (offset + length < file.size()) {
    PLAIT_TRY(const auto piece, file.some(offset + length));
    const void* end = std::memchr(piece.data(), '\n', piece.size());
    length += end == nullptr ? piece.size() : static_cast<Bytes>(static_cast<const std::byte*>(end) - piece.data()) + 1;
    too_long = length > bytes_max + 1;
    if (too_long) return 0;
    if (end != nullptr) return static_cast<std::size_t>(length);
  }
  return 0;
}

}  // namespace

ResultFile::ResultFile(std::unique_ptr<File> file, ResultFileOptions options)
    : file_(std::move(file)),
      options_(options),
      group_([this](std::span<std::byte> group, std::uint64_t) { return flush(group); }, options.waiting_bytes_max) {}

Result<std::unique_ptr<ResultFile>> ResultFile::open(FileLayer& layer, const std::filesystem::path& path,
                                                     const OnLine& on_line, ResultFileOptions options) {
  PLAIT_TRY(auto file, layer.open(path));
  std::unique_ptr<ResultFile> results(new ResultFile(std::move(file), options));
  PLAIT_TRY_VOID(results->recover(path, on_line));
  // Also when nothing was cut: what was handed over may so far be in the system's memory only.
  PLAIT_TRY_VOID(results->file_->sync());
  PLAIT_TRY_VOID(layer.sync_directory(folder_of(path)));
  return results;
}

Result<void> ResultFile::recover(const std::filesystem::path& path, const OnLine& on_line) {
  PLAIT_TRY(const Bytes size, file_->size());
  FileWindow file(*file_, size);
  while (end_ < size) {
    PLAIT_TRY(const auto first, file.at(end_, 1));
    if (first[0] == std::byte{0}) break;  // a group that was not committed
    bool too_long = false;
    PLAIT_TRY(const std::size_t length, line_length(file, end_, options_.line_bytes_max, too_long));
    const std::uint64_t number = recovery_.lines + 1;
    if (too_long) {
      return base::fail(ErrorCode::invalid_data, fmt::format("'{}', line {}: longer than {} bytes", path.string(),
                                                             number, options_.line_bytes_max));
    }
    if (length == 0) break;  // a torn line
    PLAIT_TRY(const auto line, file.at(end_, length));
    if (!on_line({reinterpret_cast<const char*>(line.data()), length - 1})) {
      return base::fail(ErrorCode::invalid_data,
                        fmt::format("'{}', line {}: not a result; repair or remove it", path.string(), number));
    }
    recovery_.lines = number;
    end_ += length;
  }
  recovery_.bytes_dropped = size - end_;
  return end_ < size ? file_->truncate(end_) : Result<void>{};
}

Result<void> ResultFile::append(std::string_view line) {
  if (line.empty() || line.size() > options_.line_bytes_max || line.front() == '\0' ||
      line.find('\n') != std::string_view::npos) {
    return base::fail(ErrorCode::invalid_argument, fmt::format("{} bytes that are no line of results", line.size()));
  }
  const auto newline = std::byte{'\n'};
  PLAIT_TRY_VOID(group_.append(std::as_bytes(std::span(line)), std::span(&newline, 1)));
  return {};
}

Result<void> ResultFile::commit() { return group_.commit(); }

ResultFile::Flushed ResultFile::flush(std::span<std::byte> group) {
  const std::byte first = std::exchange(group[0], std::byte{0});
  const auto hidden = file_->write(end_, group);
  group[0] = first;
  if (!hidden) return std::unexpected(GroupCommit::Failure::after_write(hidden.error()));
  if (auto synced = file_->sync(); !synced) {
    return std::unexpected(GroupCommit::Failure{std::move(synced).error(), false});
  }
  if (auto shown = file_->write(end_, group.first(1)); !shown) {
    return std::unexpected(GroupCommit::Failure::after_write(std::move(shown).error()));
  }
  if (auto synced = file_->sync(); !synced) {
    return std::unexpected(GroupCommit::Failure{std::move(synced).error(), false});
  }
  end_ += group.size();
  return {};
}

}  // namespace plait::store
