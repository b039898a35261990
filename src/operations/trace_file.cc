// SPDX-License-Identifier: Apache-2.0
#include "operations/trace_file.h"

#include <string>
#include <utility>

#include "operations/span.h"
#include "os/file.h"

namespace plait::operations {

base::Result<std::unique_ptr<TraceFile>> TraceFile::open(TraceFileOptions options) {
  std::unique_ptr<TraceFile> file(new TraceFile(std::move(options)));
  PLAIT_TRY_VOID(file->begin());
  return file;
}

base::Result<void> TraceFile::begin() {
  file_.reset();
  std::error_code error;
  const bool fresh = !std::filesystem::exists(options_.path, error);
  PLAIT_TRY(auto file, os::GrowingFile::open(options_.path));
  using std::filesystem::perms;
  if (fresh) std::filesystem::permissions(options_.path, perms::owner_read | perms::owner_write, error);
  file_.emplace(std::move(file));
  return {};
}

base::Result<void> TraceFile::append(std::string_view line) {
  if (options_.bytes_max > 0 && file_->size() > 0 && file_->size() + line.size() > options_.bytes_max) {
    std::filesystem::path old = options_.path;
    old += ".1";
    PLAIT_TRY_VOID(os::rename_file(options_.path, old));
    PLAIT_TRY_VOID(begin());
  }
  const base::Bytes before = file_->size();
  auto written = file_->append(std::as_bytes(std::span(line)));
  if (!written) static_cast<void>(file_->truncate(before));  // no half lines
  return written;
}

std::size_t TraceFile::write(std::span<const RecordPointer> records, const std::stop_token& /*give_up*/) {
  std::error_code error;
  const auto size = std::filesystem::file_size(options_.path, error);
  const bool ours = file_ && !error && size == file_->size();
  if (!ours && !begin()) return records.size();
  std::size_t lost = 0;
  for (const RecordPointer& record : records) {
    const Trace trace = trace_of(*record, options_.ids);
    if (!file_ || !append(otlp_json(options_.resource, {&trace, 1}) + '\n')) ++lost;
  }
  return lost;
}

}  // namespace plait::operations
