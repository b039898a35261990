// SPDX-License-Identifier: Apache-2.0
#include "serving/stored/downloads.h"

#include <chrono>
#include <span>
#include <utility>

#include "serving/stored/desk.h"

namespace plait::serving {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{256} << 10U;
// Far below what the server lets a client leave unread (HttpLimits::queue_bytes).
constexpr std::size_t kAheadBytesMax = std::size_t{1} << 20U;
constexpr std::size_t kDownloadsMax = 256;
// How often a client that has enough is looked at again: at 1 MiB each time a limit of 250 MB/s.
constexpr std::chrono::milliseconds kPause{4};

}  // namespace

Downloads::Downloads(const store::Blobs& blobs) : blobs_(blobs), thread_([this] { run(); }) {}

Downloads::~Downloads() {
  {
    const std::scoped_lock lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Downloads::send(std::string name, const Responder& responder) {
  {
    const std::scoped_lock lock(mutex_);
    if (count_ < kDownloadsMax) {
      ++count_;
      arrived_.push_back({.name = std::move(name), .responder = responder});
      return wake_.notify_one();
    }
  }
  responder.refuse({.status = 503, .message = "too many downloads at once", .code = "overloaded"});
}

void Downloads::run() {
  std::vector<Download> all;
  std::vector<std::byte> piece(kPieceBytes);
  bool moved = false;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const auto ready = [&] { return closing_ || !arrived_.empty(); };
      if (all.empty()) {
        wake_.wait(lock, ready);
      } else if (!moved) {
        wake_.wait_for(lock, kPause, ready);
      }
      if (closing_) return;
      for (Download& download : arrived_) all.push_back(std::move(download));
      arrived_.clear();
    }
    moved = false;
    const auto over = std::erase_if(all, [&](Download& download) {
      const Progress progress = advance(download, piece);
      moved = moved || progress == Progress::some;
      return progress == Progress::over;
    });
    const std::scoped_lock lock(mutex_);
    count_ -= over;
  }
}

// The answer begins with the first piece, so that it can still be a refusal. A failure later cuts the stream off.
Downloads::Progress Downloads::advance(Download& download, std::vector<std::byte>& piece) const {
  const Responder& responder = download.responder;
  if (responder.gone()) return Progress::over;
  if (responder.queued_bytes() >= kAheadBytesMax) return Progress::none;
  const auto got = blobs_.read(download.name, download.offset, piece);
  if (!got) {
    if (download.offset > 0) return Progress::over;
    responder.refuse(got.error().code == base::ErrorCode::not_found ? not_there("content", download.name)
                                                                    : storage_refusal(got.error()));
    return Progress::over;
  }
  if (download.offset == 0) responder.begin_stream(200, "application/octet-stream");
  responder.write(std::string(reinterpret_cast<const char*>(piece.data()), *got));
  download.offset += *got;
  if (*got == piece.size()) return Progress::some;
  responder.end();
  return Progress::over;
}

}  // namespace plait::serving
