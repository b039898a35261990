// SPDX-License-Identifier: Apache-2.0
//
// A file of results, one line each, as people read it and other programs process it, and yet resumable: after a crash
// it holds every line that was committed, and nothing else.
//
//   std::set<std::string> done;
//   PLAIT_TRY(auto results, ResultFile::open(layer, "results.jsonl", [&](std::string_view line) {
//     return note_id(line, done);                       // false: not a result
//   }));
//   PLAIT_TRY_VOID(results->append(line));              // any thread
//   PLAIT_TRY_VOID(results->commit());                  // threads that commit together share the work
//
// How a group of lines is committed without any framing that readers would see. The file is always whole up to its
// committed end. The group is written behind it with a zero byte in place of its first byte, and synced; then the one
// byte is put in place, and synced. A crash in the first half leaves a zero byte, or nothing, at the start of a line,
// whatever the disk made of the rest: recovery cuts the file there. In the second half one byte is either there or not,
// and with it the whole group. The price is a second sync, of one block that already has its place; rejected were a
// checksum in each line (people read them) and a second file beside the first (it gets lost when they copy it).
//
// Relied upon: a sector of 512 bytes is written as a whole or not, and space that was never written reads as zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "store/file_layer.h"
#include "store/group_commit.h"

namespace plait::store {

struct ResultFileOptions {
  /// A longer line is refused by append(), and in an existing file it is damage: bounds the memory of open().
  base::Bytes line_bytes_max = base::Bytes{256} << 20;
  /// append() commits first when more than this waits.
  base::Bytes waiting_bytes_max = base::Bytes{8} << 20;
};

/// Holds its file against other holders. Neither copied nor moved. Threads: append() and commit() from any thread.
class ResultFile {
 public:
  struct Recovery {
    std::uint64_t lines = 0;
    /// Length of what was cut off at the end: a group that was not committed, or a line without its newline.
    base::Bytes bytes_dropped = 0;
  };
  /// Takes one complete line without its newline, which lives during the call; false if it is no result.
  using OnLine = std::function<bool(std::string_view line)>;

  /// Opens or makes the file in an existing folder and hands its complete lines over in order. When it returns, all of
  /// them are durable. `layer` must outlive the object. Cost: reads the file once. Errors: those of FileLayer::open;
  /// invalid_data with the number of the line, from 1, that `on_line` refused or that is too long: the file is as it
  /// was; io.
  [[nodiscard]] static base::Result<std::unique_ptr<ResultFile>> open(FileLayer& layer,
                                                                      const std::filesystem::path& path,
                                                                      const OnLine& on_line,
                                                                      ResultFileOptions options = {});
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;
  /// Drops what was not committed, as a crash does. Requires: no thread is in a call.
  ~ResultFile() = default;

  [[nodiscard]] const Recovery& recovery() const { return recovery_; }

  /// Adds a copy of `line` and a newline. Readers see it when it is committed. Errors: invalid_argument if it is empty,
  /// too long, contains a newline or begins with a zero byte; those of commit(). Then nothing was added.
  [[nodiscard]] base::Result<void> append(std::string_view line);
  /// Everything appended before this call, by any thread, is durable. Errors: out_of_resources when the disk is full:
  /// the lines wait, and a later commit may succeed. After any other error, and after any error of a sync, the object
  /// is poisoned: every append and commit returns that error. Open the file anew.
  [[nodiscard]] base::Result<void> commit();

 private:
  using Flushed = std::expected<void, GroupCommit::Failure>;
  ResultFile(std::unique_ptr<File> file, ResultFileOptions options);
  base::Result<void> recover(const std::filesystem::path& path, const OnLine& on_line);
  Flushed flush(std::span<std::byte> group);

  const std::unique_ptr<File> file_;
  const ResultFileOptions options_;
  Recovery recovery_;
  base::Bytes end_ = 0;  // everything before it is committed; set by open() and then by flush() only
  GroupCommit group_;
};

}  // namespace plait::store
