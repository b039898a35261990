// SPDX-License-Identifier: Apache-2.0
#include "os/detail/transfer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "os/file.h"

namespace plait::os::detail {
namespace {

void check_alignment(const void* data, base::Bytes size, base::Bytes offset) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  PLAIT_CHECK(address % kDirectAlignment == 0 && size > 0 && size % kDirectAlignment == 0, address, size);
  PLAIT_CHECK(offset % kDirectAlignment == 0, offset);
}

}  // namespace

OpenFile::OpenFile(int descriptor, bool direct, std::filesystem::path path)
    : descriptor_(descriptor), direct_(direct), path_(std::move(path)) {}

OpenFile::OpenFile(OpenFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), direct_(other.direct_), path_(std::move(other.path_)) {}

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Transfer Transfer::reading(std::span<std::byte> buffer, base::Bytes offset, std::uint64_t token) {
  check_alignment(buffer.data(), buffer.size(), offset);
  return {.write = false, .data = buffer.data(), .size = buffer.size(), .offset = offset, .token = token};
}

Transfer Transfer::writing(std::span<const std::byte> buffer, base::Bytes offset, std::uint64_t token) {
  check_alignment(buffer.data(), buffer.size(), offset);
  return {.write = true,
          .data = const_cast<std::byte*>(buffer.data()),
          .size = buffer.size(),
          .offset = offset,
          .token = token};
}

std::optional<AsyncFile::Completion> Transfer::advance(std::int64_t outcome, const OpenFile& file) {
  if (outcome == -EINTR || outcome == -EAGAIN) return std::nullopt;
  if (outcome < 0) {
    return AsyncFile::Completion{token, std::unexpected(file_error(write ? "cannot write" : "cannot read", file.path(),
                                                                   static_cast<int>(-outcome)))};
  }
  const base::Bytes before = done;
  done += static_cast<base::Bytes>(outcome);
  if (done == size) return AsyncFile::Completion{token, {}};
  // A short transfer may end inside a block, where O_DIRECT cannot go on: that block is done again.
  done -= done % kDirectAlignment;
  if (done > before) return std::nullopt;
  const char* doing = write ? "the disk took no more" : "the file ends";
  return AsyncFile::Completion{
      token, base::fail(write ? base::ErrorCode::out_of_resources : base::ErrorCode::io,
                        fmt::format("'{}': {} at byte {}", file.path().string(), doing, offset + done))};
}

}  // namespace plait::os::detail
