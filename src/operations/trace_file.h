// SPDX-License-Identifier: Apache-2.0
//
// A file of traces: a line of otlp_json() for each request.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>

#include "base/result.h"
#include "base/units.h"
#include "operations/otlp.h"
#include "operations/trace_queue.h"
#include "os/growing_file.h"

namespace plait::operations {

struct TraceFileOptions {
  std::filesystem::path path = {};  ///< An ordinary file. A new one is for its owner alone.
  /// A line that would make the file longer begins a new one; the old one becomes PATH.1, in place of what had that
  /// name. 0: it grows for ever, or somebody else turns it round.
  base::Bytes bytes_max = base::Bytes{256} << 20U;
  TraceResource resource = {};
  TraceIds ids = {};
};

/// A file that somebody else moves away or cuts to nothing is begun anew with the next batch, so tools that turn logs
/// round need no signal. Nobody else may write to it.
class TraceFile final : public TraceSink {
 public:
  /// Opens the file, to go on at its end. Errors: not_found (folder), io, out_of_resources.
  [[nodiscard]] static base::Result<std::unique_ptr<TraceFile>> open(TraceFileOptions options);

  [[nodiscard]] std::size_t write(std::span<const RecordPointer> records, const std::stop_token& give_up) override;

 private:
  explicit TraceFile(TraceFileOptions options) : options_(std::move(options)) {}
  [[nodiscard]] base::Result<void> begin();
  [[nodiscard]] base::Result<void> append(std::string_view line);

  TraceFileOptions options_;
  std::optional<os::GrowingFile> file_;
};

}  // namespace plait::operations
