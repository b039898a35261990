// SPDX-License-Identifier: Apache-2.0
#include "store/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "base/check.h"
#include "store/crc32c.h"
#include "store/file_window.h"
#include "store/record.h"

namespace plait::store {
namespace {

using base::Bytes;
using base::ErrorCode;
using base::Result;

// The first bytes of every log. They are durable before the first record is written.
constexpr std::array<char, 16> kTitle = {'p', 'l', 'a', 'i', 't', ' ', 'l', 'o', 'g', ' ', '1', '\n', 0, 0, 0, 0};

// What was found at a place: a record's payload or a mark, or neither.
struct Found {
  RecordHead head;
  std::span<const std::byte> payload;
};

Result<std::optional<Found>> find_record(FileWindow& file, Bytes offset, std::uint64_t sequence) {
  if (file.size() - offset < kRecordHeadBytes) return std::nullopt;
  PLAIT_TRY(const auto bytes, file.at(offset, kRecordHeadBytes));
  const auto head = read_head(bytes, offset);
  if (!head || head->sequence != sequence) return std::nullopt;
  if (head->kind == RecordHead::Kind::mark && head->payload_bytes != 0) return std::nullopt;
  if (head->payload_bytes > file.size() - offset - kRecordHeadBytes) return std::nullopt;
  PLAIT_TRY(const auto payload, file.at(offset + kRecordHeadBytes, head->payload_bytes));
  if (crc32c(payload) != head->payload_crc) return std::nullopt;
  return Found{*head, payload};
}

// Whether a head at or behind `offset` says that record `sequence` was durable.
Result<bool> declared_durable(FileWindow& file, Bytes offset, std::uint64_t sequence) {
  while (offset < file.size() && file.size() - offset >= kRecordHeadBytes) {
    PLAIT_TRY(const auto piece, file.some(offset));
    const void* first = std::memchr(piece.data(), kRecordFirstByte, piece.size());
    if (first == nullptr) {
      offset += piece.size();
      continue;
    }
    offset += static_cast<Bytes>(static_cast<const std::byte*>(first) - piece.data());
    if (file.size() - offset < kRecordHeadBytes) break;
    PLAIT_TRY(const auto bytes, file.at(offset, kRecordHeadBytes));
    const auto head = read_head(bytes, offset);
    if (head && head->durable > sequence) return true;
    ++offset;
  }
  return false;
}

}  // namespace

Log::Log(std::unique_ptr<File> file, LogOptions options)
    : file_(std::move(file)),
      options_(options),
      group_([this](std::span<std::byte> group, std::uint64_t records) { return flush(group, records); },
             options.waiting_bytes_max) {}

Result<std::unique_ptr<Log>> Log::open(FileLayer& layer, const std::filesystem::path& path, const OnRecord& on_record,
                                       LogOptions options) {
  PLAIT_CHECK(options.record_bytes_max <= std::numeric_limits<std::uint32_t>::max(), options.record_bytes_max);
  PLAIT_TRY(auto file, layer.open(path));
  std::unique_ptr<Log> log(new Log(std::move(file), options));
  PLAIT_TRY_VOID(log->prepare(path));
  PLAIT_TRY_VOID(log->recover(path, on_record));
  // Also when nothing changed: what was handed over may so far be in the system's memory only.
  PLAIT_TRY_VOID(log->file_->sync());
  PLAIT_TRY_VOID(layer.sync_directory(folder_of(path)));
  return log;
}

// Writes the title of a new log, or of one whose making was torn; checks it in any other. open() syncs.
Result<void> Log::prepare(const std::filesystem::path& path) {
  PLAIT_TRY(const Bytes size, file_->size());
  std::array<std::byte, kTitle.size()> found{};
  PLAIT_TRY(const std::size_t got, file_->read(0, found));
  end_ = kTitle.size();
  if (got == kTitle.size() && std::memcmp(found.data(), kTitle.data(), got) == 0) return {};
  bool torn = size <= kTitle.size();
  for (std::size_t i = 0; i < got; ++i) {
    torn = torn && (found[i] == std::byte{0} || found[i] == static_cast<std::byte>(kTitle[i]));
  }
  if (!torn) return base::fail(ErrorCode::invalid_data, fmt::format("'{}' is not a plait log", path.string()));
  return file_->write(0, std::as_bytes(std::span(kTitle)));
}

Result<void> Log::recover(const std::filesystem::path& path, const OnRecord& on_record) {
  PLAIT_TRY(const Bytes size, file_->size());
  FileWindow file(*file_, size);
  while (end_ < size) {
    PLAIT_TRY(const auto found, find_record(file, end_, sequence_));
    if (!found) {
      PLAIT_TRY(const bool lost, declared_durable(file, end_, sequence_));
      if (lost) {
        return base::fail(ErrorCode::invalid_data, fmt::format("'{}' is damaged at byte {}: record {} was on the disk",
                                                               path.string(), end_, sequence_));
      }
      PLAIT_TRY_VOID(file_->truncate(end_));
      recovery_.bytes_dropped = size - end_;
      break;
    }
    marked_ = found->head.kind == RecordHead::Kind::mark;
    if (!marked_) {
      PLAIT_TRY_VOID(on_record(found->payload));
      ++sequence_;
    }
    end_ += kRecordHeadBytes + found->payload.size();
  }
  recovery_.records = sequence_;
  return {};
}

Result<Position> Log::append(std::span<const std::byte> record) {
  if (record.size() > options_.record_bytes_max) {
    return base::fail(ErrorCode::invalid_argument,
                      fmt::format("a record of {} bytes, the limit is {}", record.size(), options_.record_bytes_max));
  }
  // flush() fills in the rest. The payload's checksum, which is the long one, is computed here, outside every lock.
  const RecordHead head{.payload_bytes = static_cast<std::uint32_t>(record.size()), .payload_crc = crc32c(record)};
  PLAIT_TRY(const std::uint64_t number, group_.append(write_head(head, 0), record));
  return Position{recovery_.records + number};
}

Result<void> Log::commit() { return group_.commit(); }

Result<void> Log::commit_through(Position position) {
  // What was recovered is durable since open().
  if (position.value() < recovery_.records) return {};
  return group_.commit_through(position.value() - recovery_.records);
}

Log::Flushed Log::flush(std::span<std::byte> group, std::uint64_t records) {
  std::uint64_t sequence = sequence_;
  for (std::size_t at = 0; at < group.size(); ++sequence) {
    // A second try finds the heads of the first, with their offsets; the same records lie at the same offsets then.
    auto head = read_head(group.subspan(at), 0);
    if (!head) head = read_head(group.subspan(at), end_ + at);
    PLAIT_CHECK(head.has_value(), at, group.size());
    head->sequence = sequence;
    head->durable = sequence_;
    std::ranges::copy(write_head(*head, end_ + at), group.subspan(at).begin());
    at += kRecordHeadBytes + head->payload_bytes;
  }
  PLAIT_CHECK(sequence == sequence_ + records, sequence, sequence_, records);
  if (auto written = file_->write(end_, group); !written) {
    return std::unexpected(GroupCommit::Failure::after_write(std::move(written).error()));
  }
  if (auto synced = file_->sync(); !synced) {
    return std::unexpected(GroupCommit::Failure{std::move(synced).error(), false});
  }
  end_ += group.size();
  sequence_ = sequence;
  marked_ = false;
  return {};
}

Result<void> Log::close(std::unique_ptr<Log> log) {
  PLAIT_TRY_VOID(log->commit());
  if (log->marked_ || log->sequence_ == 0) return {};
  const RecordHead mark{.kind = RecordHead::Kind::mark, .sequence = log->sequence_, .durable = log->sequence_};
  return log->file_->write(log->end_, write_head(mark, log->end_));
}

}  // namespace plait::store
