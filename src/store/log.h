// SPDX-License-Identifier: Apache-2.0
//
// A log: records of bytes that are added at the end and survive a crash.
//
//   PLAIT_TRY(auto log, Log::open(layer, "run.log", [&](auto record) { return replay(record); }));
//   PLAIT_TRY(auto position, log->append(record));     // any thread; not durable yet
//   PLAIT_TRY_VOID(log->commit());                     // now it is; threads that commit together share one sync
//
// What a crash leaves. A record is durable when a commit that follows its append has returned. After a crash the log
// holds, in order, every durable record and perhaps some that were appended behind them, none of them twice or changed.
//
// What recovery makes of damage. Every record says how far the log was durable before it was written. A damaged place
// that no later record declares durable is a write that the crash tore: it is cut off with all that follows, and
// recovery() says how many bytes went. A damaged place that a later record does declare durable is a disk that lost
// what it had promised: open() fails with invalid_data and leaves the file as it is. Only damage to the last group
// that was committed cannot be told from a torn write; Log::close() leaves a mark that protects this one too.
//
// Relied upon: a sector of 512 bytes is written as a whole or not, and space that was never written reads as zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "base/id.h"
#include "base/result.h"
#include "base/units.h"
#include "store/file_layer.h"
#include "store/group_commit.h"

namespace plait::store {

/// The number of a record in its log, from 0.
using Position = base::Id<struct PositionTag, std::uint64_t>;

struct LogOptions {
  /// A longer record is refused. Up to 4 GiB - 1; records already in the file may be longer.
  base::Bytes record_bytes_max = base::Bytes{64} << 20;
  /// append() commits first when more than this waits: bounds memory, and the work that a crash can lose.
  base::Bytes waiting_bytes_max = base::Bytes{8} << 20;
};

/// Holds its file against other holders. Neither copied nor moved. Threads: append() and commits from any thread.
class Log {
 public:
  struct Recovery {
    std::uint64_t records = 0;
    /// Length of the torn end that was cut off.
    base::Bytes bytes_dropped = 0;
  };
  /// Takes one record, which lives during the call. An error ends the recovery, and open() returns it.
  using OnRecord = std::function<base::Result<void>(std::span<const std::byte> record)>;

  /// Opens or makes a log in an existing folder and hands its records over in order. When it returns, all of them are
  /// durable. `layer` must outlive the log. Cost: reads the file once. Errors: those of FileLayer::open; invalid_data:
  /// the file is no log, or is damaged at the offset that the message names, after some records were handed over;
  /// io; those of `on_record`.
  [[nodiscard]] static base::Result<std::unique_ptr<Log>> open(FileLayer& layer, const std::filesystem::path& path,
                                                               const OnRecord& on_record, LogOptions options = {});
  /// Commits, and leaves the mark that protects the last group.
  [[nodiscard]] static base::Result<void> close(std::unique_ptr<Log> log);

  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  /// Drops what was not committed, as a crash may. Requires: no thread is in a call.
  ~Log() = default;

  [[nodiscard]] const Recovery& recovery() const { return recovery_; }

  /// Adds a copy of `record`, which may be empty. Errors: invalid_argument if it is longer than record_bytes_max;
  /// those of commit(). Then nothing was added.
  [[nodiscard]] base::Result<Position> append(std::span<const std::byte> record);
  /// Everything appended before this call, by any thread, is durable. Errors: out_of_resources when the disk is full:
  /// the records wait, and a later commit may succeed. After any other error, and after any error of a sync, the log
  /// is poisoned: what was not durable is lost, and every append and commit returns that error. Open it anew.
  [[nodiscard]] base::Result<void> commit();
  /// The same for the records up to `position`: does not wait for what others appended behind it.
  [[nodiscard]] base::Result<void> commit_through(Position position);

 private:
  using Flushed = std::expected<void, GroupCommit::Failure>;
  Log(std::unique_ptr<File> file, LogOptions options);
  base::Result<void> prepare(const std::filesystem::path& path);
  base::Result<void> recover(const std::filesystem::path& path, const OnRecord& on_record);
  Flushed flush(std::span<std::byte> group, std::uint64_t records);

  const std::unique_ptr<File> file_;
  const LogOptions options_;
  Recovery recovery_;
  // Written by open() and then by flush() only, whose calls follow one another.
  base::Bytes end_ = 0;         // everything before it is durable
  std::uint64_t sequence_ = 0;  // of the next record at end_
  bool marked_ = false;         // a mark stands at the end
  GroupCommit group_;
};

}  // namespace plait::store
